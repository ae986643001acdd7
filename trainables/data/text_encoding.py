"""In which encoding a text file is written: by its mark, as UTF-8, or by the letters beyond English that it has."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from trainables.errors import DataError, Problem

# Bytes around the first letter beyond English that are looked at, where the file begins without one.
_AROUND = 256 * 1024
# In cp1252: one letter or sign among others (é, €, °, a dash), or two in a word (größer). In Shift-JIS, the other
# encoding with letters behind such bytes, these are others.
_WESTERN = re.compile(
    rb"(?<![\x80-\xff])(?:[\x80\x85\x91-\x97\xa0-\xff]|(?<=[A-Za-z])[\xc0-\xff]{2}|[\xc0-\xff]{2}(?=[A-Za-z]))(?![\x80-\xff])"
)
# What Russian is written in beside UTF-8: Windows', Unix' and DOS' alphabets. The commonest first: it wins a tie.
_CYRILLIC = ("cp1251", "koi8_r", "cp866")
# The ten letters that are two thirds of Russian, Ukrainian and Bulgarian texts, and the share that is asked for.
_COMMON, _LEAST_COMMON = frozenset("оеаинтсрвлі"), 0.5
_MOSTLY = 0.9


def find(sample: bytes, file: Path, path: str, shown: str, usual: str | None) -> str:
    """The encoding of a file; the first bytes that are not plain English decide.

    What is not UTF-8 is in the encoding ``usual`` of the training file, where there is one: a few rows say too little.

    Args:
        sample: The file's first bytes.
        file: The file.
        path: Config key, for messages.
        shown: What the file is called, for messages.
        usual: The training file's.

    Raises:
        DataError: It cannot be told.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if sample.startswith(mark):
            return encoding
    if sample.isascii():
        sample = _first_beyond_ascii(file) or sample
    for cut in range(4):
        # The sample may end within a letter.
        try:
            sample[: len(sample) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        else:
            return "utf-8"
    if usual not in (None, "utf-8", "utf-8-sig"):
        return str(usual)
    if _is_western(sample):
        return "cp1252"
    found = _cyrillic_of(sample) or _by_statistics(sample)
    if found is None:
        rule = "text in an encoding that can be recognised"
        raise DataError([Problem(path, shown, rule, "save it as UTF-8, or name its encoding in data.csv.encoding")])
    return found


def _by_statistics(sample: bytes) -> str | None:
    """The encoding in which a text is most like one; None if it is in none."""
    import charset_normalizer

    best = charset_normalizer.from_bytes(sample).best()
    if best is None or "\x00" in str(best):
        return None
    if best.encoding == "mac_greek" and _decodes(sample, "cp1253"):
        # Nobody has written by the Macintosh's since 2001, and statistics cannot tell the two.
        return "cp1253"
    # Windows' variant holds all of Latin-1's letters and is what is usually meant.
    return "cp1252" if best.encoding in ("latin_1", "cp1250", "cp1252") else str(best.encoding)


def _first_beyond_ascii(file: Path) -> bytes | None:
    """Bytes around the first one that is not ASCII."""
    with file.open("rb") as opened:
        while block := opened.read(16 * _AROUND):
            if not block.isascii():
                at = int(np.flatnonzero(np.frombuffer(block, np.uint8) > 127)[0])
                return block[max(0, at - _AROUND) : at + _AROUND]
    return None


def _is_western(sample: bytes) -> bool:
    """Whether letters beyond English stand alone among others, as é, ö and € do.

    Of alphabets that share no letter with English, and of Chinese, whole words are beyond. A few accented names in a
    large file are too few for statistics, by which Köln is of Hewlett-Packard's alphabet of 1984.
    """
    if not _decodes(sample, "cp1252"):
        return False
    alone = sum(len(run) for run in _WESTERN.findall(sample))
    return 2 * alone > sum(len(run) for run in re.findall(rb"[\x80-\xff]+", sample))


def _decodes(sample: bytes, encoding: str) -> bool:
    try:
        sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _cyrillic_of(sample: bytes) -> str | None:
    """The Cyrillic encoding in which words beyond English read as Russian or a language like it; None for others.

    Letters must be nearly all there is, large ones at the beginning of words or throughout, and half of them those ten
    that make two thirds of such texts. By other encodings, and for other alphabets, it is a third at most.
    """
    words = re.findall(rb"[\x80-\xff]+", sample)
    found = {encoding: _commonness(words, encoding) for encoding in _CYRILLIC}
    best = max(found, key=lambda encoding: found[encoding])
    return best if found[best] >= _LEAST_COMMON else None


def _commonness(words: list[bytes], encoding: str) -> float:
    """Share of the commonest letters; 0 where words are none."""
    texts = [word.decode(encoding, errors="replace") for word in words]
    letters = "".join(filter(str.isalpha, "".join(texts)))
    cyrillic = sum("\u0400" <= letter <= "\u052f" for letter in letters)
    regular = sum(len(text) for text in texts if text[1:].islower() or text.isupper() or not text[1:].isalpha())
    whole = sum(map(len, texts))
    # Large letters of Unix' alphabet are Hebrew's of Windows, and all that there is of these.
    is_hebrew = encoding == "koi8_r" and letters.isupper()
    if not letters or is_hebrew or cyrillic < _MOSTLY * whole or regular < _MOSTLY * whole:
        return 0.0
    return sum(letter in _COMMON for letter in letters.lower()) / len(letters)


def decode(sample: bytes, encoding: str) -> str:
    """Bytes as text, of which the last letter may be cut.

    Raises:
        DataError: There is no such encoding.
    """
    try:
        return sample.decode(encoding, errors="ignore")
    except LookupError as error:
        rule, fix = "the name of an encoding", "for example utf-8, latin-1 or cp1252"
        raise DataError([Problem("data.csv.encoding", encoding, rule, fix)]) from error
