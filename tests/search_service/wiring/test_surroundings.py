"""D6: temporary files of studies, several of which may run in one process."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from search_service.wiring.surroundings import scratch_folder


def test_d6_studies_that_end_in_any_order_leave_no_temporary_files_and_a_place_for_others(tmp_path):
    usual, first, second = tempfile.gettempdir(), ExitStack(), ExitStack()
    for name, stack in (("a", first), ("b", second)):
        (tmp_path / name).mkdir()
        stack.enter_context(scratch_folder(tmp_path / name))
    of_the_first = Path(tempfile.mkdtemp())
    first.close()
    # The second had it made, and the first may not have ended its work there.
    assert of_the_first.is_dir()
    assert Path(tempfile.mkdtemp()).is_relative_to(tmp_path / "b")
    second.close()
    assert tempfile.gettempdir() == usual
    assert list(tmp_path.glob("*/*")) == []
