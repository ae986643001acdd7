"""The clock of the page's time line: seconds since the first trial began, without the pauses of the study.

A study that goes on after a night, or extends one of last week, would else be two dots at the ends of an empty line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

# Seconds in which nothing was trained that are a pause: with tables of millions of rows, preparing or judging takes
# minutes between two trainings.
PAUSE_S = 900.0


class WorkedClock:
    """Of a study.

    Args:
        trained: When each training began and ended, in seconds since 1970, in any order.

    Attributes:
        first: When the first one began; 0 if there is none.
        paused: Seconds that are left out, all pauses together.

    >>> clock = WorkedClock([(100.0, 110.0), (5000.0, 5010.0)])
    >>> clock.since(105.0), clock.since(5005.0), clock.paused
    (5.0, 15.0, 4890.0)
    """

    def __init__(self, trained: Iterable[tuple[float, float]]) -> None:
        spans = sorted(trained)
        self.first = spans[0][0] if spans else 0.0
        self.paused = 0.0
        # After each pause: when it was over, and what is left out from then on.
        self._over: list[float] = []
        self._left_out: list[float] = [0.0]
        until = self.first
        for began, ended in spans:
            if began - until > PAUSE_S:
                self.paused += began - until
                self._over.append(began)
                self._left_out.append(self.paused)
            until = max(until, ended)

    def since(self, at: float) -> float:
        """Seconds from the first training until an instant within one."""
        return at - self.first - self._left_out[bisect_right(self._over, at)]


def pauses_said(paused: float) -> str:
    """What of the time is not shown; empty if nothing.

    >>> pauses_said(0.0), pauses_said(1800.0), pauses_said(90_000.0)
    ('', 'without 30 minutes in which nothing was trained', 'without 25 hours in which nothing was trained')
    """
    if not paused:
        return ""
    length = f"{paused / 60:.0f} minutes" if paused < 2 * 3600 else f"{paused / 3600:.0f} hours"
    return f"without {length} in which nothing was trained"
