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
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag, ValidationError

from search_service.errors import InvalidSpecError, Problem
from search_service.layers import (
    DEPTH,
    MOST,
    SIZES,
    WIDTH,
    as_numbers,
    in_config,
    is_of_layers,
    value_in,
    width_of,
)
from search_service.space import Choices, NumericRange, Range, can_draw, is_one_of
from search_service.spec_problems import nearest, problems_of
from trainables.config import (
    APPLIES_TO,
    FrozenModel,
    LossName,
    OptimizerName,
    TrialConfig,
    accepts_fractions,
    is_number,
    leaf_paths,
)
from trainables.data.config import DataConfig
from trainables.metrics import METRICS, MetricName

Scalar = bool | int | float | str
# Searched in every study.
LEARNING_RATE = "optimizer.lr"


# What a range's condition allows: some values, or one of them alone.
Allowed = Scalar | Annotated[tuple[Scalar | tuple[Scalar, ...] | None, ...], Field(min_length=1)] | None


class RangeSpec(FrozenModel):
    """A numeric range of the search space."""

    low: float = Field(description="Smallest value, a real number (not an exponent).")
    high: float = Field(description="Largest value.")
    log: bool = Field(default=False, description="Sample uniformly in the logarithm; low must be above 0.")
    step: float | None = Field(default=None, gt=0, description="Distance between values, counted from low.")
    when: dict[str, Allowed] = Field(
        default={},
        description="Search it only where these leaves have these values, such as {optimizer.name: [sgd, adam]}; "
        "elsewhere it is as in trial.",
    )


class ChoicesSpec(FrozenModel):
    """A set of values of the search space."""

    choices: Annotated[tuple[Scalar | tuple[Scalar, ...] | None, ...], Field(min_length=1)] = Field(
        description="The values to choose from; a list is one value (hidden_sizes), null is off (clipping)."
    )
    when: dict[str, Allowed] = Field(
        default={}, description="Search it only where these leaves have these values; elsewhere it is as in trial."
    )


def _kind_of_range(value: Any) -> str:
    return "choices" if isinstance(value, ChoicesSpec) or (isinstance(value, dict) and "choices" in value) else "range"


SearchRange = Annotated[
    Annotated[RangeSpec, Tag("range")] | Annotated[ChoicesSpec, Tag("choices")], Discriminator(_kind_of_range)
]


SecondObjective = Literal["parameters", "prediction_time"]
# Leaves by which trials can differ in it.
_DECIDES: Mapping[SecondObjective, tuple[str, ...]] = {
    "parameters": ("network.hidden_sizes", "network.normalization"),
    "prediction_time": ("network.hidden_sizes", "network.normalization", "network.activation"),
}


class ObjectiveSpec(FrozenModel):
    """What is optimised, on validation rows."""

    metric: MetricName | None = Field(
        default=None,
        description="accuracy, balanced_accuracy, macro_f1, roc_auc or log_loss (not with hinge); rmse, mae or r2 for "
        "numbers. By default accuracy or rmse.",
    )
    second: SecondObjective | None = Field(
        default=None,
        description="A second objective: the search optimises the metric; afterwards the trials that no other beats in "
        "both are found, and the finalists are the best of those. parameters: numbers trained in a network; "
        "prediction_time: milliseconds per 1 000 rows, measured on one thread of a CPU.",
    )
    target: float | None = Field(default=None, description="Stop searching once the score is this good.")


LearningRates = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=100)]
OnFail = Literal["stop", "warn"]


class InitialLossSpec(FrozenModel):
    """Step 1."""

    tolerance: float = Field(
        default=0.01, gt=0, description="Relative distance from chance allowed with the last layer scaled by 0.001."
    )
    band: float = Field(
        default=2.0, gt=1, description="Largest ratio of untrained loss to chance with the weights as configured."
    )


class OverfitSpec(FrozenModel):
    """Step 2."""

    rows: int = Field(default=20, ge=2, le=10_000, description="Training rows to memorise.")
    max_steps: int = Field(default=1_000, ge=1, description="Parameter updates before giving up.")


class LearningRatesSpec(FrozenModel):
    """Step 3."""

    candidates: LearningRates | None = Field(
        default=None, description="Learning rates tried; null: 0.1, 0.01, 0.001, 0.0001, for adadelta 10 to 0.01."
    )
    starts: int = Field(default=5, ge=1, le=100, description="Initial weights tried per rate.")
    steps: int = Field(default=100, ge=10, description="Parameter updates per start.")
    falls_to: float = Field(
        default=0.8, gt=0, lt=1, description="A rate works when the smoothed loss falls to this share of its start."
    )


