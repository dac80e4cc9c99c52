"""Every knob an operator may turn: its default, its unit and the reason for the value.

Knows the shape of config.toml, one dataclass a section; reading and judging the file is `config.py`'s work. What decides the
meaning of a fingerprint is not here but in `core/recipe.py`. Imports nothing of the project.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class SourceKind(StrEnum):
    """Where a stream's sound comes from."""

    URL = "url"
    SOUNDCARD = "soundcard"


class Channel(StrEnum):
    """What is made of several channels."""

    MIX = "mix"
    LEFT = "left"
    RIGHT = "right"
    PHASE_SAFE = "phase-safe"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """One station: a [[stream]] table."""

    name: str
    """Station name: topic level, metric label, key of everything stored. Letters, digits, `.`, `_` and `-`."""
    url: str = ""
    """Anything ffmpeg opens: http(s), HLS, udp, rtp, srt, rtmp, rtsp, or a file. Credentials in it are masked wherever printed."""
    kind: SourceKind = SourceKind.URL
    """`soundcard` listens to `device` through PortAudio instead of opening `url`."""
    device: str = ""
    """Sound card: part of its name or its index; empty is the system's default input."""
    spares: tuple[str, ...] = ()
    """Further URLs of the same programme, tried in this order when `url` fails, then from the start. After 30 s of sound the next
    loss begins with `url` again."""
    user_agent: str = ""
    """HTTP User-Agent; empty is ffmpeg's own (Lavf/…), which some servers refuse."""
    headers: tuple[str, ...] = ()
    """HTTP request headers, "Name: value" each. Their values are masked wherever printed."""
    programme: int = 0
    """Programme number (service id) in a multiplex of several; 0 takes whatever comes first. `monitor check` lists them."""
    track: str = ""
    """Audio track: an index from 0 ("1"), a language ("deu"), or an id ("0x101", a PID of MPEG-TS); empty is the first."""
    channel: Channel = Channel.MIX
    """`mix` is the mean of all channels. `phase-safe` turns one side by 90 degrees first, so that a side in opposite phase ("fake
    stereo") does not cancel the other. `left` or `right` where a pair carries two programmes or languages."""
    ffmpeg_options: tuple[str, ...] = ()
    """More input options for ffmpeg, in pairs ("-rtsp_transport", "udp"); only those that can do no harm are taken."""
    no_data_timeout_s: float = 10.0
    """Reopen when no sound arrived for so long: players buffer 5 to 10 s, so listeners hear a gap from about here on."""
    silence_db: float = -60.0
    """Below this level (dBFS, over `silence_after_s`) the station is reported silent; broadcast practice is -60 dB."""
    silence_after_s: float = 15.0
    """How long it must be quiet to be reported silent; 10 to 15 s is what silence detectors at transmitters use."""
    realtime: bool = True
    """For a file: play it at its own pace. Ignored for network streams, which come at theirs."""
    loop: bool = False
    """For a file: start again at its end instead of ending."""
    expect_detection_s: float = 0.0
    """Alert when nothing was detected for so long while the station was heard; 0: nothing is expected (a station that talks)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSettings:
    """The recordings to listen for: [catalog]."""

    path: Path = Path("/var/lib/monitor/catalog")
    """Folder made by `monitor catalog add`."""
    poll_s: float = 2.0
    """How often a running daemon looks for a new generation; a look is one small SQLite read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """The fingerprint network: [encoder]."""

    name: str = "auto"
    """`auto` takes the installed encoder that made the catalogue, for a new catalogue `large` on a GPU and `compact` on a CPU; or
    which of them, or the path of a .safetensors file; then it must be the one the catalogue was made with."""
    device: str = "auto"
    """`auto` takes the first CUDA device when there is one, otherwise the CPU; or `cpu`, `cuda`, `cuda:1`."""
    threads: int = 0
    """CPU threads for the network; 0 leaves the choice to torch (all cores)."""
    max_batch: int = 256
    """Windows per batch at most: beyond a few hundred neither CPU nor GPU gains, and latency grows."""
    max_wait_s: float = 0.25
    """How long the first window of a batch may wait for company: half a hop keeps latency low and batches full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatcherSettings:
    """When a detection is told: [matcher]."""

    false_alarms_per_day: float = 1.0
    """False detections the operator accepts per station and day; the evidence needed follows from it and the catalogue's size."""
    decoy_share: float = 0.1
    """Share of the references whose mirror image is listened for too, to watch that budget; 0 to 1, 0 switches it off."""
    min_play_s: float = 2.0
    """Plays shorter than this are not told."""
    bridge_s: float = 10.0
    """A recording may be unheard for so long (talk-over, fade, drop-out) and still be the same play."""
    ring_s: float = 180.0
    """How much of each stream's fingerprints is kept to look back into; 1.3 kB per half second."""
    update_every_s: float = 30.0
    """A running play is told again (`updated`) so often; 0 tells only start and end."""


