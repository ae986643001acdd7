"""Numbers, curves and texts in the length that a page needs: a pixel is wider than the fifth digit.

>>> short(0.123456), short(1234567.0), short(math.nan)
(0.1235, 1235000.0, None)
>>> evenly(10, 4)
[0, 3, 6, 9]
"""

from __future__ import annotations

import math
from typing import Any

# Digits of what is drawn, and of a hyperparameter, which somebody may want to type again.
DIGITS, DIGITS_OF_A_VALUE = 4, 6
# Characters of a sentence of which a study may have as many as trials.
MOST_LETTERS = 300


def short(value: float | None, digits: int = DIGITS) -> float | None:
    """A number with so many significant digits; None for what is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of the indices below ``count``, the first and the last among them, evenly apart."""
    if count <= most:
        return list(range(count))
    if most < 2:
        return [count - 1][:most]
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def label(value: Any) -> str:
    """A choice as people write it: ``128×128`` for the sizes of layers, ``off`` for none."""
    if isinstance(value, (tuple, list)):
        return "×".join(map(str, value)) or "no layers"
    return "off" if value is None else str(value)


def cut(text: str, most: int = MOST_LETTERS) -> str:
    """A text of at most so many characters; halves of a character, which no file holds, as escapes."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= most else text[: most - 1] + "…"
