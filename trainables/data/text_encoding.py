"""In which encoding a text file is written: by its mark, as UTF-8, or by the letters beyond English that it has."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from trainables.data import alphabets
from trainables.errors import DataError, Problem

# Bytes around the first letter beyond English that are looked at, where the file begins without one.
_AROUND = 256 * 1024
# Words that are shown of them.
_SHOWN = 3
# In cp1252: one letter or sign among others (é, €, °, a dash), or two in a word (größer). In Shift-JIS, the other
# encoding with letters behind such bytes, these are others.
_WESTERN = re.compile(
    rb"(?<![\x80-\xff])(?:[\x80\x85\x91-\x97\xa0-\xff]|(?<=[A-Za-z])[\xc0-\xff]{2}|[\xc0-\xff]{2}(?=[A-Za-z]))(?![\x80-\xff])"
)


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
    if wide := _wide(sample):
        return wide
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
    found = alphabets.of_latin_letters(sample) or ("cp1252" if _is_western(sample) else None)
    found = found or alphabets.of_another_script(sample) or _by_statistics(sample)
    if found is None:
        rule = "text in an encoding that can be recognised"
        raise DataError([Problem(path, shown, rule, "save it as UTF-8, or name its encoding in data.csv.encoding")])
    return found


def _wide(sample: bytes) -> str | None:
    """UTF-16 without its mark, by the zeros in every other byte of digits, delimiters and English; None otherwise."""
    # No other encoding of text has zeros; Chinese and Greek have digits and delimiters, too.
    for encoding, zeros, others in (("utf-16-le", sample[1::2], sample[::2]), ("utf-16-be", sample[::2], sample[1::2])):
        if zeros.count(0) > len(zeros) / 10 and others.count(0) == 0:
            return encoding
    return None


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


def words_beyond(text: str) -> str:
    """A few words with letters beyond English, by which a person sees whether the encoding is right; empty without."""
    found = dict.fromkeys(word for word in re.findall(r"[^\s,;|\"']+", text[:_AROUND]) if not word.isascii())
    return ", ".join(list(found)[:_SHOWN])


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
