"""`monitor catalog`: the recordings to listen for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.cli.common import add_catalog_arguments, settings_and_catalog

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from monitor.catalog.ingest import FileDone
    from monitor.catalog.store import Store
    from monitor.core.recipe import Recipe
    from monitor.encoder.engine import Engine
    from monitor.settings import Settings

    Action = argparse._SubParsersAction[Any]

FORMATS = ("table", "json", "csv")


def register(subparsers: Action) -> None:
    """Add the command and its own commands."""
    parser = subparsers.add_parser("catalog", help="add, list, check recordings to listen for", description=__doc__)
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    one = _action(actions, "add", add, "add audio files, or folders of them; run it again to go on after an interruption")
    one.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file, or folder to be searched with all below it")
    one.add_argument(
        "--metadata",
        type=Path,
        metavar="FILE.csv",
        help="columns path (or file), title, artist, album, isrc; others are told with each detection. Goes before the tags. "
        "Without it, a catalog.csv in the folder of the files is taken",
    )
    one.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, help="files decoded at a time (default: %(default)s)")

    one = _action(actions, "list", list_, "list the recordings")
    one.add_argument("--format", choices=FORMATS, default="table", help="json: one object a line (default: %(default)s)")
    one = _action(actions, "show", show, "show all that is known of recordings")
    one.add_argument("keys", nargs="+", metavar="ID|PATH")
    one.add_argument("--format", choices=FORMATS, default="table", help="json: one object a line (default: %(default)s)")
    one = _action(actions, "remove", remove, "forget recordings; the audio files stay")
    one.add_argument("keys", nargs="+", metavar="ID|PATH")
    _action(actions, "verify", verify, "check the catalogue against its files; 0: whole, 1: something was found")
    one = _action(actions, "stats", stats, "the catalogue at a glance")
    one.add_argument("--format", choices=FORMATS, default="table", help="(default: %(default)s)")
    one = _action(actions, "rebuild", rebuild, "give back the space of removed recordings; make the index anew")
    one.add_argument(
        "--fingerprint",
        action="store_true",
        help="make all fingerprints anew from the audio files, with the encoder that [encoder] names",
    )
    one.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, help="files decoded at a time (default: %(default)s)")


def _action(actions: Action, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    add_catalog_arguments(parser)
    parser.set_defaults(run=run)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def add(arguments: argparse.Namespace) -> int:
    """Add recordings. 0: all are in; 1: something was refused or could not be used; 130: interrupted, what was done is kept."""
    from monitor.catalog import ingest, tags
    from monitor.catalog.scan import scan
    from monitor.catalog.store import recipe_at
    from monitor.catalog.writer import Writer
    from monitor.cli.catalog_output import Watch

    settings, folder = settings_and_catalog(arguments)
    sheets = tags.Sheets(arguments.metadata)
    found = scan(arguments.paths)
    engine = _engine(settings, lambda: recipe_at(folder))
    decoder = _Decoder(engine.recipe)
    with Writer(folder, engine.recipe, create=True) as store, Watch(len(found.files), "adding") as watch:
        for path in found.absent:
            watch.say(f"{path}: there is no such file or folder")

        def names(path: Path) -> tags.Names:
            return tags.read(path, sheets.row(path, found.files[path]))

        try:
            ingest.add(
                list(found.files),
                store,
                decoder,
                engine.encode,
                engine.recipe,
                jobs=arguments.jobs,
                progress=lambda file: watch.done(decoder.with_complaint(file)),
                names=names,
            )
        except KeyboardInterrupt:
            print(f"monitor: interrupted; {watch.summary()}. Run the same command again to go on", file=sys.stderr)
            return 130
        for sheet, path in sheets.missing():
            watch.say(f"{sheet}: names {path}, which is not there")
        if not found.files:
            watch.say("no audio files found; name a file itself to have it tried whatever its ending")
    if found.passed_over:
        endings = ", ".join(f"{count} {ending}" for ending, count in sorted(found.passed_over.items()))
        print(f"left alone, by their endings: {endings}")
    print(f"{folder}: {watch.summary()}")
    _say_kin(store)
    _index(store)
    return 1 if watch.noted else 0


def list_(arguments: argparse.Namespace) -> int:
    """List the recordings."""
    from monitor.catalog.store import Store
    from monitor.cli import catalog_output as output

    store = Store(settings_and_catalog(arguments)[1])
    entries, kin = store.entries(), store.kin()
    if arguments.format == "table":
        output.print_list(entries, kin)
        return 0
    records: list[dict[str, Any]] = [
        {**output.record(entry), "same_sound_in": sorted({one.other_id for one in kin.get(entry.reference.id, ())})}
        for entry in entries
    ]
    output.print_records(records, output.Format(arguments.format))
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Show recordings. 1: one of them is not there."""
    from monitor.catalog.store import Store
    from monitor.cli import catalog_output as output

    store, clock = Store(settings_and_catalog(arguments)[1]), output.clock
    numbers, status = _meant(store, arguments.keys)
    kin = store.kin()
    records = [
        {
            **output.record(entry),
            "pcm_sha256": entry.pcm_sha256,
            "files": store.files(entry.reference.id),
            "same_sound": output.same_sound(kin.get(entry.reference.id, ()), store.recipe.hop_s),
        }
        for entry in (store.entry(number) for number in numbers)
    ]
    if arguments.format != "table":
        output.print_records(records, output.Format(arguments.format))
        return status
    for at, one in enumerate(records):
        custom = one.pop("custom")
        one["files"] = ", ".join(one["files"])
        one["same_sound"] = "; ".join(
            f"{clock(part['start_s'])}-{clock(part['end_s'])} in {part['id']} at {clock(part['other_start_s'])}"
            for part in one["same_sound"]
        )
        print("\n" if at else "", end="")
        output.print_pairs({**one, "duration_s": f"{one['duration_s']} ({output.clock(one['duration_s'])})", **custom})
    return status


