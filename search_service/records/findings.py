"""What was found when something was looked at: how it is, in a sentence, and what to do where it is not well.

Nothing secret of an address stands in one, wherever the words come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from enum import StrEnum

from trainables.redaction import redact
from trainables.visible import visible

# Seconds that two clocks may differ: the service's replicas have to agree so far (docs/service.md), and the times in a
# record are those of the machine that writes.
MOST_CLOCK_DIFFERENCE_S = 5.0
SET_CLOCK = "let both machines follow a time server: timedatectl set-ntp true"


class State(StrEnum):
    """How something is: well; not as it should be, while a study would run; such that a study would not."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What one look found.

    Attributes:
        name: What was looked at.
        state: How it is.
        text: The same in a sentence.
        remedy: What to do, as a command where there is one; empty where nothing is to be done.
    """

    name: str
    state: State
    text: str
    remedy: str = ""

    def __post_init__(self) -> None:
        for part in ("text", "remedy"):
            object.__setattr__(self, part, visible(redact(getattr(self, part))))

    def as_document(self) -> dict[str, str]:
        """For programs."""
        return {"name": self.name, "state": self.state.value, "text": self.text, "remedy": self.remedy}


def clock_of(name: str, date: str | None, sent: float, received: float) -> Finding | None:
    """A warning if the clock of whoever answered differs from this machine's; None if it does not, or says nothing.

    Args:
        name: What was looked at.
        date: The answer's header ``Date``, which is in whole seconds.
        sent: When it was asked, in seconds since 1970 by this machine's clock.
        received: When it had answered.
    """
    parsed = parsedate_tz(date) if date else None
    if parsed is None:
        return None
    earliest = float(mktime_tz(parsed))
    ahead = max(earliest - received, 0.0) - max(sent - (earliest + 1), 0.0)
    if abs(ahead) <= MOST_CLOCK_DIFFERENCE_S:
        return None
    direction = "ahead of" if ahead > 0 else "behind"
    text = f"its clock is {abs(ahead):.0f} s {direction} this machine's, by the header Date of its answer"
    return Finding(name, State.WARNING, text, SET_CLOCK)
