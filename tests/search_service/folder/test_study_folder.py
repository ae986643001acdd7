"""Looking at a study's folder changes nothing in it and is in nobody's way."""

from __future__ import annotations

import fcntl
import threading

import pytest

from search_service.errors import DataError
from search_service.folder import layout
from search_service.folder.study_folder import StudyFolder, find


def test_e1_looking_whether_somebody_works_on_a_study_makes_no_file(tmp_path):
    """It may be in a home that one may only read: one such study broke the whole list."""
    assert not StudyFolder(tmp_path).is_locked
    assert list(tmp_path.iterdir()) == []
    with StudyFolder(tmp_path).lock():
        assert StudyFolder(tmp_path).is_locked
    assert not StudyFolder(tmp_path).is_locked


def test_e1_who_looks_is_not_taken_for_one_who_works(tmp_path):
    (tmp_path / layout.LOCK).touch()
    with (tmp_path / layout.LOCK).open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.05, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with StudyFolder(tmp_path).lock():
            assert StudyFolder(tmp_path).is_locked


def test_d6_a_study_that_is_called_by_a_part_of_its_id_is_named(tmp_path):
    for name in ("wine-20261130-101500-aa", "wine-20261201-090000-bb", "iris-20261201-090000-cc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / layout.SPEC).write_text("{}")
    (tmp_path / "wine-20261202").mkdir()  # No study.
    for asked, fix in (
        ("iris", "did you mean iris-20261201-090000-cc?"),
        ("wine", "give the whole id: 2 begin so, the last of which is wine-20261201-090000-bb"),
        ("wine-20261130-101500-ab", "did you mean wine-20261130-101500-aa?"),
        ("digits", "check the id, or --home"),
    ):
        with pytest.raises(DataError) as caught:
            find(tmp_path, asked)
        assert caught.value.problems[0].fix == fix
