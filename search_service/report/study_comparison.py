"""Several studies beside each other: what their configs have that the others' have not, and which model is better.

Test scores of two studies differ by chance, too. Where both were tested on the same rows, what their models say of each
row is compared (``trainables/advantage.py``): a difference that other rows would not show is said to be none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter

from search_service.errors import DataError, Problem
from search_service.folder import journals, layout, study_folder
from search_service.folder.study_folder import StudyFolder
from search_service.records.numbers import score_text, spread_text
from search_service.report.documents import Document, StudyDocument
from search_service.spec import study_spec
from search_service.spec.config_file import SIZES
from search_service.spec.study_spec import StudySpec
from trainables import advantage
from trainables.metrics import MetricName
from trainables.records import Advantage

# What says nothing of a study's worth, or follows from the rest.
_UNCOMPARED = ("name", "experiment", "schema_version")
# Keys of ``data`` that say which rows are test rows; of a file of test rows, that file does.
_DIVIDING = (
    "source", "train", "split", "split_seed", "group", "time", "validation_fraction", "test_fraction",
)  # fmt: skip


class ComparedStudy(Document):
    """A study in the comparison."""

    id: str
    status: str
    reason: str
    metric: str | None
    validation_score: float | None = Field(description="Of the winner, mean over its seeds.")
    test_score: float | None = Field(description="Of the model.")
    trials: int
    seconds: float
    model: str = Field(description="What the model is; empty if there is none.")


class StudyComparison(Document):
    """Studies beside each other, the first against each of the others."""

    studies: list[ComparedStudy]
    differences: dict[str, list[Any]] = Field(description="By key of the config, what each study has there.")
    verdicts: list[str] = Field(description="Of the first study against each other one, in a sentence.")
    leads: list[Advantage | None] = Field(
        description="By how much the first one's model is better on the same test rows; null: not comparable."
    )


def compare(studies: Path, ids: Sequence[str]) -> StudyComparison:
    """Compare studies of a home that are over.

    Args:
        studies: Where studies are.
        ids: Of two studies or more.

    Raises:
        DataError: There is no such study, it is not over, or one is named twice.
    """
    if len(set(ids)) < max(2, len(ids)):
        rule, fix = "two studies or more, each once", "see search-service list"
        raise DataError([Problem("STUDY", " ".join(ids), rule, fix)])
    folders = [study_folder.find(studies, study_id) for study_id in ids]
    results = [_result(folder) for folder in folders]
    compared = [
        _beside(folders[0], folder, results[0], result) for folder, result in zip(folders[1:], results[1:], strict=True)
    ]
    return StudyComparison(
        studies=[_summary(result) for result in results],
        differences=_differences([study_folder.load_spec(folder) for folder in folders]) | _extended(results),
        verdicts=[verdict for verdict, _ in compared],
        leads=[lead for _, lead in compared],
    )


def _result(folder: StudyFolder) -> StudyDocument:
    found = journals.read_whole(folder.path / layout.RESULT, rebuild=True)
    if found is None:
        rule, fix = "a study that is over", f"search-service run --study {folder.path.name} goes on with it"
        raise DataError([Problem("STUDY", folder.path.name, rule, fix)])
    return StudyDocument.model_validate(found)


def _summary(result: StudyDocument) -> ComparedStudy:
    best = result.best
    return ComparedStudy(
        id=result.study_id,
        status=result.status,
        reason=result.reason,
        metric=None if best is None else best.metric,
        validation_score=None if best is None else best.validation_mean,
        test_score=None if best is None else best.model.test_score,
        trials=result.trials["total"],
        seconds=result.seconds,
        model="" if best is None else best.model.summary.partition(".")[0],
    )


def _differences(raw: Sequence[Any]) -> dict[str, list[Any]]:
    """What not every config has alike, defaults included."""
    flat = [_in_force(study_spec.parse(spec)) for spec in raw]
    keys = [key for key in dict.fromkeys(key for each in flat for key in each) if key not in _UNCOMPARED]
    found = {key: [each.get(key) for each in flat] for key in keys}
    return {key: values for key, values in found.items() if any(value != values[0] for value in values)}


def _extended(results: Sequence[StudyDocument]) -> dict[str, list[Any]]:
    """Which study each goes on from, where they differ in that: it has been given more than its config says."""
    extends = [result.extends or None for result in results]
    return {} if len(set(extends)) == 1 else {"extends": extends}


def _in_force(spec: StudySpec) -> dict[str, Any]:
    """A config key by key; what its minutes have decided has no default that held."""
    flat = _flat(spec.model_dump(mode="json"))
    if spec.search.minutes is None:
        return flat
    given = _flat(spec.model_dump(mode="json", exclude_unset=True))
    decided = [f"{section}.{key}" for section, keys in SIZES.items() for key in keys]
    by_minutes = [key for key in flat if key not in given and any(f"{key}.".startswith(f"{own}.") for own in decided)]
    return flat | dict.fromkeys(by_minutes, "by its minutes")


def _flat(content: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        own = f"{path}{key}"
        # A range is one thing, whatever it has.
        if isinstance(value, dict) and value and not own.startswith("search_space."):
            flat |= _flat(value, f"{own}.")
        else:
            flat[own] = value
    return flat


def _beside(
    first: StudyFolder, other: StudyFolder, result: StudyDocument, theirs: StudyDocument
) -> tuple[str, Advantage | None]:
    """Which of two models is better, in a sentence, and by how much."""
    ours, others = result.best, theirs.best
    pair = f"{result.study_id} and {theirs.study_id}"
    if ours is None or others is None:
        return f"{pair} cannot be compared: {(result if ours is None else theirs).study_id} has no model", None
    if ours.metric != others.metric:
        return f"{pair} cannot be compared: one was chosen by {ours.metric}, the other by {others.metric}", None
    own, other_own = (folder.path / layout.TEST_PREDICTIONS for folder in (first, other))
    if missing := [path.parent.name for path in (own, other_own) if not path.exists()]:
        return f"{pair} cannot be compared: what {missing[0]} said of its test rows is not kept", None
    try:
        _require_one_division(first, other)
        lead = advantage.compare(own, other_own, TypeAdapter(MetricName).validate_python(ours.metric))
    except ValueError:
        return f"{pair} cannot be compared: they were tested on other rows", None
    scores = f"test {ours.metric} {score_text(ours.model.test_score)} and {score_text(others.model.test_score)}"
    by = f"{spread_text(abs(lead.difference))} ± {spread_text(lead.error)} on the same {lead.rows:,} rows"
    if lead.sign == 0:
        apart = f", which differ by {by}" if lead.difference else f" on the same {lead.rows:,} rows"
        return f"{pair} cannot be told apart: {scores}{apart}", lead
    than = "better than" if lead.sign > 0 else "worse than"
    return f"{result.study_id} is {than} {theirs.study_id}: {scores}, by {by}", lead


def _require_one_division(first: StudyFolder, other: StudyFolder) -> None:
    """See to it that the test rows of two studies can be the same: of one table, or of tables that are divided alike.

    Targets alone do not say so: of a table that is sorted by its classes, every division has the same.

    Raises:
        ValueError: They cannot.
    """
    prints = [folder.beginning.fingerprint if folder.beginning is not None else "" for folder in (first, other)]
    if all(prints) and prints[0] == prints[1]:
        return
    asked = [study_spec.parse(study_folder.load_spec(folder)).data for folder in (first, other)]
    keys = ("test",) if all(data.test for data in asked) else ("test", *_DIVIDING)
    if len({tuple(getattr(data, key) for key in keys) for data in asked}) > 1:
        raise ValueError("the two tables are divided in different ways")
