"""The rules of BAF, against a plain count on a fine grid."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.evaluate.broadcast.score import Count, Matches, Segment, matches, seconds

GRID = 40


def segments() -> st.SearchStrategy[list[Segment]]:
    one = st.builds(
        lambda station, reference, start, length: Segment(
            station=station, reference=reference, start_s=float(start), end_s=float(start + length)
        ),
        st.sampled_from("ab"),
        st.sampled_from("xyz"),
        st.integers(0, GRID - 1),
        st.integers(0, 12),
    )
    return st.lists(one, max_size=8)


def plain(true: list[Segment], told: list[Segment]) -> Count:
    """Ask every second of every reference on every station."""
    right = false = missed = 0
    for station in "ab":
        for reference in "xyz":
            for at in range(GRID + 12):
                on, said = (
                    any((one.station, one.reference) == (station, reference) and one.start_s <= at < one.end_s for one in some)
                    for some in (true, told)
                )
                right, false, missed = right + (on and said), false + (said and not on), missed + (on and not said)
    return Count(right=right, false=false, missed=missed)


@given(segments(), segments())
@settings(max_examples=150, deadline=None)
def test_seconds_are_those_of_a_plain_count(true: list[Segment], told: list[Segment]) -> None:
    assert seconds(true, told) == plain(true, told)


@given(segments(), segments())
@settings(max_examples=150, deadline=None)
def test_matches_are_those_of_a_plain_count(true: list[Segment], told: list[Segment]) -> None:
    def covered(one: Segment, others: list[Segment]) -> bool:
        return any(
            (one.station, one.reference) == (other.station, other.reference)
            and any(other.start_s <= at < other.end_s for at in range(int(one.start_s), int(one.end_s)))
            for other in others
        )

    found = matches(true, told)
    assert found.told_right == sum(covered(one, true) for one in told)
    assert found.true_found == sum(covered(one, told) for one in true)
    assert (found.told_right + found.told_false, found.true_found + found.true_missed) == (len(told), len(true))


def test_the_figures_of_a_small_case() -> None:
    """Two halves of one play, and a stranger: two matches for one play, half of the seconds right."""

    def segment(reference: str, start_s: float, end_s: float) -> Segment:
        return Segment(station="s", reference=reference, start_s=start_s, end_s=end_s)

    true = [segment("x", 0, 10), segment("y", 20, 30)]
    told = [segment("x", 0, 4), segment("x", 6, 10), segment("z", 0, 8)]
    count, whole = seconds(true, told), matches(true, told)
    assert count == Count(right=8.0, false=8.0, missed=12.0)
    assert (count.precision, count.recall) == (0.5, 0.4)
    assert whole == Matches(told_right=2, told_false=1, true_found=1, true_missed=1)
    assert (whole.per_play, whole.recall) == (2.0, 0.5)
