"""What is secret of a table's address while a study may still need it: a file of its own, readable by its owner alone.

A study's ``spec.json`` and its record have addresses as others may see them. The whole ones (with a user's name and
password, or a query that may be a signature) stand in ``addresses.json`` beside it, with mode 0600, until the study is
over for good; nothing else is made of that file. It is what lets a killed study go on by itself. Where it is gone, or a
signature has expired, ``SEARCH_SERVICE_ADDRESSES`` gives the whole address again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search_service.errors import DataError, Problem
from search_service.folder import journals, layout
from search_service.spec.study_spec import StudySpec
from trainables.redaction import has_secret, shown

# Keys of a config's section ``data`` that name tables.
PLACES = ("source", "train", "validation", "test")


def taken_out(spec: StudySpec) -> tuple[StudySpec, dict[str, str]]:
    """A spec that others may see, and the whole addresses of its tables by config key."""
    data, addresses = public(spec.data.model_dump(include=set(PLACES)))
    if not addresses:
        return spec, {}
    changes = {place: data[place] for place in addresses}
    return spec.model_copy(update={"data": spec.data.model_copy(update=changes)}), addresses


def public(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A config's section ``data`` as others may see it, and the whole addresses by config key."""
    whole = {place: data[place] for place in PLACES if isinstance(data.get(place), str) and has_secret(data[place])}
    return {**data, **{place: shown(address) for place, address in whole.items()}}, whole


def keep(folder: Path, addresses: Mapping[str, str]) -> None:
    """Write addresses into a study's folder; without any, nothing is written."""
    if not addresses:
        return
    unfinished = folder / f"{layout.PRIVATE_ADDRESSES}.unfinished"
    unfinished.unlink(missing_ok=True)
    # Made with that mode: between being made and being restricted, others could read it.
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(dict(addresses), file)
    unfinished.replace(folder / layout.PRIVATE_ADDRESSES)


def put_back(raw: Any, folder: Path, given: Sequence[str]) -> Any:
    """A study's config with the whole addresses of its tables.

    Args:
        raw: What ``spec.json`` holds.
        folder: The study's folder.
        given: Whole addresses from elsewhere; one that looks the same to others goes before what was kept.

    Raises:
        DataError: The file that has them cannot be read.
    """
    try:
        kept: dict[str, str] = journals.read_whole(folder / layout.PRIVATE_ADDRESSES) or {}
    except OSError as error:
        rule, fix = "a file that this user can read", "run it as the user who has begun the study"
        raise DataError([Problem(str(folder / layout.PRIVATE_ADDRESSES), error.strerror, rule, fix)]) from error
    data = dict(raw["data"])
    anew = {shown(address): address for address in given}
    for place in PLACES:
        if isinstance(source := data.get(place), str):
            data[place] = anew.get(source) or kept.get(place, source)
    return raw | {"data": data}


def forget(folder: Path) -> None:
    """Take away what was kept."""
    (folder / layout.PRIVATE_ADDRESSES).unlink(missing_ok=True)
