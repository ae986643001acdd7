"""What the routes work with, as one object; a route takes it as a parameter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from search_service.service.following import Following
from search_service.service.reconciler import Reconciler
from search_service.service.settings import ServiceSettings
from search_service.service.store import Store
from search_service.service.submissions import Submissions


@dataclass(frozen=True)
class Parts:
    """The service's parts."""

    settings: ServiceSettings
    store: Store
    reconciler: Reconciler
    submissions: Submissions
    following: Following

    def folder(self, study_id: str) -> Path:
        """Of a study."""
        return self.settings.home.absolute() / "studies" / study_id


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Service = Annotated[Parts, Depends(_parts)]
