"""A search in one call, from Python: a table in, a network out.

found = search_service.search(frame, "churn")
found.predict(others)
found                                   # in a notebook: the report
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from search_service.errors import CheckFailedError, InvalidSpecError
from search_service.export import exporting
from search_service.records.numbers import score_text
from search_service.records.results import StudyResult
from search_service.report.progress import ProgressDisplay
from search_service.report.study_report import report
from search_service.report.terminal_text import for_terminal
from search_service.runners.registry import runner_kind
from search_service.settings import Settings
from search_service.spec import config_file
from search_service.spec.study_spec import StudySpec, parse
from search_service.wiring.from_table import config_of
from search_service.wiring.preparing import prepare
from search_service.wiring.running import FinishedStudy, run
from trainables.data import frames
from trainables.errors import DataError, Problem
from trainables.model import TableModel

if TYPE_CHECKING:
    import pandas as pd

# Under the home: tables that came from memory, so that a study can go on, and be replayed, without them.
TABLES = "tables"


@dataclass(frozen=True, repr=False)
class SearchResult:
    """What a search has found: call ``predict``; in a notebook, it shows its report.

    Attributes:
        spec: What was run.
        config: The same as YAML with the reason of each line, as ``search-service init`` prints it.
        finished: The study, its result and its places.
        settings: Where its files are.
        labels: The classes as they were in memory, by their names: a target of whole numbers, or of true and false, is
            predicted in these. Empty where names are all there is.
    """

    spec: StudySpec
    config: str
    finished: FinishedStudy
    settings: Settings
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def result(self) -> StudyResult:
        """Everything that was learnt."""
        return self.finished.result

    @property
    def study_id(self) -> str:
        """The study's id, as the commands take it."""
        return self.result.study_id

    @property
    def places(self) -> dict[str, str]:
        """Where to look, by name; see ``FinishedStudy``."""
        return self.finished.places

    @property
    def test_score(self) -> float:
        """Score of the model on rows that were used once, by the metric of the search."""
        self._require_model()
        assert self.result.finalists is not None
        return self.result.finalists.model_test_score

    @property
    def report(self) -> str:
        """The report, as Markdown."""
        return report(self.spec, self.result)

    @cached_property
    def model(self) -> TableModel:
        """The model: raw rows in, predictions out."""
        self._require_model()
        return TableModel.load(Path(self.places["model"]))

    def predict(self, rows: Any) -> pd.Series[Any]:
        """The class, as the target had it in memory and else as text, or the number of each row, ``[N]``.

        Args:
            rows: N rows with the columns of the table, as ``search`` takes them, or a file of them.

        Raises:
            DataError: A column is missing, or holds values that are not of its kind.
            CheckFailedError: The search ended without a model; says why.
        """
        found = self._predictions(rows)["prediction"].rename(self.model.facts.target)
        return found.map(self.labels) if self.labels and self.model.facts.class_names else found

    def predict_proba(self, rows: Any) -> pd.DataFrame:
        """Probability of each class, ``[N, C]``, classes as columns, as ``predict`` has them.

        Raises:
            DataError: As ``predict``; or the model predicts numbers, or was trained with a loss without probabilities.
            CheckFailedError: As ``predict``.
        """
        self.model.require_probabilities()
        found = self._predictions(rows).drop(columns="prediction")
        return found.set_axis([self.labels.get(name, name) for name in self.model.facts.class_names], axis="columns")

    def predict_interval(self, rows: Any) -> pd.DataFrame:
        """Between which ends the number of each row lies, as probably as was asked: ``lower``, ``upper``, ``[N, 2]``.

        Raises:
            DataError: As ``predict``; or the search was not asked for ``model.prediction_interval``.
            CheckFailedError: As ``predict``.
        """
        self.model.require_interval()
        return self._predictions(rows).drop(columns="prediction")

    def plot(self) -> Any:
        """The finalists' losses by epoch, as a figure of Matplotlib."""
        from search_service.recorders.figures import losses

        self._require_model()
        assert self.result.finalists is not None
        return losses.draw_finalists(self.result.finalists)

    def export(self, folder: str | Path) -> tuple[str, ...]:
        """Write the model into a folder of its own, as ``search-service export``; returns what is missing, and why."""
        self._require_model()
        return exporting.export(self.study_id, Path(folder), self.settings)

    def _predictions(self, rows: Any) -> pd.DataFrame:
        import pandas as pd

        self._require_model()
        if isinstance(rows, str | Path):
            return exporting.predict(self.study_id, str(rows), self.settings)
        found = self.model.predict(frames.as_table(rows)[0])
        # As pandas puts beside one another what has the same labels.
        return found.set_axis(rows.index, axis="index") if isinstance(rows, pd.DataFrame) else found

    def _require_model(self) -> None:
        if "model" not in self.places:
            raise CheckFailedError(f"there is no model: the study {self.result.status}: {self.result.reason}")

    def __repr__(self) -> str:
        """In a line; everything that was learnt would be pages."""
        found = self.result.reason
        if self.result.finalists is not None:
            found = f"test {self.result.finalists.metric} {score_text(self.result.finalists.model_test_score)}"
        return f"<SearchResult {self.study_id}: {self.result.status}, {found}; print(result.report) for all of it>"

    def _repr_html_(self) -> str:
        from markdown_it import MarkdownIt

        # Without HTML of its own: names and labels of a table may hold anything.
        return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(self.report))


