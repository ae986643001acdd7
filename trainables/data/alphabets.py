"""Which alphabet the bytes of a text are in, where they are not UTF-8: by how its letters come in words.

Statistics of all encodings there are (charset-normalizer) take a few names for Hewlett-Packard's alphabet of 1984. Here
are those that tables are written in, each with what tells it from Western Europe's cp1252:

    other scripts      nearly all beyond English are letters of one script, half of them its commonest
    Turkish, cp1254    its letters and no others, at least two of those that Icelandic has in their place
    Polish, Czech, Hungarian, cp1250    their letters and no others, which in cp1252 are signs within words, or letters
                       that no single language of Western Europe has
    DOS and Macintosh  in cp1252, signs stand within words; here, letters do, large ones at their beginning
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MOSTLY, _LEAST_COMMON = 0.9, 0.5


class _Script(NamedTuple):
    """Encodings of a script, the commonest first, which wins a tie; its first and last letter; its commonest ones."""

    encodings: tuple[str, ...]
    first: str
    last: str
    common: frozenset[str]


# Ten letters of Russian, Ukrainian and Bulgarian are two thirds of such texts, and of the other languages likewise.
_SCRIPTS = (
    _Script(("cp1251", "koi8_r", "cp866"), "\u0400", "\u052f", frozenset("оеаинтсрвлі")),
    _Script(("cp1253",), "\u0370", "\u03ff", frozenset("αοιετσνηρυςάόίέή")),
    _Script(("cp1255",), "\u0590", "\u05ff", frozenset("יוהלאמרתשבנ")),
    _Script(("cp1256",), "\u0600", "\u06ff", frozenset("اليمنورتبةدع")),
    _Script(("cp874",), "\u0e00", "\u0e7f", frozenset("านรกเงยลม่้วทสีัอ")),
)
_ACCENTED = frozenset("άέήίόύώΆΈΉΊΌΎΏ")
_WORD = re.compile(r"[^\W\d_]+")
# Bytes beyond English, and the letters of English beside them.
_RUN = re.compile(rb"([A-Za-z])?[\x80-\xff]+([A-Za-z])?")
# Letters beyond English of languages that cp1252 is for.
_WESTERN = tuple(
    map(
        frozenset,
        ("äöüß", "éèêëàâçîïôùûœæÿ", "áéíóúñü", "ãõáéíóúâêôàçü", "àèéìòùî", "åäöéü", "æøåéò", "áéíóúýæöðþ", "éëïöüèêâ",
         "àçèéíïòóúü", "äöüšžõ", "åäöšž", "éèêàçâîôûäöüß"),
    )
)  # fmt: skip
_TURKISH, _TURKISH_ALONE = frozenset("çöüğışİ"), frozenset("ğışİ")
_POLISH, _CZECH, _HUNGARIAN = frozenset("ąćęłńóśźż"), frozenset("áčďéěíňóřšťúůýž"), frozenset("áéíóöőúüű")
_SLOVAK, _CROATIAN, _ROMANIAN = frozenset("áäčďéíĺľňóôŕšťúýž"), frozenset("čćđšž"), frozenset("ăâîşţ")
_CENTRAL = (_POLISH, _CZECH, _HUNGARIAN, _SLOVAK, _CROATIAN, _ROMANIAN)
_ALL_CENTRAL = frozenset().union(*_CENTRAL)
# What cp1252 has in the place of Polish letters, where no such sign stands.
_SIGNS_IN_WORDS = re.compile("[^\\W\\d_](?:[±µ¶¼¹¾³©®¡¦£¯¬¿¥])[^\\W\\d_]|[^\\W\\d_]{3}[³¹¿]|[¯³¹][a-z]|£ó")
# A sign beyond English within a word, or before it, but for dashes and apostrophes; and what is no character at all.
_SIGN_IN_WORD = re.compile("(?<=[^\\W\\d_])[^\\w\\x00-\\x7f–—’‘…](?=[^\\W\\d_])|[©®±¦¬](?=[a-z])|[\\x80-\\x9f]")
# What stands between letters in cp1252 all the same.
_JOINING = frozenset("–—…’µ")
_WESTERN_BEYOND = frozenset("".join(map("".join, _WESTERN)))
_SIGN_ALONE = re.compile(r"(?<![^\W\d_])[^\w\x00-\x7f\ufffd]|[^\w\x00-\x7f\ufffd](?![^\W\d_])")
_OLD = ("cp850", "mac_roman")


def of_latin_letters(sample: bytes) -> str | None:
    """The encoding of a text in Latin letters, where these tell it from cp1252; None where they do not.

    Args:
        sample: Bytes that are not UTF-8.
    """
    runs = _RUN.findall(sample)
    # Words of another script, and of Chinese, stand by themselves.
    if 2 * sum(bool(before or behind) for before, behind in runs) <= len(runs):
        return None
    return _turkish_or_central(sample) or _old(sample)


def of_another_script(sample: bytes) -> str | None:
    """The encoding in which words beyond English are of one script and read as its languages do; None for others.

    Letters must be nearly all there is, large ones at the beginning of words or throughout, and half of them those that
    make two thirds of such texts. By other encodings, and for other scripts, it is a third at most.

    Args:
        sample: Bytes that are not UTF-8.
    """
    words = re.findall(rb"[\x80-\xff]+", sample)
    found = {encoding: _commonness(words, encoding, script) for script in _SCRIPTS for encoding in script.encodings}
    best = max(found, key=lambda encoding: found[encoding])
    return best if found[best] >= _LEAST_COMMON else None


def _commonness(words: list[bytes], encoding: str, script: _Script) -> float:
    """Share of a script's commonest letters; 0 where words are none of it."""
    texts = [word.decode(encoding, errors="replace") for word in words]
    whole = "".join(texts)
    letters = [letter for letter in whole if script.first <= letter <= script.last]
    regular = sum(len(text) for text in texts if text[1:].islower() or text.isupper() or not text[1:].isalpha())
    has_cases = any(letter.lower() != letter.upper() for letter in script.common)
    # Large letters of Unix' alphabet are Hebrew's of Windows, and all that there is of these.
    is_hebrew = encoding == "koi8_r" and all(letter.isupper() for letter in letters if letter.isalpha())
    if not letters or is_hebrew or len(letters) < _MOSTLY * len(whole):
        return 0.0
    if has_cases and regular < _MOSTLY * len(whole):
        return 0.0
    if script.encodings == ("cp1253",) and not whole.isupper() and not set(whole) & _ACCENTED:
        # Greek words have an accent each, but for those in large letters.
        return 0.0
    return sum(letter in script.common for letter in "".join(letters).lower()) / len(letters)


