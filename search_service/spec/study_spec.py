"""StudySpec: what a user may ask for. Validated as a whole, all mistakes at once, before anything starts.

    schema_version: 1
    name: digits
    data: {source: digits}
    trial: {network: {hidden_sizes: [64, 64]}}              # steps 1 to 3 run exactly this
    search_space: {optimizer.lr: {low: 1e-4, high: 1e-1, log: true}}

``parse`` turns plain data (of a YAML or JSON file, or a request) into a StudySpec or raises one InvalidSpecError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError

from search_service.errors import InvalidSpecError, Problem
from search_service.space.ranges import Range
from search_service.spec.names import Name
from search_service.spec.problems import problems_of
from search_service.spec.range_problems import problems_of_nesting
from search_service.spec.rules import between_sections
from search_service.spec.search_space import AskedRanges, SearchRange
from search_service.spec.sections import ChecksSpec, ComparisonSpec, FinalistsSpec, ModelSpec, ObjectiveSpec, SearchSpec
from trainables.choices import LossName
from trainables.config import FrozenModel, TrialConfig
from trainables.data.config import DataConfig
from trainables.metrics import METRICS, MetricName


class StudySpec(FrozenModel):
    """One study: a table, a network family, a budget."""

    schema_version: Literal[1] = Field(default=1, description="Version of this format.")
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="Letters, digits, _ . and -; names its record."
    )
    experiment: Name | None = Field(
        default=None,
        description="MLflow experiment; default: the name. Visible characters but / \\ ? # % :; 200 bytes at most.",
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="Decides everything random in the study.")
    data: DataConfig
    trial: TrialConfig = TrialConfig()
    search_space: dict[str, SearchRange] = Field(
        default={},
        description="Ranges by leaf of trial, such as optimizer.lr, which is always searched. network.depth and "
        "network.width are the number of hidden layers and the units of each. Without it and trial, what the table "
        "stands for is searched, as `run TABLE` does.",
    )
    objective: ObjectiveSpec = ObjectiveSpec()
    checks: ChecksSpec = ChecksSpec()
    search: SearchSpec = SearchSpec()
    finalists: FinalistsSpec = FinalistsSpec()
    model: ModelSpec = ModelSpec()
    comparison: ComparisonSpec = ComparisonSpec()

    @property
    def metric(self) -> MetricName:
        """The metric optimised: the user's, or that of the task."""
        return self.objective.metric or ("accuracy" if self.trial.task == "classification" else "rmse")

    @property
    def task_given(self) -> Literal["classification", "regression"] | None:
        """The task that the loss, the table's section or the metric says; None leaves it to the target column."""
        if "loss" in self.trial.model_fields_set:
            return self.trial.task
        return self.data.task or (METRICS[self.objective.metric].task if self.objective.metric else None)

    @property
    def leaves_networks_open(self) -> bool:
        """Whether neither networks nor ranges are given: both are what the table stands for then."""
        return not self.model_fields_set.intersection(("trial", "search_space"))

    @property
    def metric_says_task(self) -> bool:
        """Whether nothing but the metric says what the task is."""
        return (
            self.objective.metric is not None and self.data.task is None and "loss" not in self.trial.model_fields_set
        )

    @property
    def asked(self) -> AskedRanges:
        """The ranges, beside the trial."""
        return AskedRanges(self.search_space, self.trial)

    def space(self) -> dict[str, Range]:
        """The user's ranges as the search uses them."""
        return self.asked.space()

    def points(self) -> list[dict[str, Any]]:
        """``search.points_to_evaluate`` by the leaves of ``space``."""
        return [self.asked.in_search(point) for point in self.search.points_to_evaluate]


# What a config is that is no mapping.
_KINDS = {list: "a list", int: "a number", float: "a number", bool: "true or false"}


def parse(raw: Any) -> StudySpec:
    """Validate a study as it came from a file or a request.

    Raises:
        InvalidSpecError: Every mistake found.
    """
    if not isinstance(raw, dict):
        kind = "nothing" if raw is None else _KINDS.get(type(raw), "a text")
        raise InvalidSpecError(
            [Problem("(the whole config)", kind, "keys and values", "start from configs/01_digits.yaml")]
        )
    problems = problems_of_nesting(raw.get("search_space"))
    spec = _validate(raw, problems) if not problems else None
    if spec is None:
        # Sections with a mistake are set aside, so that mistakes between the others are found too.
        wrong = {problem.path.split(".")[0] for problem in problems}
        kept = {key: value for key, value in raw.items() if key not in wrong and key in StudySpec.model_fields}
        spec = _validate({"name": "unnamed", "data": {"source": "digits"}} | kept, [])
        problems += [] if spec is None else [p for p in between_sections(spec) if p.path.split(".")[0] not in wrong]
        raise InvalidSpecError(problems)
    problems += between_sections(spec)
    if problems:
        raise InvalidSpecError(problems)
    return spec


def for_task(spec: StudySpec, task: Literal["classification", "regression"], reason: str) -> StudySpec:
    """The spec with a loss for ``task``, as found from the target column, where the user has chosen none.

    Args:
        spec: What the user gave.
        task: The table's task.
        reason: Why it is that task, for messages.

    Raises:
        InvalidSpecError: Something else in the spec is for the other task.
    """
    if spec.trial.task == task:
        return spec
    try:
        # What the user set stays, so that what does not apply is refused and not lost.
        given = spec.trial.model_dump(exclude_unset=True) | {"loss": _LOSS_OF_TASK[task]}
        fitted = spec.model_copy(update={"trial": TrialConfig.model_validate(given)})
    except ValidationError as error:
        problems = [Problem(f"trial.{p.path}", p.value, p.rule, p.fix) for p in problems_of(error, TrialConfig)]
    else:
        problems = between_sections(fitted)
    because = f"(this is {task}: {reason}; data.task or trial.loss would say otherwise)"
    if problems:
        raise InvalidSpecError([Problem(p.path, p.value, f"{p.rule} {because}", p.fix) for p in problems])
    return fitted


# What is minimised for a task if the user has not chosen.
_LOSS_OF_TASK: Mapping[str, LossName] = {"classification": "cross_entropy", "regression": "mse"}


def _validate(raw: Mapping[str, Any], problems: list[Problem]) -> StudySpec | None:
    try:
        # Through JSON, strictly: "10" is no number, true is no number, and lists may be tuples.
        return StudySpec.model_validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        problems += problems_of(error, StudySpec)
        return None
