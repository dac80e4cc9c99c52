"""What the retained topics should say: our own status; each station's, what it has on air now, and what it is to Home Assistant.

Knows topics' names under the prefix and which of them changed since they were last taken. Knows nothing of brokers. Not for several
threads at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from monitor.messages import Detection, EventKind, StreamState
from monitor.publish import discovery, payload

CLEARED = b""
"""An empty retained message removes the topic."""


class Board:
    """The retained topics of all stations, newest value each; a value not yet taken is replaced, not queued."""

    def __init__(self, prefix: str, *, status_topic: str = "status", home_assistant: str = "") -> None:
        """Start with no station; topics begin with `prefix`. `home_assistant` is its discovery prefix, if it is to be told."""
        self._prefix = prefix
        self._status_topic = status_topic
        self._own = f"{prefix}/{status_topic}"
        self._home_assistant = home_assistant
        self._playing: dict[str, dict[str, dict[str, Any]]] = {}
        self._topics: dict[str, bytes] = {}
        self._dirty: dict[str, None] = {}

    def add(self, station: str, *, now_utc_s: float) -> None:
        """Make a station's topics: nothing on air, connecting."""
        if station in self._playing:
            return
        self._playing[station] = {}
        if self._home_assistant:
            described = discovery.device(self._prefix, station, status_topic=self._status_topic)
            self._write(discovery.topic(self._home_assistant, self._prefix, station), payload.encode(described))
        self._write_now(station)
        self.status(station, StreamState.CONNECTING, reason="", since_utc_s=now_utc_s)

    def remove(self, station: str) -> None:
        """Clear a station's topics on the broker."""
        if self._playing.pop(station, None) is None:
            return
        if self._home_assistant:  # first, so that the device is gone before what feeds it
            self._write(discovery.topic(self._home_assistant, self._prefix, station), CLEARED)
        for leaf in ("now", "status"):
            self._write(f"{self._prefix}/{station}/{leaf}", CLEARED)

    def stations(self) -> Iterable[str]:
        """Return the stations that have topics."""
        return tuple(self._playing)

    def monitor(self, state: str, *, since_utc_s: float) -> None:
        """Say how we are ourselves."""
        self._write(self._own, payload.encode({"state": state, "since": payload.utc(since_utc_s), "reason": ""}))

    def status(self, station: str, state: StreamState, *, reason: str, since_utc_s: float) -> None:
        """Say what a station is doing, since when and why."""
        if station in self._playing:
            content = {"state": state.value, "since": payload.utc(since_utc_s), "reason": reason}
            self._write(f"{self._prefix}/{station}/status", payload.encode(content))

    def told(self, detection: Detection) -> None:
        """Take a detection into account; those of stations that are no longer there are ignored."""
        playing = self._playing.get(detection.station)
        if playing is None:
            return
        if detection.kind in {EventKind.ENDED, EventKind.RETRACTED}:
            playing.pop(detection.id, None)
        else:
            playing[detection.id] = payload.on_air(detection)
        self._write_now(detection.station)

    def silence(self, station: str) -> None:
        """Say that nothing is on air."""
        if station in self._playing:
            self._playing[station].clear()
            self._write_now(station)

    def all_changed(self) -> None:
        """Make everything due again, our own status first: a broker that was restarted may have forgotten it."""
        self._dirty = dict.fromkeys(sorted(self._topics, key=lambda topic: topic != self._own))

    def take(self) -> list[tuple[str, bytes]]:
        """Return what is due and count it as published; cleared topics are forgotten."""
        due = [(topic, self._topics[topic]) for topic in self._dirty]
        self._dirty.clear()
        for topic, content in due:
            if content == CLEARED:
                del self._topics[topic]
        return due

    def put_back(self, due: Iterable[tuple[str, bytes]]) -> None:
        """Count topics as due again, because they could not be published; a newer value wins."""
        for topic, content in due:
            self._topics.setdefault(topic, content)
            self._dirty[topic] = None

    def _write_now(self, station: str) -> None:
        self._write(f"{self._prefix}/{station}/now", payload.encode(list(self._playing[station].values())))

    def _write(self, topic: str, content: bytes) -> None:
        self._topics[topic] = content
        self._dirty[topic] = None
