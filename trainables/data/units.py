"""Units beside numbers: currencies, measures, and words and letters that say how many zeros are left out."""

from __future__ import annotations

import unicodedata

# What numbers of several sizes end with, in tables of money.
_SIZES = {
    "k": 1e3, "K": 1e3, "tsd": 1e3, "thousand": 1e3, "M": 1e6, "mn": 1e6, "mio": 1e6, "million": 1e6,
    "B": 1e9, "bn": 1e9, "mrd": 1e9, "billion": 1e9, "T": 1e12, "trillion": 1e12,
    "mln": 1e6, "mld": 1e9, "тыс": 1e3, "млн": 1e6, "млрд": 1e9, "lakh": 1e5, "lakhs": 1e5, "crore": 1e7, "crores": 1e7,
    "千": 1e3, "万": 1e4, "萬": 1e4, "百万": 1e6, "亿": 1e8, "億": 1e8,
}  # fmt: skip
# Words, and no single letters, may be written large.
MULTIPLIERS = _SIZES | {
    form: size for word, size in _SIZES.items() if len(word) > 2 for form in (word.capitalize(), word.upper())
}
# Currencies by ISO 4217 and as they are written; symbols are known by their Unicode category.
_CURRENCIES = frozenset(
    """usd eur gbp jpy chf inr cny rmb rub brl cad aud nzd sek nok dkk pln czk huf try zar krw mxn sgd hkd ils thb
    aed ars bdt bgn bhd bob clp cop crc dm dop dzd egp ghs idr isk jod kes ksh kwd kzt lkr mad myr ngn omr pen php pkr
    qar rm ron rp rsd s/ sar sfr tnd twd tzs uah ugx uyu vnd
    rs kr zł fr us$ r$ a$ c$ ca$ au$ nz$ hk$ s$""".split()  # noqa: SIM905 (a list would be forty lines)
)
# Units that are known not to mean the same beside one another.
_UNITS = frozenset(
    """% ‰ bps mcg µg mg g kg t lb oz mm cm m km in ft yd mi ml cl l gal ms s sec min h hr hour d day week month year
    yr mo
    mph km/h kmh kn m/s rpm hp kw w kwh wh v mv a ma hz khz mhz ghz kb mb gb tb °c °f k pa hpa kpa bar psi m² m2 sqm
    ft² sqft ha acre m³ m3 kcal cal kj j""".split()  # noqa: SIM905
)
_COMPARISONS = frozenset("<>≤≥~")


def is_known_unit(unit: str) -> bool:
    """Whether a unit says that a value is an amount: none at all, a currency, per cent, a unit of measurement."""
    return not unit or unit.lower() in _UNITS or is_currency(unit)


def may_be_unit(unit: str) -> bool:
    """Whether what stands behind numbers may be a unit that is not listed (mg/dL, kmpl); a letter is part of a code."""
    return is_known_unit(unit) or "/" in unit or sum(letter.isalpha() for letter in unit) > 1


def is_currency(text: str) -> bool:
    """Whether letters or a sign beside a number name a currency."""
    if set(text) & _COMPARISONS:
        # <$10k is no amount, but anything below one.
        return False
    return any(unicodedata.category(letter) == "Sc" for letter in text) or text.rstrip(".").lower() in _CURRENCIES


def base_of(unit: str) -> str:
    """A unit without what only says how many zeros are left out."""
    if unit in MULTIPLIERS:
        return ""
    head, _, tail = unit.rpartition(" ")
    return head if head and tail in MULTIPLIERS else unit


def singular(unit: str) -> str:
    """Year and years are one unit, and so are USD and usd."""
    lower = unit.lower()
    # Two letters and an s: most words of three letters end in it by themselves.
    if lower in ("lbs", "yrs", "mos", "hrs"):
        return lower[:-1]
    if lower in _UNITS or is_currency(lower):
        return lower
    return lower[:-1] if len(lower) > 3 and lower.endswith("s") else lower