class ChecksSpec(FrozenModel):
    """Steps 1 to 3."""

    on_fail: OnFail = Field(default="stop", description="stop ends the study with the diagnosis; warn goes on.")
    initial_loss: InitialLossSpec = InitialLossSpec()
    overfit_small_sample: OverfitSpec = OverfitSpec()
    learning_rates: LearningRatesSpec = LearningRatesSpec()


class RoundSpec(FrozenModel):
    """Budget of one round."""

    max_trials: int = Field(ge=1, description="Configurations tried.")
    max_epochs: int = Field(ge=1, description="Epochs of those that are not stopped early.")


class CoarseSpec(RoundSpec):
    """Budget of step 4: many configurations, few epochs."""

    max_trials: int = Field(default=24, ge=1, description="Configurations tried.")
    max_epochs: int = Field(default=9, ge=1, description="Epochs of those that are not stopped early.")


class RefinedSpec(RoundSpec):
    """Budget of step 5: fewer configurations, more epochs."""

    max_trials: int = Field(default=16, ge=1, description="Configurations tried.")
    max_epochs: int = Field(default=27, ge=1, description="Epochs of those that are not stopped early.")


SamplerName = Literal["tpe", "random", "quasi_random", "grid", "gp", "cma_es"]


# Values of some of the leaves that are searched.
Point = Annotated[dict[str, Scalar | tuple[Scalar, ...] | None], Field(min_length=1)]


class SearchSpec(FrozenModel):
    """Steps 4 to 6."""

    sampler: SamplerName = Field(
        default="tpe",
        description="How configurations are drawn: tpe, gp and cma_es learn from the trials before; random, "
        "quasi_random and grid do not.",
    )
    coarse: CoarseSpec = CoarseSpec()
    refined: RefinedSpec = RefinedSpec()
    early_stopping: bool = Field(default=True, description="Stop the hopeless at each rung (ASHA).")
    grace_period: int | None = Field(
        default=None, ge=1, description="Epochs before a trial can be stopped; default: 3, or max_epochs/9 if more."
    )
    reduction_factor: float = Field(default=3.0, gt=1, description="η: one in η goes on at each rung.")
    # With the next one, what finds random search's best soonest on learning curves: docs/search.md.
    rung_spacing: float | None = Field(
        default=1.6,
        gt=1,
        description="Each rung lies this many times as many epochs in as the one before; null: reduction_factor, as in "
        "Ray Tune.",
    )
    standing: float | None = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of the trials at every earlier rung, the best first, that a trial must still be among when "
        "it reaches the next; null: not asked again, as in Ray Tune.",
    )
    max_cycles: int = Field(default=2, ge=1, description="Times that steps 3 to 5 are done at most.")
    time_budget_s: float | None = Field(default=None, gt=0, description="Seconds after which no trial is started.")
    max_concurrent_trials: int | None = Field(
        default=None, ge=1, description="Tune trials at once; default: as many as the CPUs (or GPUs) hold."
    )
    population_size: int = Field(default=1, ge=1, description="Configurations trained together in one Tune trial.")
    points_to_evaluate: tuple[Point, ...] = Field(
        default=(),
        description="Configurations tried first in the first coarse round, after the config's own trial: values by "
        "leaf of search_space; leaves that are not named are drawn.",
    )
    warm_start: str | None = Field(
        default=None,
        min_length=1,
        description="Id of an earlier study in the same record: its trials of equal length and within these ranges "
        "teach the sampler, and the best of its configurations is tried first.",
    )
    cpus_per_trial: float = Field(default=1, gt=0, description="CPUs of one Tune trial.")
    gpus_per_trial: float = Field(default=0, ge=0, description="GPUs of one Tune trial, fractions included.")


def grace_period(search: SearchSpec, max_epochs: int) -> int:
    """First rung of a round, in epochs.

    Before epoch 3 the order of configurations says next to nothing about their order at the end (rank correlation
    with epoch 52 on 34 tabular tasks: 0.05 at epoch 1, 0.72 at epoch 3); a ninth of the maximum leaves two rungs
    below it at the usual reduction factor of 3.
    """
    return search.grace_period or max(3, round(max_epochs / 9))


def rung_spacing(search: SearchSpec) -> float:
    """How many times as many epochs in as the one before each rung lies."""
    return search.rung_spacing or search.reduction_factor


