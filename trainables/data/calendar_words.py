"""Months, quarters and weeks as calendars of several languages write them, made into what ``strptime`` knows.

``24. März 2024``, ``3 févr. 2024``, ``15 de mayo de 2024`` become dates with English months; a quarter (``2024-Q3``)
and a week (``2024-W05``, ``KW 5/2024``) become their first days. And instants counted in seconds since 1970.

>>> in_english(pd.Series(["24. März 2024", "3 févr. 2024"]), "%d. %B %Y").tolist()
['24. March 2024', '3 February 2024']
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

# Names in full, then abbreviations; those that are English already are not repeated. No word means two months.
_MONTHS: tuple[tuple[str, str, str], ...] = (
    ("January", "januar jänner jaenner janvier enero gennaio janeiro januari stycznia styczeń", "janv ene gen jän sty"),
    (
        "February",
        "februar feber février fevrier febrero febbraio fevereiro februari lutego luty",
        "févr fevr fév fev lut",
    ),
    ("March", "märz maerz mars marzo março marco maart marca marzec", "mär mrz mrt"),
    ("April", "avril abril aprile kwietnia kwiecień", "avr abr kwi"),
    ("May", "mai mayo maggio maio mei maja maj", "mag"),
    ("June", "juni juin junio giugno junho czerwca czerwiec", "giu cze"),
    ("July", "juli juillet julio luglio julho lipca lipiec", "juil lug lip"),
    ("August", "août aout agosto augustus sierpnia sierpień", "ago sie"),
    ("September", "septembre septiembre setiembre settembre setembro września wrzesień", "sept set wrz"),
    ("October", "oktober octobre octubre ottobre outubro października październik", "okt ott out paź"),
    ("November", "novembre noviembre novembro listopada listopad", "lis"),
    ("December", "dezember décembre decembre diciembre dicembre dezembro grudnia grudzień", "dez déc dic gru"),
)
_ENGLISH = {word: month for month, full, _ in _MONTHS for word in full.split()}
_ENGLISH |= {word: month for month, _, short in _MONTHS for word in short.split()}
# With a point behind, English ones, too: 3 oct. 2024.
_ABBREVIATED = {month[:3].lower(): month for month, _, _ in _MONTHS} | _ENGLISH
# A word with the point that abbreviates it. "de" and "del" stand between the parts of a Spanish or Portuguese date.
_WORD = re.compile(r"[^\W\d_]+\.?")
_BETWEEN = {"de", "del"}

# What ``strptime`` has no letters for: %q is a quarter from 1 to 4; %s, %Q, %s%f and %s%N are seconds, milliseconds,
# microseconds and nanoseconds since 1970.
QUARTERS = ("%Y-Q%q", "%YQ%q", "%Y Q%q", "%Y/Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y")
WEEKS = ("%G-W%V", "%GW%V", "%G W%V", "W%V %G", "W%V-%G", "W%V/%G", "KW%V/%G", "KW %V/%G", "KW%V %G", "KW %V %G")
SINCE_1970 = {"%s": "s", "%Q": "ms", "%s%f": "us", "%s%N": "ns"}
UNITS_SINCE_1970 = {"%s": "seconds", "%Q": "milliseconds", "%s%f": "microseconds", "%s%N": "nanoseconds"}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# The first moment that a column of seconds since 1970 is thought to hold, and the last: the years 2000 and 2040.
FIRST_S, LAST_S = 946_684_800, 2_208_988_800


def in_english(texts: pd.Series[Any], form: str) -> pd.Series[Any]:
    """Texts with English names of months in the place of others', in full or short as a format has them.

    Languages that abbreviate some months write the others in full all the same (janv., mars). What is none stays.
    """
    if "%b" not in form and "%B" not in form:
        return texts
    letters = None if "%B" in form else 3
    return texts.astype(object).map(lambda text: _translated(str(text), letters), na_action="ignore")


def _translated(text: str, letters: int | None) -> str:
    words = {
        word: (_ABBREVIATED if word.endswith(".") else _ENGLISH).get(word.rstrip(".").lower(), "")[:letters]
        for word in _WORD.findall(text)
    }
    if not any(words.values()):
        return text
    kept = _WORD.sub(lambda found: words[found[0]] or found[0], text)
    return " ".join(part for part in kept.split() if part.lower() not in _BETWEEN)


def is_ours(form: str) -> bool:
    """Whether a format is none of ``strptime``'s."""
    return "%q" in form or form in SINCE_1970 or ("%V" in form and "%u" not in form)


def parse(texts: pd.Series[Any], form: str) -> pd.Series[Any]:
    """Texts of such a format as dates; NaT for others."""
    if form in SINCE_1970:
        return _of_instants(pd.to_numeric(texts, errors="coerce"), SINCE_1970[form])
    if "%q" not in form:
        # A week is known by its Monday.
        return pd.to_datetime(texts + "-1", format=f"{form}-%u", errors="coerce").astype("datetime64[us]")
    pattern = re.escape(form).replace("%Y", r"(?P<year>\d{4})").replace("%q", "(?P<quarter>[1-4])")
    parts = texts.astype(str).str.extract(f"(?i)^{pattern}$")
    months = pd.to_numeric(parts["quarter"], errors="coerce") * 3 - 2
    written = parts["year"] + "-" + months.astype("Int64").astype(str).str.zfill(2)
    return pd.to_datetime(written, format="%Y-%m", errors="coerce").astype("datetime64[us]")


def _of_instants(numbers: pd.Series[Any], unit: str) -> pd.Series[Any]:
    """Numbers since 1970 as dates, by their unit; a number that lies in these years by another one is of that.

    A later file may have been written by a program that counts otherwise: seconds in a log are milliseconds in JSON.
    """
    # As floats, of which those of today are exact to the microsecond.
    instants = numbers.astype("float64") * (10**6 // _PER_SECOND[unit] if unit != "ns" else 1e-3)
    for per_second in _PER_SECOND.values():
        is_other = numbers.between(FIRST_S * per_second, LAST_S * per_second)
        instants = instants.where(~is_other, numbers.astype("float64") * (10**6 / per_second))
    return pd.to_datetime(instants.round(), unit="us", errors="coerce").astype("datetime64[us]")


def since_1970(smallest: int, largest: int) -> str | None:
    """The format of whole numbers that may be instants since 1970, by their ends; None where they are none."""
    for form, unit in SINCE_1970.items():
        factor = _PER_SECOND[unit]
        if factor * FIRST_S <= smallest and largest <= factor * LAST_S:
            return form
    return None
