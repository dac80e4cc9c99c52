"""What stands in a table is told apart."""

from __future__ import annotations

from monitor.cli.evaluate import told_apart


def test_two_encoders_of_one_name_are_two_rows() -> None:
    """They were one: of two runs of `compact`, only the last was measured."""
    assert told_apart(["compact", "runs/large.safetensors"]) == {"compact": "compact", "large": "runs/large.safetensors"}
    assert list(told_apart(["one/compact.safetensors", "two/compact.safetensors"])) == [
        "one/compact.safetensors",
        "two/compact.safetensors",
    ]
