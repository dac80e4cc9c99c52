"""The run: faults begin and end on time, each is seen to bite, and whatever dies is started again as systemd would.

Knows the order of things. What it all came to is `judge.py`'s.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.box import Radio, listens
from tests.bench.exposition import Exposition
from tests.bench.processes import memory_mb
from tests.chaos.plan import Fault, Kind
from tests.chaos.proxy import Line, Proxy
from tests.chaos.rig import PREFIX, Broker, Clock, Daemon, Disk, catalogue, mounted, stations
from tests.chaos.witness import Witness, retained
from tests.conftest import find

FULL_AT_START = 75
"""How the daemon says, by its exit status, that its outbox cannot be opened now: it is started again and again."""
RESTART_S = 1.0
"""The daemon is started again so soon after it ended by itself."""
LOOK_S = 0.5
"""How often the daemon's pages are read."""
START_LIMIT_S = 120.0
STOP_LIMIT_S = 60.0
DRAIN_LIMIT_S = 120.0
SIGN_LIMIT_S = 300.0
"""For the first connection on a broken line, and a page dated by another clock: the daemon may just be starting, over and over."""
DISK_LIMIT_S = 240.0
"""A disk stays full until the daemon has noticed, but no longer than this."""
NOTICE_S = 60.0
"""For a reload to be seen in the log, and a clock on a page."""


@dataclass(slots=True)
class Outcome:
    """A fault, and what was seen of it."""

    fault: Fault
    began_s: float
    """Seconds since the run began, like all times here."""
    ended_s: float = 0.0
    seen: str = ""
    """The sign that it was really injected; empty: none was found."""


@dataclass(slots=True)
class Life:
    """One life of the daemon."""

    began_s: float
    monitors_s: float | None = None
    ended_s: float | None = None
    wanted: bool = False
    """It was ended by the plan."""
    code: int | None = None
    told: float = 0.0
    """Detections it had handed to its outbox, as its page last said."""
    held: float = 0.0
    """Of them in memory only."""
    lost: float = 0.0
    write_failures: float = 0.0
    disconnects: float = 0.0
    dropped: float = 0.0
    memory_mb: float = 0.0


@dataclass(slots=True)
class Record:
    """All that is known of a run, but what the daemon and the witness wrote."""

    outcomes: list[Outcome] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What should not have happened, whatever was delivered."""
    drained_after_s: float | None = None
    """From the last fault's end until nothing waited."""
    orphans: int = 0
    """ffmpegs that a dead daemon left behind for more than ten seconds."""
    retained: dict[str, bytes] = field(default_factory=dict)
    on_air_utc_s: dict[str, float] = field(default_factory=dict)
    clock: list[tuple[float, float]] = field(default_factory=list)


