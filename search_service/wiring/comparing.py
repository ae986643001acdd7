"""A comparison of optimisers, run and recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from search_service.comparison import compare as compare_optimizers
from search_service.folder import journals, layout
from search_service.recorders.background import Backlog
from search_service.records.comparison_results import ComparisonResult
from search_service.records.events import Listener
from search_service.report.comparison_documents import ComparisonDocument
from search_service.runners.interrupts import catch_interrupts
from search_service.settings import Settings
from search_service.study import summarize
from search_service.wiring.preparing import PreparedStudy
from search_service.wiring.record import places_of, recording, wait_for_record
from search_service.wiring.surroundings import installed_versions, make_folder, new_id, one_listener, scratch_folder
from trainables.process import prepared_process


@dataclass(frozen=True)
class FinishedComparison:
    """A comparison that is over.

    Attributes:
        result: What was found.
        places: Where to look, by name, as in ``FinishedStudy``.
        backlog: What is not in the record.
    """

    result: ComparisonResult
    places: dict[str, str]
    backlog: Backlog


@prepared_process()
def compare(
    study: PreparedStudy,
    *,
    settings: Settings,
    listeners: Sequence[Listener] = (),
    say: Callable[[str], None] = lambda text: None,
) -> FinishedComparison:
    """Compare optimisers on a study's trial, in this process, and record it; test rows stay unseen.

    Args:
        study: What ``prepare`` gave; of its spec, ``comparison`` says what is compared.
        settings: Where things live.
        listeners: Hear every event after the recorder.
        say: Hears what takes long when everything is compared, in a sentence.

    Returns:
        The result, where everything is, and what the record still lacks.

    Raises:
        OutsideError: MLflow cannot be reached.
        KeyboardInterrupt: After everything was recorded.
    """
    comparison_id = new_id(study.spec)
    with ExitStack() as stack:
        interrupts = stack.enter_context(catch_interrupts())
        recorder = stack.enter_context(recording(settings, study.spec))
        from search_service.recorders.figures import comparison as figures

        folder = make_folder(settings, "comparisons", comparison_id, study.spec)
        stack.enter_context(scratch_folder(folder))
        result = compare_optimizers(
            study.spec,
            study.dataset,
            summarize(study.spec, study.table),
            one_listener([recorder.record, *listeners], interrupts),
            figures.write,
            comparison_id=comparison_id,
            folder=folder,
            versions=installed_versions(),
        )
        backlog, places = wait_for_record(recorder, say), places_of(settings, folder, recorder)
        journals.write_whole(folder / layout.RESULT, ComparisonDocument.of(study.spec, result, places).plain())
        return FinishedComparison(result, places, backlog)