def remove(arguments: argparse.Namespace) -> int:
    """Forget recordings. 1: one of them was not there."""
    from monitor.catalog.writer import Writer

    with Writer(settings_and_catalog(arguments)[1]) as store:
        numbers, status = _meant(store, arguments.keys)
        for number in numbers:
            who = store.entry(number).reference
            print(f"removed {number}: {who.artist} - {who.title}" if who.artist else f"removed {number}: {who.title}")
        if numbers:
            store.remove(numbers)
    return status


def _meant(store: Store, keys: Sequence[str]) -> tuple[list[int], int]:
    """Return the ids meant by ids and paths, each once, and 1 when a key meant nothing."""
    numbers: dict[int, None] = {}
    status = 0
    for key in keys:
        entries = store.find(key)
        numbers |= dict.fromkeys(entry.reference.id for entry in entries)
        if not entries:
            print(f"monitor: {key}: no recording of this id or path in {store.folder}; see `monitor catalog list`", file=sys.stderr)
            status = 1
    return list(numbers), status


def verify(arguments: argparse.Namespace) -> int:
    """Check the catalogue. 1: something is wrong; what is harmless is only told."""
    from monitor.catalog import verify as verification
    from monitor.catalog.store import Store
    from monitor.encoder import weights
    from monitor.encoder.engine import choose
    from monitor.errors import EncoderError

    settings, folder = settings_and_catalog(arguments)
    store, recipe, wrong = Store(folder), None, 0
    try:
        recipe, _tensors = weights.load(weights.find(choose(settings.encoder.name, settings.encoder.device, lambda: store.recipe)))
    except EncoderError as error:
        print(f"wrong: encoder: {error}")
        wrong += 1
    for finding in verification.verify(store, recipe):
        print(f"{'note' if finding.harmless else 'wrong'}: {finding.text}")
        wrong += not finding.harmless
    numbers = store.numbers()
    print(
        f"{folder}: {numbers.references} recordings, {numbers.fingerprints} fingerprints: {f'{wrong} wrong' if wrong else 'whole'}"
    )
    return 1 if wrong else 0