def search(
    data: Any,
    target: Any = None,
    *,
    metric: str | None = None,
    minutes: float | None = None,
    drop: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
    name: str | None = None,
    home: str | Path | None = None,
    runner: str = "ray",
    record: bool = True,
    show: bool = True,
) -> SearchResult:
    """Search for the best network of a table: the config that it stands for, all six steps, recorded in MLflow.

    Args:
        data: A data frame of pandas or Polars, an Arrow table, anything that speaks Arrow's protocol, a NumPy array
            ``[N, D]``, or the path, address or name of a table. What is in memory is written to ``tables`` in the home.
        target: The target column's name, or its N values.
        metric: What is optimised, as ``objective.metric``.
        minutes: That the call takes, as ``search.minutes``: rounds and last act are as large as fits in.
        drop: Columns that are no features.
        changes: Keys of the config with their values, such as ``{"search.coarse.max_trials": 8}``.
        name: The study's, and its model's; by default the target's, or the file's.
        home: Folder for studies and their record; by default as the environment says, else ``runs``.
        runner: Where trials run: ``ray``, or ``inline`` (in this process).
        record: False: the study is in its folder alone; ``search-service sync`` can tell MLflow later.
        show: Whether progress is shown, in a terminal or a notebook.

    Raises:
        InvalidSpecError: The table or a key cannot be used; every mistake found, before anything starts.
        OutsideError: Ray broke, or MLflow cannot be reached when it begins.
        KeyboardInterrupt: After everything was stopped.
    """
    began_at = time.monotonic()
    # Before a table that is in memory is written down.
    runner_kind(runner)
    settings = Settings() if home is None else Settings(home=Path(home))
    changed = _as_changes(changes)
    place = _where(data, target, name, settings)
    left_out = [drop] if isinstance(drop, str) else list(drop)  # Not the letters of a name.
    asked = {"name": place.name, "data.target": place.target, "objective.metric": metric, "search.minutes": minutes}
    asked |= {"data.drop": left_out or None}
    given = {key: value for key, value in asked.items() if value is not None} | changed
    with _removed_if_refused(Path(place.source) if place.is_new else None, settings.home):
        written = [f"{key}={config_file.written(value, key)}" for key, value in given.items()]
        config = config_of(place.source, written, settings=settings)
        study = prepare(parse(config.plain), settings=settings)
    console = Console()

    def say(text: str) -> None:
        if show:
            console.print(for_terminal(text), highlight=False)

    listeners = [ProgressDisplay(console)] if show else []
    finished = run(
        study, settings=settings, runner=runner, listeners=listeners, say=say, record=record, began_at=began_at
    )
    return SearchResult(study.spec, config.text, finished, settings, place.labels)


def _as_changes(changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Keys of the config with their values.

    Raises:
        InvalidSpecError: It is something else.
    """
    if changes is not None and not isinstance(changes, Mapping):
        rule, fix = "keys of the config with their values", 'for example {"search.coarse.max_trials": 8}'
        raise InvalidSpecError([Problem("changes", changes, rule, fix)])
    return dict(changes or {})


@dataclass(frozen=True)
class _Place:
    """Where a table is, what its target and its study are called, and whether a file was made of what is in memory."""

    source: str
    target: Any
    name: str | None
    is_new: bool = False
    labels: Mapping[str, Any] = field(default_factory=dict)


def _where(data: Any, target: Any, name: str | None, settings: Settings) -> _Place:
    """Where a table is; one that is in memory is written down.

    Raises:
        InvalidSpecError: It is no table, or it cannot be written down.
    """
    if isinstance(data, str | Path):
        return _Place(str(data), target, name)
    try:
        table, column = frames.as_table(data, target)
    except DataError as error:
        raise InvalidSpecError(error.problems) from error
    name = name or _name_of(column)
    folder = settings.home.absolute() / TABLES
    try:
        before = set(folder.glob("*"))
        path = frames.write(table, folder, _name_of(name))
    except OSError as error:
        rule, fix = "a folder that can be written", f"choose another with home=... ({error.strerror})"
        raise InvalidSpecError([Problem("home", str(settings.home), rule, fix)]) from error
    return _Place(str(path), column, name, path not in before, frames.labels_of(table, column))


@contextlib.contextmanager
def _removed_if_refused(file: Path | None, home: Path) -> Iterator[None]:
    """Take back the file of a table that is refused, and the folders made for it; None where there is none."""
    try:
        yield
    except InvalidSpecError:
        if file is not None:
            file.unlink(missing_ok=True)
            for folder in (file.parent, home):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        raise


def _name_of(text: str | None) -> str:
    """A study's name, of a column's."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text or "").strip("-._")[:40] or "search"
