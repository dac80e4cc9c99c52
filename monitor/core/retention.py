"""Up to when things are old enough to be forgotten, by a clock that may be wrong.

Knows times. A clock set years ahead must not make a year of history old at once; one set right must be believed in the end.
"""

from __future__ import annotations

CATCH_UP = 2.0
"""Age is counted from a moment that follows the clock at most so many times as fast as time passes: what a jump of years brings
into danger is as much history as the clock was wrong for, and a monitor that was off for a week has caught up after one."""


def reckoned_s(before_s: float, elapsed_s: float, utc_s: float) -> float:
    """Return the moment age is counted from now, in seconds of UTC.

    Args:
        before_s: That moment when it was last asked for.
        elapsed_s: What has passed since, by a clock that is never set.
        utc_s: What the clock says.
    """
    return min(utc_s, before_s + CATCH_UP * max(elapsed_s, 0.0))
