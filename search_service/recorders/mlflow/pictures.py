"""Pictures as files of a run. One that cannot be drawn is left out and noted: a study is worth more than a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure
from mlflow import MlflowClient

from search_service.recorders.figures.painter import Painter

# Tag of a run: pictures that it lacks, and why.
LEFT_OUT = "pictures.left_out"
# Characters of the reason: enough for a library's sentence.
MOST_LETTERS = 300
# Of this process, whichever study it records.
_painter = Painter()


def log_picture(client: MlflowClient, run: str, name: str, draw: Callable[[], Figure]) -> None:
    """Draw a picture and keep it with a run.

    Args:
        client: The client of the MLflow store.
        run: Its id.
        name: Name of the file.
        draw: Draws it; whatever goes wrong in it, or when the figure is made a PNG, is noted as a tag of the run.
    """
    with TemporaryDirectory(prefix="search-service-") as folder:
        file = Path(folder, name)
        try:
            _write(draw, file)
        except Exception as error:  # Of any kind: it comes from what values a study happens to have.
            said = f"{name}: {type(error).__name__}: {error}"[:MOST_LETTERS]
            before = client.get_run(run).data.tags.get(LEFT_OUT, "")
            if said not in before:
                client.set_tag(run, LEFT_OUT, f"{before}\n{said}".strip())
            return
        client.log_artifact(run, str(file))


def end_painter() -> None:
    """End the process that draws, if one was begun."""
    _painter.close()


def _write(draw: Callable[[], Figure], file: Path) -> None:
    _painter.draw(draw, file)