class FinalistsSpec(FrozenModel):
    """The last act: the best configurations again, from fresh seeds."""

    top: int = Field(default=3, ge=1, le=100, description="Configurations trained again.")
    seeds: int = Field(default=5, ge=1, le=100, description="Fresh initial weights of each.")
    # 2 is the least division; beyond 20 each fold costs as much again and tells next to nothing new.
    folds: int | None = Field(
        default=None,
        ge=2,
        le=20,
        description="Cross-validation: each configuration × seed is trained on this many divisions of the training and "
        "validation rows, and the best mean over them wins; null: on the study's own division.",
    )
    calibration: Literal["none", "temperature"] = Field(
        default="none",
        description="temperature divides outputs by a number that makes probabilities hold what they say.",
    )
    prefer: Literal["best", "simplest"] = Field(
        default="best",
        description="Which wins of those that a paired t-test over the seeds cannot tell from the best mean: best, or "
        "simplest, the one with the fewest parameters, then the fewest epochs.",
    )
    baselines: bool = Field(
        default=True, description="Compare the winner with a linear model and with gradient boosting."
    )


with warnings.catch_warnings():
    # pydantic's own classes have a method of that name, for virtual subclasses, which there are none of.
    warnings.filterwarnings("ignore", message='Field name "register"')

    class ModelSpec(FrozenModel):
        """The model at the end: the winner's network with the preparation of its rows."""

        register: bool = Field(
            default=True, description="Enter it in the MLflow model registry, under the study's name."
        )


class ComparisonSpec(FrozenModel):
    """``compare-optimizers``: the same trial under each optimiser, at its own best learning rate."""

    optimizers: Annotated[tuple[OptimizerName, ...], Field(min_length=1)] = Field(
        default=get_args(OptimizerName), description="Optimisers compared."
    )
    seeds: int = Field(default=5, ge=1, le=100, description="Initial weights of each, the same for all.")
    epochs: int = Field(default=30, ge=1, description="Epochs of each.")
    rates: LearningRates | None = Field(
        default=None,
        description="Learning rates tried first, the same for all; null: half decades, three either way of each "
        "optimiser's default.",
    )
    # 5: the largest rates lower the loss most until one start in five does not survive them; two starts miss that.
    sweep_seeds: int = Field(default=5, ge=1, le=100, description="Initial weights tried per learning rate.")
    sweep_epochs: int | None = Field(
        default=None, ge=1, description="Epochs per learning rate tried; null: as many as in the comparison."
    )