class Run:
    """The rig, and the hands that break it."""

    def __init__(
        self, daemon: Daemon, broker: Broker, proxy: Proxy, disk: Disk, clock: Clock, witness: Witness, streams: dict[str, str]
    ) -> None:
        self._daemon, self._broker, self._proxy, self._disk, self._clock = daemon, broker, proxy, disk, clock
        self._witness, self._streams = witness, streams
        self.record = Record()
        self._zero_s = time.monotonic()
        self._start_at_s: float | None = None
        """When the daemon is to be started; None while it runs."""
        self._emptied_s = float("-inf")
        """When the disk last had room again; who began before it may have found it full."""
        self._look_at_s = 0.0
        self._stop_by_s: float | None = None
        self._open: list[tuple[Outcome, Iterator[bool]]] = []
        self._mark = 0

    def now_s(self) -> float:
        return time.monotonic() - self._zero_s

    def run(self, faults: list[Fault], length_s: float, say: Callable[[str], None], *, patient: bool = False) -> None:
        """Do it all; `patient` waits for the daemon to monitor after each of its deaths, so that few seconds are enough."""
        self._start()
        self._until(lambda: self._life.monitors_s is not None, START_LIMIT_S, "the daemon to monitor")
        last_s, gone_s = self.now_s(), 0.0
        waiting = list(faults)
        while waiting or self._open or gone_s < length_s:
            if not patient or (self._daemon.running and self._life.monitors_s is not None):
                gone_s += self.now_s() - last_s
            last_s = self.now_s()
            while waiting and gone_s >= waiting[0].at_s:
                fault = waiting.pop(0)
                outcome = Outcome(fault=fault, began_s=self.now_s())
                self.record.outcomes.append(outcome)
                self._open.append((outcome, self._do(outcome)))
                say(
                    f"{self.now_s():7.1f} s  {fault.kind.value}"
                    + (f", {fault.step_s:+g} s" if fault.kind is Kind.CLOCK_STEPPED else "")
                )
            self._tick()
            still = []
            for outcome, steps in self._open:
                if next(steps, None) is None:
                    outcome.ended_s = self.now_s()
                    if not outcome.seen:
                        self.record.complaints.append(f"at {outcome.began_s:.0f} s: no sign of: {outcome.fault.kind.value}")
                else:
                    still.append((outcome, steps))
            self._open = still
        self._end(say)

    @property
    def _life(self) -> Life:
        return self.record.lives[-1]

    def _end(self, say: Callable[[str], None]) -> None:
        """All is well again: wait until nothing waits, stop cleanly, and see what is retained."""
        say(f"{self.now_s():7.1f} s  the last fault is over")
        healed_s = self.now_s()
        quiet = lambda: self._life.monitors_s is not None and self._drained()  # noqa: E731
        if self._until(quiet, START_LIMIT_S + DRAIN_LIMIT_S, "nothing to wait in the outbox"):
            self.record.drained_after_s = self.now_s() - healed_s
        self._life.wanted = True
        self._look()
        self._daemon.signal(signal.SIGTERM)
        deadline_s = self.now_s() + STOP_LIMIT_S
        while self._daemon.running and self.now_s() < deadline_s:
            time.sleep(0.1)
        self._life.ended_s, self._life.code = self.now_s(), self._daemon.ended
        if self._life.code != 0:
            self.record.complaints.append(f"the last stop ended with {self._life.code}")
        time.sleep(1.0)  # for the witness: what the broker has acknowledged is on its way
        self.record.retained = retained(self._broker.port, PREFIX)
        self.record.clock = list(self._clock.history)

    def _drained(self) -> bool:
        page = self._daemon.metrics()
        return (
            page is not None
            and page.value("monitor_broker_connected") == 1
            and not (page.value("monitor_outbox_pending_messages") + page.value("monitor_outbox_unwritten_detections"))
        )

    def _until(self, done: Callable[[], bool], within_s: float, what: str) -> bool:
        deadline_s = self.now_s() + within_s
        while not done():
            if self.now_s() > deadline_s:
                self.record.complaints.append(f"waited {within_s:.0f} s in vain for {what}")
                return False
            self._tick()
        return True

    # --- what goes on all the time ---------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Start what is to be started, let the daemon to the broker when the witness is there, read the pages."""
        time.sleep(0.05)
        # Who comes first to a broker that has forgotten its subscribers decides what they miss; that is not what is measured here.
        self._proxy.shut = not (self._broker.running and self._witness.there.is_set())
        if self._daemon.process is not None and not self._daemon.running and self._start_at_s is None:
            self._ended()
        if self._start_at_s is not None and self.now_s() >= self._start_at_s:
            self._start()
        if self._stop_by_s is not None and self.now_s() > self._stop_by_s:
            self.record.complaints.append(f"at {self.now_s():.0f} s: told to stop {STOP_LIMIT_S:.0f} s ago, still there; killed")
            self._daemon.signal(signal.SIGKILL)
            self._stop_by_s = None
        if self.now_s() >= self._look_at_s:
            self._look()
            self._look_at_s = self.now_s() + LOOK_S

    def _start(self) -> None:
        self._start_at_s = None
        self._mark = self._daemon.log.stat().st_size if self._daemon.log.exists() else 0
        self.record.lives.append(Life(began_s=self.now_s()))
        self._daemon.start()

    def _ended(self) -> None:
        life = self._life
        life.ended_s, life.code = self.now_s(), self._daemon.ended
        self._stop_by_s = None
        if life.code == FULL_AT_START and (self._disk.full or life.began_s < self._emptied_s):
            self._start_at_s = self.now_s() + RESTART_S
        elif not life.wanted:
            last = self._said().rstrip().rpartition("\n")[2]
            self.record.complaints.append(f"at {self.now_s():.0f} s: the daemon ended by itself ({life.code}): {last}")
            self._start_at_s = self.now_s() + RESTART_S
        else:
            self._start_at_s = float("inf")  # whoever ended it starts it again
        deadline_s = self.now_s() + 10.0
        while self._daemon.family() and self.now_s() < deadline_s:
            time.sleep(0.1)
        self.record.orphans += len(self._daemon.family())
        self._daemon.close()

    def _said(self) -> str:
        """What this life has logged."""
        if not self._daemon.log.exists():
            return ""
        with self._daemon.log.open("rb") as log:
            log.seek(self._mark)
            return log.read().decode(errors="replace")

    def _look(self) -> None:
        if not self._daemon.running:
            return
        life = self._life
        if life.monitors_s is None and '"event": "monitoring"' in self._said():
            life.monitors_s = self.now_s()
        page = self._daemon.metrics()
        if page is not None:
            self._note(life, page)
        if self._daemon.process is not None:
            life.memory_mb = max(life.memory_mb, memory_mb(self._daemon.process.pid))

    def _note(self, life: Life, page: Exposition) -> None:
        life.told = page.total("monitor_detections_total")
        life.held = page.value("monitor_outbox_unwritten_detections")
        life.lost = page.value("monitor_detections_lost_total")
        life.write_failures = page.value("monitor_outbox_write_failures_total")
        life.disconnects = page.value("monitor_broker_disconnects_total")
        life.dropped = page.total("monitor_windows_dropped_total")

    # --- the faults: each goes on with every tick until it is over ---------------------------------------------------------

    def _do(self, outcome: Outcome) -> Iterator[bool]:
        kind = outcome.fault.kind
        if kind in {Kind.DAEMON_KILLED, Kind.DAEMON_STOPPED}:
            return self._end_daemon(outcome)
        if kind is Kind.DAEMON_RELOADED:
            return self._reload(outcome)
        if kind in {Kind.BROKER_STOPPED, Kind.BROKER_KILLED, Kind.BROKER_FORGOT, Kind.BROKER_HUNG}:
            return self._harm_broker(outcome)
        if kind is Kind.DISK_FULL:
            return self._fill_disk(outcome)
        if kind is Kind.CLOCK_STEPPED:
            return self._step_clock(outcome)
        return self._harm_network(outcome)

    def _for(self, seconds: float) -> Iterator[bool]:
        until_s = self.now_s() + seconds
        while self.now_s() < until_s:
            yield True

    def _end_daemon(self, outcome: Outcome) -> Iterator[bool]:
        number = signal.SIGKILL if outcome.fault.kind is Kind.DAEMON_KILLED else signal.SIGTERM
        while not self._daemon.running:  # another fault, or its own fault, has ended it: it is started again soon
            yield True
        self._look()
        self._life.wanted = True
        life = self._life
        self._daemon.signal(number)
        self._stop_by_s = self.now_s() + STOP_LIMIT_S
        while life.code is None:
            yield True
        outcome.seen = f"exit status {life.code}"
        # Before it monitors it has no handler yet: SIGTERM ends it as any program.
        if life.code != -signal.SIGKILL and life.code != 0 and life.monitors_s is not None:
            self.record.complaints.append(f"at {self.now_s():.0f} s: {number.name} ended the daemon with {life.code}")
        yield from self._for(outcome.fault.for_s)
        self._start_at_s = self.now_s()
        while self._start_at_s is not None:
            yield True

    def _reload(self, outcome: Outcome) -> Iterator[bool]:
        rest = dict(list(self._streams.items())[:-1])
        for streams, seconds in ((rest, outcome.fault.for_s), (self._streams, 0.0)):
            while not self._daemon.running or self._life.monitors_s is None:
                yield True
            before, life = self._said().count('"event": "stations"'), self._life
            self._daemon.configure(streams)
            self._daemon.signal(signal.SIGHUP)
            deadline_s = self.now_s() + NOTICE_S
            while self.now_s() < deadline_s:
                yield True
                if life is not self._life:
                    outcome.seen = outcome.seen or "overtaken by the daemon's end"
                    break
                if self._said().count('"event": "stations"') > before:
                    outcome.seen = "the daemon logged the change"
                    break
            yield from self._for(seconds)

    def _harm_broker(self, outcome: Outcome) -> Iterator[bool]:
        kind, broker = outcome.fault.kind, self._broker
        if kind is Kind.BROKER_HUNG:
            broker.process.send_signal(signal.SIGSTOP)
            yield from self._for(outcome.fault.for_s)
            broker.process.send_signal(signal.SIGCONT)
            outcome.seen = "stopped and continued"
            return
        self._proxy.shut = True
        broker.end(signal.SIGTERM if kind is Kind.BROKER_STOPPED else signal.SIGKILL)
        outcome.seen = f"exit status {broker.process.returncode}"
        if kind is Kind.BROKER_FORGOT:
            broker.forget()
        yield from self._for(outcome.fault.for_s)
        broker.start()
        while not self._witness.there.is_set():
            yield True

    def _harm_network(self, outcome: Outcome) -> Iterator[bool]:
        line = {Kind.NETWORK_CUT: Line.CUT, Kind.NETWORK_DEAF: Line.DEAF}.get(outcome.fault.kind, Line.HELD)
        before = self._proxy.harmed
        self._proxy.become(line)
        yield from self._for(outcome.fault.for_s)
        deadline_s = self.now_s() + SIGN_LIMIT_S
        while self._proxy.harmed == before and self.now_s() < deadline_s:  # nobody was on the line yet
            yield True
        self._proxy.heal(late=outcome.fault.kind is Kind.NETWORK_STALLED)
        if self._proxy.harmed > before:
            outcome.seen = f"{self._proxy.harmed - before} connections harmed"

    def _fill_disk(self, outcome: Outcome) -> Iterator[bool]:
        began_s = self.now_s()
        life, failures = self._life, self._life.write_failures
        while self.now_s() - began_s < DISK_LIMIT_S:
            if self._disk.free_bytes:
                self._disk.fill()  # a checkpoint may have given something back
            if self._life is not life:
                life, failures = self._life, 0.0
            if self._life.write_failures > failures:
                outcome.seen = f"{self._life.write_failures - failures:.0f} writes refused"
            elif any(past.code == FULL_AT_START and past.began_s >= began_s for past in self.record.lives):
                outcome.seen = "the daemon did not start"
            if outcome.seen and self.now_s() - began_s >= outcome.fault.for_s:
                break
            yield True
        self._disk.empty()
        self._emptied_s = self.now_s()

    def _step_clock(self, outcome: Outcome) -> Iterator[bool]:
        self._clock.set(outcome.fault.step_s)
        deadline_s = self.now_s() + SIGN_LIMIT_S
        look_at_s = 0.0
        while self.now_s() < deadline_s:
            if self.now_s() >= look_at_s:
                look_at_s = self.now_s() + 1.0
                off_s = self._daemon.clock_off_s()
                if off_s is not None and abs(off_s - self._clock.off_s) < 2.0:
                    outcome.seen = f"its pages are dated {off_s:+.0f} s off"
                    return
            yield True


