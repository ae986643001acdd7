"""E1: pictures are drawn by a process beside this one, and whatever becomes of that process they are drawn."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import matplotlib
import psutil
import pytest
from matplotlib.figure import Figure

from search_service.recorders.figures.painter import Painter, paint
from search_service.recorders.figures.style import new_figure
from tests.processes import lives


def parabola(note: Path | None = None, end_with: int | None = None) -> Figure:
    """Note who draws it; ``end_with``: unless it is this process, it ends then."""
    if note is not None:
        note.write_text(str(os.getpid()))
    if end_with not in (None, os.getpid()):
        os._exit(1)
    figure, (axis,) = new_figure()
    axis.plot([0, 1, 2], [0, 1, 4])
    return figure


def impossible() -> Figure:
    figure, (axis,) = new_figure()
    axis.set_ylim(0, float("nan"))
    return figure


@pytest.fixture(scope="module")
def at_work() -> Iterator[Painter]:
    """One that has begun: it imports a second."""
    painter = Painter()
    yield painter
    painter.close()


def test_e1_a_picture_is_the_same_as_if_it_were_drawn_here_and_another_process_has_drawn_it(at_work, tmp_path):
    note, theirs, ours = (tmp_path / name for name in ("note", "theirs.png", "ours.png"))
    at_work.draw(partial(parabola, note), theirs)
    with matplotlib.rc_context():
        # Another test may have set a style for its whole process, as Optuna's pictures do; a painter knows none.
        matplotlib.rcdefaults()
        paint(parabola, ours)
    assert theirs.read_bytes() == ours.read_bytes()
    assert int(note.read_text()) != os.getpid()


def test_e1_what_goes_wrong_there_is_raised_here(at_work, tmp_path):
    with pytest.raises(ValueError, match="Axis limits cannot be NaN or Inf"):
        at_work.draw(impossible, tmp_path / "no.png")
    with pytest.raises(FileNotFoundError):
        at_work.draw(parabola, tmp_path / "nowhere" / "no.png")


def test_e1_what_cannot_be_sent_is_drawn_here(at_work, tmp_path):
    note = tmp_path / "note"
    at_work.draw(lambda: parabola(note), tmp_path / "it.png")
    assert int(note.read_text()) == os.getpid()


def test_e1_a_process_that_is_forked_draws_by_one_of_its_own(at_work, tmp_path):
    context = multiprocessing.get_context("fork")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    forked = context.Process(target=at_work.draw, args=(partial(parabola, theirs), tmp_path / "theirs.png"))
    forked.start()
    forked.join()
    at_work.draw(partial(parabola, ours), tmp_path / "ours.png")
    assert forked.exitcode == 0 and ours.read_text() != theirs.read_text()


def test_e1_a_process_that_dies_over_a_picture_is_begun_again_and_given_up_the_second_time(tmp_path):
    painter, note = Painter(), tmp_path / "note"
    drawers = []
    for _ in range(3):
        painter.draw(partial(parabola, note, end_with=os.getpid()), tmp_path / "it.png")
        painter.draw(partial(parabola, note), tmp_path / "it.png")
        drawers.append(int(note.read_text()))
    painter.close()
    assert drawers[0] != os.getpid() and drawers[1:] == [os.getpid(), os.getpid()]


def test_e1_it_ends_with_the_recorder_and_with_whoever_asked(tmp_path):
    painter, note = Painter(), tmp_path / "note"
    painter.draw(partial(parabola, note), tmp_path / "it.png")
    painter.close()
    assert not lives(int(note.read_text()))

    # A folder with a file that is called like one of Python's own, and a script without ``if __name__``.
    Path(tmp_path, "random.py").write_text("raise SystemExit('this is not random')")
    script = f"""
import os, signal, sys
sys.path[:] = {[p for p in sys.path if p]!r}
from functools import partial
from pathlib import Path
from search_service.recorders.figures.painter import Painter
from tests.search_service.recorders import test_painter as drawn
Painter().draw(partial(drawn.parabola, Path("note")), Path("it.png"))
print(Path("note").read_text(), os.getpid(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    drawer, asker = ended.stdout.split()
    assert ended.returncode < 0, ended.stderr
    assert drawer != asker
    psutil.wait_procs([psutil.Process(int(drawer))] if lives(int(drawer)) else [], timeout=20)
    assert not lives(int(drawer))
