"""The page of a study in MLflow: ``report.json``, all that it shows, and ``report.html``, as files of the study's run.

The document is what counts: whoever has only the record draws the page from it again. One that cannot be made is left
out and noted as a tag, as a picture is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from search_service.errors import RecorderError
from search_service.recorders.mlflow import views
from search_service.recorders.mlflow.store import find_study, newest_study, open_client
from search_service.records.events import StudyFinished
from search_service.report.page.render import render
from search_service.report.page.story import Story
from trainables.redaction import redact

DOCUMENT, PAGE, TEXT = "report.json", "report.html", "report.md"
# Tag of a run: why it has no page.
LEFT_OUT = "page.left_out"
# Characters of the reason: enough for a library's sentence.
MOST_LETTERS = 300


def log_page(client: MlflowClient, run: str, story: Story, event: StudyFinished) -> None:
    """Keep a study's page with its run.

    Args:
        client: The client of the MLflow store.
        run: Id of the study's run.
        story: What the study has told.
        event: Its end.
    """
    try:
        page = story.page(event)
        texts = {} if page is None else {DOCUMENT: page.model_dump_json(), PAGE: render(page)}
    except Exception as error:  # Of any kind: it comes from what values a study happens to have.
        client.set_tag(run, LEFT_OUT, f"{type(error).__name__}: {error}"[:MOST_LETTERS])
        return
    for name, text in texts.items():
        client.log_text(run, text, name)


@dataclass(frozen=True)
class Recorded:
    """What the record has of a study.

    Attributes:
        is_over: Whether its run has ended.
        text: The file that was asked for; None if the run has no such file.
    """

    is_over: bool
    text: str | None


def read(uri: str, study_id: str, name: str) -> Recorded | None:
    """A file of a study's run; None if there is no such study.

    Args:
        uri: The store's address; a SQLite file that is not there is not made.
        study_id: The study's id.
        name: ``DOCUMENT`` or ``TEXT``.

    Raises:
        RecorderError: The store cannot be read.
    """
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return None
    try:
        client = open_client(uri)
        run = find_study(client, study_id)
        if run is None:
            return None
        is_over = run.info.status != "RUNNING"
        if all(file.path != name for file in client.list_artifacts(run.info.run_id)):
            return Recorded(is_over, None)
        with TemporaryDirectory(prefix="search-service-") as folder:
            text = Path(client.download_artifacts(run.info.run_id, name, folder)).read_text(encoding="utf-8")
        return Recorded(is_over, text)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = redact((str(error).splitlines() or [type(error).__name__])[0], uri)
        raise RecorderError(f"MLflow at {redact(uri)} cannot be read: {reason}") from error


def address_of(uri: str, study_id: str | None) -> str | None:
    """Path of a study's page below the UI's address; of the newest study without an id. None if there is no such one.

    Raises:
        RecorderError: The store cannot be read.
    """
    try:
        client = open_client(uri)
        run = newest_study(client) if study_id is None else find_study(client, study_id)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = redact((str(error).splitlines() or [type(error).__name__])[0], uri)
        raise RecorderError(f"MLflow at {redact(uri)} cannot be read: {reason}") from error
    return None if run is None else views.page(run.info.experiment_id, run.info.run_id)
