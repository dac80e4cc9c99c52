"""Events arrive through the embedded broker and add up to plays. Real amqtt, real aiomqtt."""

from __future__ import annotations

import asyncio
import json

import aiomqtt
import pytest

from monitor.demo.broker import Notebook, broker, subscribe
from monitor.demo.verdict import Told
from monitor.messages import Detection, EventKind, Play, Reference
from monitor.publish.payload import describe

NOON = 1_700_000_000.0


def event(kind: EventKind, end_s: float) -> bytes:
    """What the monitor really sends."""
    play = Play(
        stream="one",
        reference_id=7,
        start_s=1.0,
        end_s=end_s,
        reference_start_s=20.0,
        reference_end_s=20.0 + end_s,
        speed=1.0,
        score=0.9,
        evidence=50.0,
        confidence=0.98,
        detected_s=4.0,
    )
    detection = Detection(
        id="0-one-1",
        kind=kind,
        station="one",
        start_utc_s=NOON,
        end_utc_s=NOON + end_s,
        uncertainty_s=0.2,
        detected_utc_s=NOON + 3.0,
        play=play,
        reference=Reference(id=7, path="/clips/a.opus", title="A", artist="B"),
        recipe="r",
        generation=1,
    )
    return json.dumps(describe(detection, sequence=1, store="s")).encode()


def test_events_of_one_play_become_one_entry() -> None:
    notebook = Notebook()
    first = notebook.note(event(EventKind.STARTED, 3.0), NOON + 3.2)
    assert (first.clip, first.title, first.ended, first.first_told_utc_s) == ("a.opus", "A", False, NOON + 3.2)
    last = notebook.note(event(EventKind.ENDED, 30.0), NOON + 40.0)
    assert (last.start_utc_s, last.end_utc_s, last.ended) == (NOON, NOON + 30.0, True)
    assert last.first_told_utc_s == NOON + 3.2
    assert list(notebook.told.values()) == [last]
    assert notebook.note(event(EventKind.RETRACTED, 30.0), NOON + 50.0).retracted
    assert not notebook.told


@pytest.mark.parametrize("payload", [b"{}", b"[]", b"nonsense", b'{"id": 1, "reference": null}'])
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a detection event|Expecting value"):
        Notebook().note(payload, 0.0)


async def test_an_event_travels_through_the_embedded_broker(free_port) -> None:
    port, notebook, ready = free_port(), Notebook(), asyncio.Event()
    arrived: asyncio.Queue[Told] = asyncio.Queue()
    async with broker(port):
        subscriber = asyncio.create_task(subscribe(port, "monitor", notebook, ready.set, arrived.put_nowait))
        await asyncio.wait_for(ready.wait(), 2.0)
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.publish("monitor/one/status", b"not for us", qos=1)
            await client.publish("monitor/one/events", event(EventKind.STARTED, 3.0), qos=1)
        told = await asyncio.wait_for(arrived.get(), 2.0)
        subscriber.cancel()
        with pytest.raises(asyncio.CancelledError):
            await subscriber
    assert told.clip == "a.opus"
    assert arrived.empty()
