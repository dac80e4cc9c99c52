"""Detections through amqtt in the same process, as in the demo."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import aiomqtt
import pytest
from amqtt.broker import Broker

from monitor.facts import Fact
from monitor.messages import Detection, EventKind, Play, Reference
from monitor.publish.mqtt import MqttPublisher
from monitor.publish.outbox import DiskOutbox
from monitor.settings import MqttSettings, MqttVersion


def detection(number: int) -> Detection:
    times = {"start_s": 0.0, "end_s": 5.0, "reference_start_s": 0.0, "reference_end_s": 5.0, "detected_s": 3.0}
    play = Play(stream="radio-1", reference_id=1, speed=1.0, score=0.9, evidence=30.0, confidence=0.99, **times)
    return Detection(
        id=f"play-{number}",
        kind=EventKind.STARTED,
        station="radio-1",
        start_utc_s=1_790_000_000.0,
        end_utc_s=1_790_000_005.0,
        uncertainty_s=0.2,
        detected_utc_s=1_790_000_003.0,
        play=play,
        reference=Reference(id=1, path="a.opus", title="T"),
        recipe="0123456789abcdef",
        generation=1,
    )


# amqtt leaves a listening socket to the garbage collector when it shuts down.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_events_and_retained_topics_in_process(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": anonymous})
    await broker.start()
    facts: list[Fact] = []
    outbox = DiskOutbox(tmp_path / "outbox.db", keep_days=1.0, tell=facts.append)
    outbox.put([detection(number) for number in range(60)])
    publisher = MqttPublisher(
        MqttSettings(host="127.0.0.1", port=port, version=MqttVersion.V311), outbox, stations=["radio-1"], tell=facts.append
    )
    events: list[int] = []
    states: list[str] = []
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("monitor/#", qos=1)
        task = asyncio.create_task(publisher.run())
        async with asyncio.timeout(10.0):
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                if message.topic.matches("monitor/+/events"):
                    events.append(json.loads(message.payload)["sequence"])
                    if len(events) == 60:
                        stop = asyncio.create_task(publisher.stop(5.0))
                if message.topic.value == "monitor/status":
                    states.append(json.loads(message.payload)["state"])
                    if states[-1] == "stopped":
                        break
        await asyncio.gather(task, stop)
    assert events == list(range(1, 61))
    assert states == ["online", "stopped"]
    assert outbox.depth == 0
    outbox.close()
    await broker.shutdown()
