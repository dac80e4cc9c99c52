"""The first broker that answers is kept; who is lost is not missed for long."""

from __future__ import annotations

import pytest

from monitor.core.backoff import Backoff
from monitor.core.brokers import Address, Rota, read_address


def rota(*names: str) -> Rota:
    return Rota([Address(host=name, port=1883) for name in names], Backoff(1.0, 60.0, lambda: 0.0, stable_s=30.0), stable_s=30.0)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("a.example", "a.example", 1884),
        ("a.example:8883", "a.example", 8883),
        ("10.0.0.1:1", "10.0.0.1", 1),
        ("[::1]", "::1", 1884),
        ("[fe80::1]:1883", "fe80::1", 1883),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    address = read_address(text, default_port=1884)
    assert (address.host, address.port) == (host, port)
    assert read_address(str(address), default_port=1) == address


@pytest.mark.parametrize("text", ["", "a b", "::1", "mqtt://a", "a:0", "a:65536", "a:port", "[::1", ":1883"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is no broker"):
        read_address(text, default_port=1883)


def test_all_are_asked_in_order_and_then_there_is_a_pause() -> None:
    made = rota("a", "b", "c")
    seen = []
    for _ in range(6):
        seen.append((made.current.host, made.failed(0.0)))
    assert seen == [("a", 0.0), ("b", 0.0), ("c", 1.0), ("a", 0.0), ("b", 0.0), ("c", 2.0)]


def test_after_a_loss_the_preferred_one_is_asked_first() -> None:
    made = rota("a", "b")
    made.failed(0.0)
    made.worked(1.0)
    assert made.current.host == "b", "kept while it works"
    assert made.failed(100.0) == 1.0
    assert made.current.host == "a"


def test_one_that_throws_us_out_at_once_is_passed_over() -> None:
    made = rota("a", "b")
    made.worked(0.0)
    assert made.failed(1.0) == 0.0
    assert made.current.host == "b"


def test_a_single_broker_has_the_plain_backoff() -> None:
    made = rota("a")
    assert [made.failed(0.0) for _ in range(3)] == [1.0, 2.0, 4.0]
