"""Studies in MLflow. A reviewer needs nothing but the MLflow UI.

    experiment            the spec's ``experiment``
    └── study             named and described by its result (notes.py); what was asked as parameters; report.html,
        │                 report.md, config.yaml, result.json; the table as data set; the model; nine headline metrics
        │                 (test_accuracy, test_low, baseline), others in groups (seeds/…, baseline/linear/…, model/…)
        ├── 1 initial loss, 2 overfit a small sample, 3 learning rates
        │                 measured and expected as metrics, verdict as tags and description, a figure
        ├── 4 coarse search, 5 refined search
        │   │             pictures of the search and trials.csv (search.py); what mattered as metrics
        │   └── r1-000 …  a run per trial: parameters by dotted path, metrics with the epoch as step
        ├── 6 repeat      the decision and its reason
        └── finalists     who won, by what rule
            └── …         a run per finalist, curves averaged over seeds; every metric (validation_mean_roc_auc);
                          a run per baseline, and one for the refit

A comparison of optimisers is a run of its own, with a run per optimiser: its mean curves, and its row of the table.

    experiment
    └── comparison        report.md as description; loss_curves.png, loss_slice.png, paths.html
        └── sgd …         parameters by dotted path, metrics with the epoch as step

Runs are joined by the tag ``mlflow.parentRunId``. Everything about a run is written in one batch when it ends, from
the driver: workers never speak to MLflow. Studies are written by ``study_runs.py``, ``trial_runs.py`` and
``finalist_runs.py``, comparisons by ``comparison_runs.py``; ``models.py`` logs and finds models, ``registry.py``
registers them, ``search.py`` logs the pictures and tables that look back on the search, ``views.py`` makes the tables
that links open.

A study that goes on after it was cut short tells what it had told before. So every run of a study has its id as the tag
``study_id``, and one search at the start learns which runs there are: what is finished is left as it is, and what was
being written is completed, without writing a value twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from search_service.errors import RecorderError, RecordRefusedError
from search_service.recorders.mlflow import views
from search_service.recorders.mlflow.comparison_runs import ComparisonRuns
from search_service.recorders.mlflow.experiments import Experiments
from search_service.recorders.mlflow.pictures import end_painter
from search_service.recorders.mlflow.runs import Runs
from search_service.recorders.mlflow.store import open_client, reason_of
from search_service.recorders.mlflow.study_runs import StudyRuns
from search_service.records.events import ComparisonEvent, Event, TrialFinished

# MLflow's words for what it will refuse again, however often it is asked.
_REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "FEATURE_DISABLED")


class MlflowRecorder:
    """Writes a study, or a comparison of optimisers, to an MLflow store.

    Args:
        uri: The store's address: ``sqlite:///…`` or a server.
        artifacts: Folder for files, where no server keeps them.

    Raises:
        RecorderError: The store cannot be opened.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        self._uri = uri
        with self._errors():
            client = open_client(uri)
            client.search_experiments(max_results=1)
            self._runs, self._experiments = Runs(client), Experiments(client, artifacts)
            self._study = StudyRuns(uri, client, self._runs, self._experiments)
            self._comparison = ComparisonRuns(client, self._runs, self._experiments)

    @property
    def page(self) -> str:
        """The study's run, or the experiment's runs before there is one.

        In the UI's view for training: its default is the one for generative AI.
        """
        return views.page(self._runs.experiment, self._study.run or self._comparison.run)

    @property
    def registered(self) -> str:
        """See ``Recorder.registered``."""
        return self._study.registered

    def open_experiment(self, name: str) -> None:
        """Find or make the experiment of what will be recorded, before anything is: its page is known then.

        Raises:
            InvalidSpecError: It was deleted: its name stays taken, and nothing can be written to it.
            RecorderError: MLflow cannot be reached, or refuses.
        """
        with self._errors():
            self._runs.experiment = self._experiments.open(name)

    def record(self, event: Event) -> None:
        """See ``Recorder.record``."""
        self.record_at(event, _now_ms())

    def record_at(self, event: Event, at_ms: int) -> None:
        """See ``BulkRecorder.record_at``."""
        with self._errors():
            self._runs.at_ms = at_ms
            if isinstance(event, ComparisonEvent):
                self._comparison.write(event)
            else:
                self._study.write(event)

    def record_trials(self, events: Sequence[tuple[TrialFinished, int]]) -> None:
        """See ``BulkRecorder.record_trials``."""
        with self._errors():
            self._study.write_trials([(event.trial, at_ms) for event, at_ms in events])

    def recover(self) -> None:
        """See ``BulkRecorder.recover``."""
        with self._errors():
            self._runs.recover()

    def close(self) -> None:
        """Everything is written by ``record`` itself; one that is in the middle of it fails at its next request."""
        self._runs.close()
        end_painter()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = reason_of(error, self._uri)
            kind = RecordRefusedError if getattr(error, "error_code", "") in _REFUSALS else RecorderError
            raise kind(f"MLflow at {self._uri} cannot record the study: {reason}") from error


def _now_ms() -> int:
    return int(time.time() * 1000)