class StudySpec(FrozenModel):
    """One study: a table, a network family, a budget."""

    schema_version: Literal[1] = Field(default=1, description="Version of this format.")
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="Letters, digits, _ . and -; names its record."
    )
    experiment: str | None = Field(default=None, min_length=1, description="MLflow experiment; default: the name.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Decides everything random in the study.")
    data: DataConfig
    trial: TrialConfig = TrialConfig()
    search_space: dict[str, SearchRange] = Field(
        default={},
        description="Ranges by leaf of trial, such as optimizer.lr, which is always searched. network.depth and "
        "network.width are the number of hidden layers and the units of each.",
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

    def ranges(self) -> dict[str, Range]:
        """The user's ranges, by the user's names."""
        return {leaf: _to_range(leaf, given) for leaf, given in self.search_space.items()}

    def space(self) -> dict[str, Range]:
        """The user's ranges as the search uses them: with one width for each layer (layers.py)."""
        return _one_width_per_layer(self.ranges(), self.trial)

    def points(self) -> list[dict[str, Any]]:
        """``search.points_to_evaluate`` by the leaves of ``space``."""
        own = any(is_of_layers(leaf) for leaf in self.search_space)
        return [_in_search(point, own, self.space()) for point in self.search.points_to_evaluate]


def parse(raw: Any) -> StudySpec:
    """Validate a study as it came from a file or a request.

    Raises:
        InvalidSpecError: Every mistake found.
    """
    if not isinstance(raw, dict):
        kind = "nothing" if raw is None else f"a {type(raw).__name__}"
        raise InvalidSpecError(
            [Problem("(the whole config)", kind, "keys and values", "start from configs/01_digits.yaml")]
        )
    problems = _problems_of_nesting(raw.get("search_space"))
    spec = _validate(raw, problems) if not problems else None
    if spec is None:
        # Sections with a mistake are set aside, so that mistakes between the others are found too.
        wrong = {problem.path.split(".")[0] for problem in problems}
        kept = {key: value for key, value in raw.items() if key not in wrong and key in StudySpec.model_fields}
        spec = _validate({"name": "unnamed", "data": {"source": "digits"}} | kept, [])
        problems += [] if spec is None else [p for p in _between_sections(spec) if p.path.split(".")[0] not in wrong]
        raise InvalidSpecError(problems)
    problems += _between_sections(spec)
    if problems:
        raise InvalidSpecError(problems)
    return spec


def for_task(spec: StudySpec, task: Literal["classification", "regression"], reason: str) -> StudySpec:
    """The spec with a loss for ``task``, as found from the target column, where the user has chosen none.

    Args:
        spec: As the user gave it.
        task: Of the table.
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
        problems = _between_sections(fitted)
    because = f"(this is {task}: {reason}; data.task or trial.loss would say otherwise)"
    if problems:
        raise InvalidSpecError([Problem(p.path, p.value, f"{p.rule} {because}", p.fix) for p in problems])
    return fitted


# What is minimised for a task if the user has not chosen.
_LOSS_OF_TASK: Mapping[str, LossName] = {"classification": "cross_entropy", "regression": "mse"}


def _problems_of_nesting(search_space: Any) -> list[Problem]:
    """Leaves of the search space have dotted names; nested keys would be read as a range without bounds."""
    sections = {leaf.split(".")[0] for leaf in _searchable() if "." in leaf}
    problems = []
    for key, value in search_space.items() if isinstance(search_space, dict) else ():
        if key in sections and isinstance(value, dict):
            leaves = [leaf for leaf in _searchable() if leaf.startswith(f"{key}.")]
            meant = [f"{key}.{inner}" for inner in value if f"{key}.{inner}" in leaves] or leaves
            problems.append(Problem(f"search_space.{key}", value, "leaves by dotted path", f"write {meant[0]}: ..."))
    return problems


def _validate(raw: Mapping[str, Any], problems: list[Problem]) -> StudySpec | None:
    try:
        # Through JSON, strictly: "10" is no number, true is no number, and lists may be tuples.
        return StudySpec.model_validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        problems += problems_of(error, StudySpec)
        return None


def _between_sections(spec: StudySpec) -> list[Problem]:
    """Mistakes that no section has by itself."""
    problems = []
    for leaf, given in spec.search_space.items():
        problems += _problems_of_range(spec, leaf, given)
    problems += _problems_of_layers(spec) + _problems_of_circles(spec)
    problems += _problems_of_combinations(spec) + _problems_of_warmup(spec)
    # What a point may say, the ranges say, once they are in order.
    if not problems:
        for index, point in enumerate(spec.search.points_to_evaluate):
            problems += _problems_of_point(spec, f"search.points_to_evaluate.{index}", point)
    if len(spec.search.points_to_evaluate) >= spec.search.coarse.max_trials:
        rule = f"fewer than search.coarse.max_trials ({spec.search.coarse.max_trials}): trial 0 is the config's own"
        number = len(spec.search.points_to_evaluate)
        problems.append(Problem("search.points_to_evaluate", f"{number} points", rule, "raise it, or leave some out"))
    metric = spec.objective.metric
    task = spec.trial.task if "loss" in spec.trial.model_fields_set else spec.data.task
    if metric is not None and task is not None and METRICS[metric].task != task:
        fitting = " or ".join(name for name, m in METRICS.items() if m.task == task)
        said = f"trial.loss: {spec.trial.loss} does" if task == spec.trial.task else f"data.task: {task} says"
        rule = f"a metric for {task}, which {said}"
        problems.append(Problem("objective.metric", metric, rule, f"use {fitting}, or change trial.loss"))
    elif metric is not None and METRICS[metric].needs_probabilities and not spec.trial.gives_probabilities:
        rule = f"a metric that trial.loss: {spec.trial.loss} has, which gives no probabilities"
        problems.append(Problem("objective.metric", metric, rule, "use roc_auc, or trial.loss: cross_entropy"))
    target = spec.objective.target
    if METRICS[spec.metric].at_most_1 and target is not None and not 0 < target <= 1:
        rule = f"a number above 0 and at most 1, as {spec.metric} is"
        problems.append(Problem("objective.target", target, rule, "write 0.97 for 97 %"))
    second = spec.objective.second
    differ = {DEPTH, WIDTH} & spec.search_space.keys()
    if second is not None and not differ and not any(len(_possible(spec, leaf)) > 1 for leaf in _DECIDES[second]):
        leaves = " or ".join(_DECIDES[second])
        rule = f"null, since all trials are alike in it: nothing of {leaves} is searched"
        problems.append(Problem("objective.second", second, rule, "search network.hidden_sizes, or remove it"))
    calibration = spec.finalists.calibration
    if calibration != "none" and not spec.trial.gives_probabilities:
        rule = f"none, since trial.loss: {spec.trial.loss} gives no probabilities"
        fix = "remove it, or use trial.loss: cross_entropy"
        problems.append(Problem("finalists.calibration", calibration, rule, fix))
    if spec.search.refined.max_epochs < spec.search.coarse.max_epochs:
        rule = f"at least search.coarse.max_epochs ({spec.search.coarse.max_epochs}): the refined round trains longer"
        problems.append(Problem("search.refined.max_epochs", spec.search.refined.max_epochs, rule, "raise it"))
    for key, values in (("optimizers", spec.comparison.optimizers), ("rates", spec.comparison.rates or ())):
        if len(set(values)) < len(values):
            rule, fix = "values that differ", "remove the repeated ones"
            problems.append(Problem(f"comparison.{key}", list(values), rule, fix))
    return problems


def _problems_of_combinations(spec: StudySpec) -> list[Problem]:
    """Values that are valid each by itself, and could meet in one configuration that is not."""
    normalized = "batch_norm" in _possible(spec, "network.normalization")
    if not normalized or not {1} & _possible(spec, "batch_size"):
        return []
    # Conditions may keep the two apart.
    one, other = ("batch_size", 1), ("network.normalization", "batch_norm")
    if _keeps_apart(spec, one, other) or _keeps_apart(spec, other, one):
        return []
    searched = "batch_size" in spec.search_space
    path = "search_space.batch_size" if searched else "search_space.network.normalization"
    rule = "batches of at least 2 rows with batch_norm: over one row every unit's variance is 0"
    return [
        Problem(
            path,
            spec.search_space[path.removeprefix("search_space.")].model_dump(exclude_unset=True),
            rule,
            "leave out batches of 1, or batch_norm",
        )
    ]


def _problems_of_warmup(spec: StudySpec) -> list[Problem]:
    """A rate that rises for the whole of a training never gets to its full value."""
    if spec.trial.schedule.unit != "epochs":
        return []
    epochs = spec.search.coarse.max_epochs
    # What is no number has a mistake of its own.
    longest = max((value for value in _possible(spec, "schedule.warmup") if isinstance(value, int | float)), default=0)
    if longest < epochs:
        return []
    path = "search_space.schedule.warmup" if "schedule.warmup" in spec.search_space else "trial.schedule.warmup"
    rule = f"fewer epochs than a training of the coarse search has (search.coarse.max_epochs: {epochs})"
    return [Problem(path, longest, rule, "lower it, or train longer")]


def _possible(spec: StudySpec, leaf: str) -> set[Any]:
    """Values that ``leaf`` can take in a trial: searched or fixed; of a range, its bounds."""
    searched = spec.search_space.get(leaf)
    if searched is None:
        return {value_in(spec.trial, leaf)}
    drawn = set(searched.choices) if isinstance(searched, ChoicesSpec) else {searched.low, searched.high}
    return drawn | {value_in(spec.trial, leaf)} if searched.when else drawn


def _keeps_apart(spec: StudySpec, one: tuple[str, Any], other: tuple[str, Any]) -> bool:
    """Whether the first leaf's condition never lets it have its value where the other has its own."""
    (leaf, value), (choice, chosen) = one, other
    searched = spec.search_space.get(leaf)
    if searched is None or choice not in searched.when or spec.trial[leaf] == value:
        return False
    return not is_one_of(chosen, _as_values(searched.when[choice]))


def _problems_of_range(spec: StudySpec, leaf: str, given: RangeSpec | ChoicesSpec) -> list[Problem]:
    path = f"search_space.{leaf}"
    leaves = _searchable()
    if leaf not in leaves:
        fix = nearest(leaf, leaves) or f"one of: {', '.join(leaves)}"
        return [Problem(path, leaf, "a leaf of trial that can be searched", fix)]
    choice, having = APPLIES_TO.get(leaf, ("", frozenset()))
    if choice and not _possible(spec, choice) & having:
        names = " or ".join(sorted(having))
        return [
            Problem(
                path, leaf, f"used when {choice} is {names}", f"set trial.{choice}, search it, or remove this range"
            )
        ]
    if isinstance(given, ChoicesSpec):
        problems = _problems_of_choices(path, leaf, given)
    else:
        problems = _problems_of_bounds(path, leaf, given)
    return problems + [p for condition in given.when for p in _problems_of_condition(spec, leaf, given, condition)]


def _searchable() -> list[str]:
    """Leaves that a search space may have."""
    return [leaf for leaf in leaf_paths() if leaf not in ("seed", "loss")] + [DEPTH, WIDTH]


def _is_whole(leaf: str) -> bool:
    return is_of_layers(leaf) or not accepts_fractions(leaf)


def _as_values(allowed: Any) -> tuple[Any, ...]:
    """What a condition allows, as values."""
    return allowed if isinstance(allowed, tuple) else (allowed,)


def _problems_of_condition(spec: StudySpec, leaf: str, given: RangeSpec | ChoicesSpec, condition: str) -> list[Problem]:
    """One leaf that a range's ``when`` names, and the values that it allows there."""
    path, allowed = f"search_space.{leaf}.when.{condition}", _as_values(given.when[condition])
    names = [name for name in _searchable() if name not in (leaf, WIDTH)]
    layered = {DEPTH, WIDTH} & spec.search_space.keys()
    if condition == WIDTH or (condition == SIZES and layered):
        rule = f"a leaf with one value in a trial; here the layers are searched as {DEPTH} and {WIDTH}"
        return [Problem(path, condition, rule, f"name {DEPTH}, or remove the condition")]
    if condition not in names:
        fix = nearest(condition, names) or f"one of: {', '.join(names)}"
        rule = "another leaf, since a range cannot depend on itself" if condition == leaf else "a leaf of trial"
        return [Problem(path, condition, rule, "remove it" if condition == leaf else fix)]
    choice, having = APPLIES_TO.get(leaf, ("", frozenset()))
    if choice == condition and (unfit := [value for value in allowed if value not in having]):
        rule = f"values with which {leaf} is used: {' or '.join(sorted(having))}"
        return [Problem(path, value, rule, "leave it out") for value in unfit]
    if condition in spec.search_space or condition == LEARNING_RATE:
        return _problems_of_allowed(spec, path, condition, allowed)
    fixed = value_in(spec.trial, condition)
    if is_one_of(fixed, allowed):
        return []
    rule = f"also {fixed}, which {condition} is in every trial: it is not searched, so this range would never be used"
    return [Problem(path, _shown(allowed), rule, f"search {condition}, or change it in trial")]


def _problems_of_allowed(spec: StudySpec, path: str, condition: str, allowed: Sequence[Any]) -> list[Problem]:
    """Values that a searched leaf has to be able to take."""
    searched = spec.search_space.get(condition)
    if searched is None or (isinstance(searched, RangeSpec) and not _is_whole(condition) and searched.step is None):
        rule = f"a leaf with choices, a step or whole numbers: {condition} never takes one value of a range exactly"
        return [Problem(path, _shown(allowed), rule, f"give {condition} choices or a step, or remove the condition")]
    range_ = _to_range(condition, searched)
    otherwise = [value_in(spec.trial, condition)] if searched.when else []
    never = [value for value in allowed if not can_draw(range_, value) and not is_one_of(value, otherwise)]
    rule = f"values that {condition} can take: {range_}"
    choices = [str(choice) for choice in range_.choices] if isinstance(range_, Choices) else []
    return [Problem(path, value, rule, nearest(str(value), choices) or "change or remove it") for value in never]


def _shown(allowed: Sequence[Any]) -> Any:
    return allowed[0] if len(allowed) == 1 else list(allowed)


def _problems_of_circles(spec: StudySpec) -> list[Problem]:
    """Ranges each of which would have to be drawn before the other."""
    before = {
        leaf: {choice for choice in (*given.when, APPLIES_TO.get(leaf, ("",))[0]) if choice in spec.search_space}
        - {leaf}
        for leaf, given in spec.search_space.items()
    }
    # What can be drawn is taken away until nothing changes; what is left waits for itself.
    while ready := {leaf for leaf, waits in before.items() if not waits & before.keys()}:
        before = {leaf: waits for leaf, waits in before.items() if leaf not in ready}
    # Of those, the ones that only wait for the circle are no mistake.
    while beside := before.keys() - {choice for waits in before.values() for choice in waits}:
        before = {leaf: waits for leaf, waits in before.items() if leaf not in beside}
    if not before:
        return []
    leaf = min(name for name in before if spec.search_space[name].when)
    rule = f"conditions without a circle: {' and '.join(sorted(before))} wait for each other"
    return [
        Problem(f"search_space.{leaf}.when", _shown(list(spec.search_space[leaf].when)), rule, "remove one of them")
    ]


def _problems_of_layers(spec: StudySpec) -> list[Problem]:
    """``network.depth`` and ``network.width`` beside what the trial has."""
    depth, width = spec.search_space.get(DEPTH), spec.search_space.get(WIDTH)
    if depth is None and width is None:
        return []
    path = f"search_space.{DEPTH if depth is not None else WIDTH}"
    if SIZES in spec.search_space:
        rule = f"no range beside search_space.{SIZES}: both say what the layers are"
        return [Problem(path, DEPTH if depth is not None else WIDTH, rule, "remove one of the two")]
    sizes = spec.trial.network.hidden_sizes
    if not sizes and (depth is None or width is None or width.when):
        rule = "used when the trial has hidden layers: a linear model has no width to go by"
        return [Problem(path, list(sizes), rule, f"set trial.{SIZES}, or search {DEPTH} and {WIDTH}")]
    widest = max(_largest(width), max(sizes, default=1))
    deepest = max(_largest(depth), len(sizes) if depth is None or depth.when else 1)
    if widest > MOST[WIDTH] or deepest > MOST[DEPTH]:
        return []  # Has a problem of its own.
    try:
        TrialConfig().replace({SIZES: (widest,) * deepest})
    except ValidationError as error:
        (problem,) = problems_of(error, TrialConfig)
        return [Problem(path, f"{deepest} layers of {widest}", problem.rule, "lower one of the two")]
    return []


def _largest(given: RangeSpec | ChoicesSpec | None) -> int:
    """The largest value of a range of layers; 1 if there is none, or if it is none."""
    values = () if given is None else given.choices if isinstance(given, ChoicesSpec) else (given.high,)
    return max((int(value) for value in values if isinstance(value, (int, float))), default=1)


def _problems_of_point(spec: StudySpec, path: str, point: Mapping[str, Any]) -> list[Problem]:
    """A configuration to be tried first has to be one that the search could draw."""
    ranges = spec.ranges()
    layered = {DEPTH, WIDTH} & ranges.keys()
    names = list(dict.fromkeys([*ranges, LEARNING_RATE, *([SIZES] if layered else [])]))
    problems = []
    for leaf, value in point.items():
        here = f"{path}.{leaf}"
        if leaf not in names:
            fix = nearest(leaf, names) or f"one of: {', '.join(names)}; or search it too"
            problems.append(Problem(here, leaf, "a leaf that is searched", fix))
        elif leaf not in ranges:
            problems += (
                _problems_of_sizes(spec, here, value) if leaf == SIZES else _problems_of_value(here, leaf, value)
            )
        elif isinstance(value, bool) or not can_draw(ranges[leaf], value):
            rule = f"within search_space.{leaf}: {ranges[leaf]}"
            problems.append(Problem(here, _plain(value), rule, "change it, or widen the range"))
        else:
            problems += _problems_of_place(spec, here, leaf, point)
    if SIZES in point and layered & point.keys():
        rule = f"no {SIZES} beside {' and '.join(sorted(layered & point.keys()))}: both say what the layers are"
        problems.append(Problem(f"{path}.{SIZES}", _plain(point[SIZES]), rule, "remove one of the two"))
    return problems


def _problems_of_sizes(spec: StudySpec, path: str, sizes: Any) -> list[Problem]:
    """Hidden layers of a point, where depth and width are searched."""
    wrong = _problems_of_value(path, SIZES, sizes)
    if wrong:
        return wrong
    space, numbers = spec.space(), as_numbers(sizes)
    # What is not searched is as in the trial.
    own = in_config({leaf: value for leaf, value in numbers.items() if leaf in space}, spec.trial)
    outside = [leaf for leaf, value in numbers.items() if leaf in space and not can_draw(space[leaf], value)]
    if not outside and own.get(SIZES, spec.trial[SIZES]) == sizes:
        return []
    ranges = {leaf: range_ for leaf, range_ in spec.ranges().items() if is_of_layers(leaf)}
    rule = f"layers within {' and '.join(f'{leaf} {range_}' for leaf, range_ in ranges.items())}"
    rule += "" if len(ranges) == 2 else "; the rest is as in trial"
    return [Problem(path, list(sizes), rule, "change it, or widen the range")]


def _problems_of_place(spec: StudySpec, path: str, leaf: str, point: Mapping[str, Any]) -> list[Problem]:
    """A leaf of a point with a condition needs what it depends on to be given, and to be right."""
    choice, having = APPLIES_TO.get(leaf, ("", frozenset()))
    needed = {name: _as_values(allowed) for name, allowed in spec.search_space[leaf].when.items()}
    needed |= {choice: tuple(sorted(having))} if choice and choice not in needed else {}
    known = {**point, **(as_numbers(point[SIZES]) if isinstance(point.get(SIZES), tuple) else {})}
    problems = []
    for name, allowed in needed.items():
        if name in spec.search_space and not (name in known and is_one_of(known[name], allowed)):
            words = " or ".join(map(str, allowed))
            rule = f"used when {name} is {words}, " + (
                f"here {known[name]}" if name in known else "which is drawn here"
            )
            problems.append(Problem(path, _plain(point[leaf]), rule, f"give {name} too, or remove it"))
    return problems


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _problems_of_choices(path: str, leaf: str, given: ChoicesSpec) -> list[Problem]:
    problems = [
        p for i, value in enumerate(given.choices) for p in _problems_of_value(f"{path}.choices.{i}", leaf, value)
    ]
    if len(set(given.choices)) < len(given.choices):
        rule, fix = "values that differ", "remove the repeated ones"
        problems.append(Problem(f"{path}.choices", list(given.choices), rule, fix))
    return problems


def _problems_of_bounds(path: str, leaf: str, given: RangeSpec) -> list[Problem]:
    bounds = f"low {given.low:g}, high {given.high:g}"
    whole = _is_whole(leaf)
    step = given.step
    # The first rule that is broken; the later ones take the earlier ones for granted.
    rules = [
        (
            is_of_layers(leaf) or is_number(leaf),
            "",
            bounds,
            f"choices, since {leaf} is no number",
            "write {choices: [...]}",
        ),
        (given.low < given.high, "", bounds, "low below high", "swap or change the bounds"),
        (
            not given.log or given.low > 0,
            ".low",
            given.low,
            "a number above 0, since log is true",
            "raise low or set log: false",
        ),
        (not given.log or step is None, ".step", step, "no step in a log range", "remove step or log"),
        (step is None or step <= given.high - given.low, ".step", step, "at most high − low", "lower or remove it"),
        (
            not whole or all(float(b).is_integer() for b in (given.low, given.high, step or 1)),
            "",
            bounds,
            f"whole numbers, as {leaf} is",
            "round the bounds",
        ),
    ]
    for holds, key, value, rule, fix in rules:
        if not holds:
            return [Problem(path + key, value, rule, fix)]
    return [
        problem
        for bound, value in (("low", given.low), ("high", given.high))
        for problem in _problems_of_value(f"{path}.{bound}", leaf, int(value) if whole else value)
    ]


def _problems_of_value(path: str, leaf: str, value: Any) -> list[Problem]:
    """Try a value on a trial that is otherwise valid: TrialConfig itself says whether it may stand there."""
    if is_of_layers(leaf):
        # bool is an int to Python.
        fits = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST[leaf]
        rule = f"a whole number from 1 to {MOST[leaf]}"
        return [] if fits else [Problem(path, value, rule, f"give {rule}")]
    choice, having = APPLIES_TO.get(leaf, ("", frozenset()))
    values = {leaf: value} | ({choice: sorted(having)[0]} if choice else {})
    if isinstance(value, (bool, str)) and accepts_fractions(leaf):
        return [Problem(path, value, "a number", "write a number")]
    if isinstance(value, (bool, float)) and is_number(leaf) and not accepts_fractions(leaf):
        return [Problem(path, value, "a whole number", "write a whole number")]
    try:
        TrialConfig().replace(values)
    except ValidationError as error:
        return [Problem(path, value, p.rule, p.fix) for p in problems_of(error, TrialConfig)[:1]]
    return []


def _to_range(leaf: str, given: RangeSpec | ChoicesSpec) -> Range:
    when = tuple((choice, _as_values(allowed)) for choice, allowed in given.when.items())
    if isinstance(given, ChoicesSpec):
        return Choices(given.choices, when)
    whole = NumericRange(given.low, given.high, given.log, given.step, integer=_is_whole(leaf), when=when)
    # Ends at the last value that the steps reach: Optuna would warn and do the same.
    return whole.clipped(given.low, given.high)


def _one_width_per_layer(ranges: Mapping[str, Range], trial: TrialConfig) -> dict[str, Range]:
    """The range of ``network.width`` for each layer that a network may have, searched where it has so many."""
    space = dict(ranges)
    width = space.pop(WIDTH, None)
    if width is None:
        return space
    own, depth = len(trial.network.hidden_sizes), space.get(DEPTH)
    if depth is None:
        return space | {width_of(layer): width for layer in range(1, own + 1)}
    most = int(max(depth.choices) if isinstance(depth, Choices) else depth.high)
    # Where the depth has a condition that does not hold, it is the trial's.
    most = max(most, own) if depth.when else most
    for layer in range(1, most + 1):
        so_deep = (DEPTH, tuple(range(layer, most + 1)))
        space[width_of(layer)] = replace(width, when=(*width.when, so_deep))
    return space


def _in_search(point: Mapping[str, Any], layered: bool, space: Mapping[str, Range]) -> dict[str, Any]:
    """A point of the user's by the leaves of a space."""
    values = dict(point)
    if layered and SIZES in values:
        values |= as_numbers(values.pop(SIZES))
    if WIDTH in values:
        width = values.pop(WIDTH)
        values |= {leaf: width for leaf in space if is_of_layers(leaf) and leaf != DEPTH}
    return {leaf: value for leaf, value in values.items() if leaf in space or leaf == LEARNING_RATE}
