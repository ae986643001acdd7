"""The page of a study that is over, as ``report.html`` in its folder: for whoever has neither a service nor MLflow.

One that cannot be made is left out and noted in the log: a study is worth more than its page.
"""

from __future__ import annotations

import logging
from pathlib import Path

from search_service.folder import layout
from search_service.records.events import Event, StudyFinished
from search_service.report.page.render import render
from search_service.report.page.story import Story

_log = logging.getLogger(__name__)


class PageFile:
    """Hears a study and writes its page when it ends, one way or another.

    Args:
        folder: The study's folder, which exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._story = folder, Story()

    def record(self, event: Event) -> None:
        """Keep what an event brings; write the page with the last one."""
        self._story.hear(event)
        if not isinstance(event, StudyFinished):
            return
        try:
            page = self._story.page(event)
            if page is not None:
                (self._folder / layout.PAGE).write_text(render(page), encoding="utf-8")
        except Exception as error:  # Of any kind: it comes from what values a study happens to have.
            _log.warning("%s cannot be written: %s: %s", layout.PAGE, type(error).__name__, error)
