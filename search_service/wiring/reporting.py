"""A study's report, from its folder or, where that was deleted, from the record alone.

MLflow, and torch with what draws a page, are imported where the record is asked: they take seconds.
"""

from __future__ import annotations

from search_service.errors import DataError, Problem
from search_service.folder import layout, study_folder
from search_service.folder.study_folder import StudyFolder
from search_service.settings import Settings


class UnknownStudyError(DataError):
    """Neither the home nor the record has such a study."""


def report_page(study_id: str, *, settings: Settings) -> str:
    """A study's page, as HTML.

    Args:
        study_id: The study's id.
        settings: Where studies are, and the record.

    Raises:
        UnknownStudyError: There is no such study.
        DataError: It has no page: it has not ended, was cut short or is of an earlier version; the message says which.
        RecorderError: The record cannot be read.
    """
    kept = _kept(study_id, settings, layout.PAGE)
    if kept is not None:
        return kept
    from search_service.recorders.mlflow import page
    from search_service.report.page.render import render_recorded

    text = _recorded(study_id, settings, page.DOCUMENT)
    try:
        return render_recorded(text)
    except ValueError as error:
        rule = f"a document that this version can read ({error})"
        raise DataError([Problem(page.DOCUMENT, study_id, rule, "read it with the version that wrote it")]) from error


def report_text(study_id: str, *, settings: Settings) -> str:
    """A study's report, as Markdown; arguments and errors as of ``report_page``."""
    kept = _kept(study_id, settings, layout.REPORT)
    if kept is not None:
        return kept
    from search_service.recorders.mlflow import page

    return _recorded(study_id, settings, page.TEXT)


def _kept(study_id: str, settings: Settings, name: str) -> str | None:
    """What the study's folder has; None where that is gone, or has none."""
    folder = _folder(study_id, settings)
    if folder is None or not (folder.path / name).is_file():
        return None
    return (folder.path / name).read_text(encoding="utf-8")


def _recorded(study_id: str, settings: Settings, name: str) -> str:
    """What the record has of a study whose folder has none."""
    from search_service.recorders.mlflow import page

    folder = _folder(study_id, settings)
    recorded = page.read(settings.record_uri, study_id, name)
    if recorded is not None and recorded.text is not None:
        return recorded.text
    if folder is None and recorded is None:
        rule = f"a study under {settings.studies}, or in the record at {settings.shown_record}"
        fix = study_folder.meant(settings.studies, study_id) or "check the id, --home or MLFLOW_TRACKING_URI"
        raise UnknownStudyError([Problem("STUDY", study_id, rule, fix)])
    raise DataError([_without_report(study_id, folder, is_over=recorded is not None and recorded.is_over)])


def _folder(study_id: str, settings: Settings) -> StudyFolder | None:
    try:
        return study_folder.find(settings.studies, study_id)
    except DataError:
        return None


def _without_report(study_id: str, folder: StudyFolder | None, *, is_over: bool) -> Problem:
    """Why a study that there is has no report, and what brings one."""
    if folder is None:
        over = "it was cut short or is of an earlier version" if is_over else "it runs, or was killed before its end"
        return Problem("STUDY", study_id, f"a study that has its report in the record; {over}", "look at it in MLflow")
    if folder.is_locked:
        return Problem("STUDY", study_id, "a study that has ended; this one is running", "wait for its end, or stop it")
    if folder.ending is None:
        fix = f"search-service run --study {study_id} goes on with it"
        return Problem("STUDY", study_id, "a study that has ended; this one was cut short", fix)
    fix = f"search-service sync {study_id} writes it"
    return Problem("STUDY", study_id, "a study with a report; an earlier version wrote this one", fix)