def _turkish_or_central(sample: bytes) -> str | None:
    """cp1254 or cp1250, where their letters are all that there is and those of cp1252 would be of no language."""
    western = _decoded(sample, "cp1252")
    is_none = western is None or _SIGNS_IN_WORDS.search(western) is not None
    if not is_none and any(_letters_of(western or "") <= language for language in _WESTERN):
        return None
    turkish = _letters_of(_decoded(sample, "cp1254") or "")
    if turkish <= _TURKISH and len(turkish & _TURKISH_ALONE) > 1:
        return "cp1254"
    found: dict[str, bool] = {}
    for encoding in ("cp1250", "iso8859_2"):
        text = _decoded(sample, encoding)
        letters = _letters_of(text or "")
        if text and letters and letters <= _ALL_CENTRAL and _is_regular(text) and (is_none or _are_telling(letters)):
            found[encoding] = any(letters <= language for language in _CENTRAL)
    # Letters of one language rather than of several.
    return max(found, key=lambda encoding: found[encoding], default=None)


def _are_telling(letters: frozenset[str]) -> bool:
    """Whether letters that cp1252 has letters for, too, are of Czech and the like, or of Hungarian."""
    is_czech = letters <= _CZECH | _SLOVAK | _CROATIAN and letters & set("šž") and letters & set("čřěů")
    is_hungarian = letters <= _HUNGARIAN and all(letters & set(some) for some in ("őű", "öü", "áéó"))
    return bool(is_hungarian or (is_czech and len(letters) > 2))


def _decoded(sample: bytes, encoding: str) -> str | None:
    """A text; None where a byte is none of the encoding."""
    try:
        return sample.decode(encoding)
    except UnicodeDecodeError:
        return None


def _letters_of(text: str) -> frozenset[str]:
    """Different letters beyond English, small."""
    # A large dotted I is two characters when small.
    return frozenset(
        letter if letter == "İ" else letter.lower() for letter in text if letter > "\x7f" and letter.isalpha()
    )


def _is_regular(text: str) -> bool:
    """Whether words have large letters at their beginning or throughout, and no signs beyond English within."""
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    odd = sum(not (word[1:].islower() or word.isupper() or len(word) == 1) for word in words)
    return odd <= (1 - _MOSTLY) * len(words) and not _SIGN_IN_WORD.search(text)


def _old(sample: bytes) -> str | None:
    """DOS' or the Macintosh's alphabet, where words are such in it and none in cp1252."""
    plausible = {encoding: _plausible(sample, encoding) for encoding in ("cp1252", *_OLD)}
    best = max(_OLD, key=lambda encoding: plausible[encoding])
    return best if plausible[best] >= _MOSTLY and plausible["cp1252"] < _LEAST_COMMON else None


def _plausible(sample: bytes, encoding: str) -> float:
    """Share of the characters beyond English that are letters of Western Europe where a letter may be."""
    text = sample.decode(encoding, errors="replace")
    good = sum(
        letter.lower() in _WESTERN_BEYOND
        for word in _WORD.findall(text)
        if word[1:].islower() or word.isupper() or len(word) == 1
        for letter in word
        if letter > "\x7f"
    )
    if encoding == "cp1252":
        good += len(_SIGN_ALONE.findall(text)) + sum(letter in _JOINING for letter in text)
    beyond = sum(letter > "\x7f" for letter in text)
    return good / beyond if beyond else 0.0
