"""Lengths of feet and inches as people write them: ``5'10"``, ``5' 10``, ``5 ft 10 in``, ``6ft``; in inches."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_LENGTH = re.compile(
    r"\s*(?P<feet>\d+)\s*(?:'|′|ft\.?|feet|foot)(?:\s*(?P<inches>\d{1,2}(?:\.\d+)?)\s*(?:\"|″|''|in\.?|inch|inches)?)?\s*"
)


def are_lengths(texts: Iterable[str]) -> bool:
    """Whether all are lengths, one of them of both: 6ft alone is a number with a unit, 5' may be minutes."""
    are_of_both = False
    for text in texts:
        if math.isnan(inches_of(text)):
            return False
        are_of_both |= re.search(r"\d\D+\d", text) is not None
    return are_of_both


def inches_of(text: str) -> float:
    """A length in inches; NaN where a text is none."""
    found = _LENGTH.fullmatch(text)
    inches = float(found["inches"] or 0.0) if found else 0.0
    # Nobody writes 5'14".
    return 12.0 * float(found["feet"]) + inches if found and inches < 12 else float("nan")
