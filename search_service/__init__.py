"""What to train next, where, and what we learnt: a hyperparameter search that follows the six-step recipe.

    from pathlib import Path

    import search_service

    found = search_service.search(frame, "churn")           # of any table; found.predict(others)

    study = search_service.prepare(search_service.load(Path("my.yaml")))
    finished = search_service.run(study, settings=search_service.Settings(home="runs"))

What ``__all__`` names is the public surface; everything else may move. To read the code, begin with ``study.py``, which
reads like the recipe itself; docs/architecture.md has the map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.lazy import attach

if TYPE_CHECKING:
    from search_service.client import Client
    from search_service.errors import CheckFailedError, InvalidSpecError, OutsideError, SearchServiceError
    from search_service.records.results import StudyResult, StudyStatus
    from search_service.runners.registry import RUNNERS
    from search_service.runners.stopping import STOPPING_RULES
    from search_service.samplers.registry import SAMPLERS
    from search_service.settings import Settings
    from search_service.spec.config_file import load
    from search_service.spec.study_spec import StudySpec, parse
    from search_service.wiring import (
        FinishedStudy,
        PreparedStudy,
        SearchClassifier,
        SearchRegressor,
        SearchResult,
        extend,
        prepare,
        prepare_again,
        run,
        search,
    )

__version__ = "0.1.0"
__all__ = [
    "RUNNERS",
    "SAMPLERS",
    "STOPPING_RULES",
    "CheckFailedError",
    "Client",
    "FinishedStudy",
    "InvalidSpecError",
    "OutsideError",
    "PreparedStudy",
    "SearchClassifier",
    "SearchRegressor",
    "SearchResult",
    "SearchServiceError",
    "Settings",
    "StudyResult",
    "StudySpec",
    "StudyStatus",
    "__version__",
    "extend",
    "load",
    "parse",
    "prepare",
    "prepare_again",
    "run",
    "search",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "client": ("Client",),
        "errors": ("CheckFailedError", "InvalidSpecError", "OutsideError", "SearchServiceError"),
        "records.results": ("StudyResult", "StudyStatus"),
        "runners.registry": ("RUNNERS",),
        "runners.stopping": ("STOPPING_RULES",),
        "samplers.registry": ("SAMPLERS",),
        "settings": ("Settings",),
        "spec.config_file": ("load",),
        "spec.study_spec": ("StudySpec", "parse"),
        "wiring": (
            "FinishedStudy",
            "PreparedStudy",
            "SearchClassifier",
            "SearchRegressor",
            "SearchResult",
            "extend",
            "prepare",
            "prepare_again",
            "run",
            "search",
        ),
    },
)
