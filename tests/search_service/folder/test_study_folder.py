"""Looking at a study's folder changes nothing in it and is in nobody's way."""

from __future__ import annotations

import fcntl
import threading

from search_service.folder import layout
from search_service.folder.study_folder import StudyFolder


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