class MqttVersion(StrEnum):
    """Which MQTT is spoken."""

    V5 = "5"
    V311 = "3.1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """Where detections go: [mqtt]."""

    host: str = "localhost"
    """Broker's host name or address."""
    port: int = 1883
    """1883 plain, 8883 with TLS by convention."""
    standby: tuple[str, ...] = ()
    """Further brokers, `host` or `host:port`, tried in this order when the one before does not answer; same TLS, same user."""
    version: MqttVersion = MqttVersion.V5
    """`5` tells us when the broker refuses a message; `3.1.1` is for brokers that know nothing newer, which drop it silently."""
    username: str = ""
    """Empty: no authentication."""
    password: str = ""
    """Better kept out of the file: `password_file`, or MONITOR_MQTT_PASSWORD in the environment."""
    password_file: str = ""
    """File whose first line is the password (a systemd credential, say)."""
    tls: bool = False
    """Speak TLS to the broker."""
    ca_file: str = ""
    """Certificates to trust; empty takes the system's."""
    cert_file: str = ""
    """Client certificate, if the broker asks for one."""
    key_file: str = ""
    """Key of the client certificate."""
    client_id: str = "monitor"
    """Must be unique on the broker; two clients of one id throw each other out."""
    prefix: str = "monitor"
    """First level(s) of every topic."""
    status_topic: str = "status"
    """The monitor's own status, with its last will, under the prefix; each monitor of a prefix needs its own."""
    keepalive_s: int = 30
    """The broker publishes the last will after 1.5 times this without a sign of life."""
    ack_timeout_s: float = 10.0
    """A message not acknowledged for so long is sent again on a new connection."""
    home_assistant: str = ""
    """Home Assistant's discovery prefix, usually `homeassistant`: each station becomes a device there; empty makes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSettings:
    """Detections on disk until the broker has them: [outbox]."""

    path: Path = Path("/var/lib/monitor/outbox.db")
    """SQLite file; its folder must be writable."""
    keep_days: float = 30.0
    """Delivered messages are kept so long: `monitor events` and `monitor report` read them."""
    max_mb: float = 4096.0
    """Disk budget. Delivered messages fill half of it at most, the oldest go first; waiting ones may fill all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """What every station's airtime was, second by second: [ledger]."""

    path: Path = Path("/var/lib/monitor/ledger.db")
    """SQLite file; its folder must be writable."""
    keep_days: float = 400.0
    """Kept so long: a year's account can still be asked for a month after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Metrics and health: [http]."""

    enabled: bool = True
    """Serve /metrics, /livez and /readyz."""
    bind: str = "127.0.0.1"
    """Loopback unless told otherwise: the pages tell what is monitored."""
    port: int = 9464
    """9464 is the port Prometheus lists for exporters of this kind; 0 takes a free one and logs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSettings:
    """Which of the stations are this monitor's, when several share one configuration: [shard]."""

    index: int = 0
    """Number of this monitor, from 0 to count - 1."""
    count: int = 1
    """How many share the stations; 1: all are ours. Beyond 1, `client_id` ends in `-INDEX` and `status_topic` in `/INDEX`."""


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is logged: [log]."""

    level: str = "info"
    """debug, info, warning or error."""
    format: LogFormat = LogFormat.AUTO
    """`auto`: readable on a terminal, JSON when the output goes to the journal or a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole of config.toml."""

    stream: tuple[StreamSettings, ...] = ()
    catalog: CatalogSettings = field(default_factory=CatalogSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    matcher: MatcherSettings = field(default_factory=MatcherSettings)
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    shard: ShardSettings = field(default_factory=ShardSettings)
    log: LogSettings = field(default_factory=LogSettings)
