"""Joins a runner and recorders and runs a study: the only room that joins them.

``prepare`` does everything that can find a mistake of the user's, before anything is started or written; ``run``
then runs the study, and ``compare`` a comparison of optimisers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.lazy import attach

if TYPE_CHECKING:
    from search_service.wiring.comparing import FinishedComparison, compare
    from search_service.wiring.estimators import SearchClassifier, SearchRegressor
    from search_service.wiring.extending import extend
    from search_service.wiring.from_table import config_of, inspect
    from search_service.wiring.planning import plan
    from search_service.wiring.preparing import PreparedStudy, prepare, prepare_again
    from search_service.wiring.replaying import replay
    from search_service.wiring.reporting import UnknownStudyError, report_page, report_text
    from search_service.wiring.running import FinishedStudy, run, sync, unrecorded
    from search_service.wiring.searching import SearchResult, search

__all__ = [
    "FinishedComparison",
    "FinishedStudy",
    "PreparedStudy",
    "SearchClassifier",
    "SearchRegressor",
    "SearchResult",
    "UnknownStudyError",
    "compare",
    "config_of",
    "extend",
    "inspect",
    "plan",
    "prepare",
    "prepare_again",
    "replay",
    "report_page",
    "report_text",
    "run",
    "search",
    "sync",
    "unrecorded",
]

# ``validate`` and ``inspect`` only read a table: they wait for no torch, Ray or MLflow.
__getattr__, __dir__ = attach(
    __name__,
    {
        "comparing": ("FinishedComparison", "compare"),
        "estimators": ("SearchClassifier", "SearchRegressor"),
        "extending": ("extend",),
        "from_table": ("config_of", "inspect"),
        "planning": ("plan",),
        "preparing": ("PreparedStudy", "prepare", "prepare_again"),
        "replaying": ("replay",),
        "reporting": ("UnknownStudyError", "report_page", "report_text"),
        "running": ("FinishedStudy", "run", "sync", "unrecorded"),
        "searching": ("SearchResult", "search"),
    },
)