def stats(arguments: argparse.Namespace) -> int:
    """Show the catalogue at a glance."""
    from monitor.catalog.store import Store
    from monitor.cli import catalog_output as output
    from monitor.index import faiss_store, ivfpq

    store = Store(settings_and_catalog(arguments)[1])
    numbers = asdict(store.numbers())
    large = numbers["fingerprints"] > faiss_store.exact_limit()
    numbers["duration_s"] = round(numbers["duration_s"], 1)
    numbers |= {"encoder": store.recipe.name, "recipe": store.recipe.hash, "index": "compressed" if large else "exact"}
    numbers["index_rows"] = ivfpq.covered(store.table()) if large else numbers["fingerprints"]
    numbers |= {"sharing_sound": len(store.kin()), "not_compared_yet": len(store.uncompared())}
    if arguments.format == "table":
        output.print_pairs({**numbers, "duration_s": f"{numbers['duration_s']} ({output.clock(numbers['duration_s'])})"})
    else:
        output.print_records([numbers], output.Format(arguments.format))
    return 0


def rebuild(arguments: argparse.Namespace) -> int:
    """Compact the catalogue, or make its fingerprints anew. 1: a recording has no fingerprints now."""
    from monitor.catalog import kinship
    from monitor.catalog.anew import fingerprint_anew
    from monitor.catalog.writer import Writer
    from monitor.cli.catalog_output import Watch

    settings, folder = settings_and_catalog(arguments)
    noted = 0
    with Writer(folder) as store:
        before = store.numbers()
        if arguments.fingerprint:
            engine = _engine(settings, lambda: store.recipe, anew=True)
            decoder = _Decoder(engine.recipe)
            with Watch(before.references, "fingerprinting") as watch:
                fingerprint_anew(
                    store,
                    decoder,
                    engine.encode,
                    engine.recipe,
                    jobs=arguments.jobs,
                    progress=lambda file: watch.done(decoder.with_complaint(file)),
                )
            noted = watch.noted
        else:
            store.compact()
        kinship.compare(store)
        after = store.numbers()
    size = f"{before.bytes_on_disk} -> {after.bytes_on_disk} bytes"
    print(f"{folder}: {after.references} recordings, {after.fingerprints} fingerprints, {size}")
    _say_kin(store)
    _index(store)
    return 1 if noted else 0


class _Decoder:
    """Decodes files, and remembers those that ended too early; called in several threads."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._complaints: dict[Path, str] = {}

    def __call__(self, path: Path) -> Iterator[NDArray[np.float32]]:
        from monitor.capture.ffmpeg import decode

        with decode(path, self._recipe) as sound:
            yield from sound
            if sound.truncated:
                self._complaints[path] = (
                    f"broken after {sound.seconds:.1f} s ({sound.complaint or 'it ends early'}); kept up to there"
                )

    def with_complaint(self, file: FileDone) -> FileDone:
        """Add what was wrong with a file to what became of it."""
        complaint = self._complaints.pop(file.path, "")
        return replace(file, notes=(*file.notes, complaint)) if complaint else file


def _engine(settings: Settings, made_with: Callable[[], Recipe | None], *, anew: bool = False) -> Engine:
    from monitor.encoder.engine import choose, load_encoder

    chosen = settings.encoder
    return load_encoder(choose(chosen.name, chosen.device, made_with, anew=anew), chosen.device, chosen.threads, stored=True)


def _say_kin(store: Store) -> None:
    alike = len(store.kin())
    if alike:
        print(f"{alike} recordings share sound with others: see `monitor catalog list`; they are named as a group until told apart")


def _index(store: Store) -> None:
    """Train the compressed index now, if the catalogue is large and its index is old, so that no daemon has to."""
    from monitor.index import faiss_store

    table = store.table()
    if faiss_store.stale(table):
        print(f"training the index of {table.rows} fingerprints …", flush=True)
        faiss_store.build(table)