@contextmanager
def rig(out: Path, *, count: int, update_every_s: float) -> Iterator[Run]:
    """Build everything, in `out`; take everything away."""
    program = find("mosquitto")
    if program is None:
        raise FileNotFoundError("mosquitto is not installed; `make test` installs it")
    with ExitStack() as stack:
        radio = Radio()
        stack.callback(radio.close)
        streams = stations(radio, out, count)
        disk = stack.enter_context(mounted(out / "disk"))
        clock = Clock(out)
        broker = Broker(program, out / "broker")
        stack.callback(broker.close)
        broker.start()
        while not listens(broker.port):
            time.sleep(0.05)
        witness = Witness(broker.port, PREFIX, out / "witness.jsonl")
        stack.callback(witness.close)
        if not witness.there.wait(10.0):
            raise RuntimeError("the witness could not subscribe")
        proxy = Proxy(broker.port)
        stack.callback(proxy.close)
        daemon = Daemon(
            out,
            catalogue=catalogue(out / "catalog"),
            outbox=disk.folder / "outbox.db",
            broker_port=proxy.port,
            clock=clock,
            streams=streams,
            update_every_s=update_every_s,
        )
        stack.callback(daemon.close)
        run = Run(daemon, broker, proxy, disk, clock, witness, streams)
        run.record.on_air_utc_s = radio.on_air_utc_s
        yield run
