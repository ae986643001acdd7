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
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError

from search_service.errors import InvalidSpecError, Problem
from search_service.samplers.registry import SAMPLERS
from search_service.space.layers import DEPTH, WIDTH
from search_service.space.ranges import Range
from search_service.spec.names import Name, OneOf
from search_service.spec.problems import problems_of
from search_service.spec.search_space import (
    Asked,
    Point,
    SearchRange,
    problems_of_nesting,
    problems_of_point,
    problems_of_ranges,
)
from trainables.choices import LossName, OptimizerName
from trainables.config import FrozenModel, TrialConfig
from trainables.data.config import DataConfig
from trainables.metrics import METRICS, MetricName

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


# Of a round. The driver keeps every trial's curve in memory; what is asked for beyond this is a slip of the finger.
MOST_TRIALS, MOST_EPOCHS = 1_000_000, 1_000_000


class RoundSpec(FrozenModel):
    """Budget of one round."""

    max_trials: int = Field(ge=1, le=MOST_TRIALS, description="Configurations tried.")
    max_epochs: int = Field(ge=1, le=MOST_EPOCHS, description="Epochs of those that are not stopped early.")


class CoarseSpec(RoundSpec):
    """Budget of step 4: many configurations, few epochs."""

    max_trials: int = Field(default=24, ge=1, le=MOST_TRIALS, description="Configurations tried.")
    max_epochs: int = Field(default=9, ge=1, le=MOST_EPOCHS, description="Epochs of those that are not stopped early.")


class RefinedSpec(RoundSpec):
    """Budget of step 5: fewer configurations, more epochs."""

    max_trials: int = Field(default=16, ge=1, le=MOST_TRIALS, description="Configurations tried.")
    max_epochs: int = Field(default=27, ge=1, le=MOST_EPOCHS, description="Epochs of those that are not stopped early.")


SamplerName = Annotated[str, OneOf(SAMPLERS)]


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
        default=None, ge=1, description="Epochs before a trial can be stopped; default: 3, or max_epochs/18 if more."
    )
    # With the next ones, what finds random search's best soonest on learning curves: docs/search.md.
    reduction_factor: float = Field(default=2.4, gt=1, description="η: one in η goes on at each rung.")
    rung_spacing: Literal["auto"] | Annotated[float, Field(gt=1)] = Field(
        default="auto",
        description="Each rung lies this many times as many epochs in as the one before: reduction_factor is Ray "
        "Tune's. auto: as close as leaves about two of the round's trials at the end.",
    )
    # Beyond, even of the longest trainings no rung would be left.
    brackets: int = Field(
        default=1,
        ge=1,
        le=5,
        description="Brackets of ASHA: trials of the next one are first judged reduction_factor times as late, and "
        "among themselves.",
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
    max_total_epochs: int | None = Field(
        default=None,
        ge=1,
        description="Epochs of all trials of all rounds together, after which no trial is started; those under way are "
        "finished.",
    )
    patience_trials: int | None = Field(
        default=None, ge=1, description="Trials that end without a better score before a round starts no more."
    )
    patience_minutes: float | None = Field(
        default=None, gt=0, description="Minutes without a better score before a round starts no more trials."
    )
    noise_seeds: int = Field(
        default=3,
        ge=0,
        le=100,
        description="Times that a cycle's best configuration is trained again from other seeds before another cycle is "
        "begun, to measure the score's noise; 0: by the number of validation rows alone.",
    )
    max_concurrent_trials: int | None = Field(
        default=None, ge=1, description="Tune trials at once; default: as many as the CPUs (or GPUs) hold."
    )
    population_size: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        default="auto",
        description="Configurations trained together in one Tune trial, as one batched model. auto: as many as "
        "measurably save time for networks of their shape, at most a quarter of the round at once.",
    )
    points_to_evaluate: tuple[Point, ...] = Field(
        default=(),
        description="Configurations tried first in the first coarse round, after the config's own trial: values by "
        "leaf of search_space; leaves that are not named are drawn.",
    )
    warm_start: Name | None = Field(
        default=None,
        description="Id of an earlier study in the same record: its trials of equal length and within these ranges "
        "teach the sampler, and the best of its configurations is tried first.",
    )
    cpus_per_trial: float = Field(default=1, gt=0, description="CPUs of one Tune trial.")
    gpus_per_trial: float = Field(
        default=0,
        ge=0,
        description="GPUs of one Tune trial, fractions included. Above 0, steps 2 and 3 and the finalists train on a "
        "GPU of the driver's machine, too, if it has one.",
    )


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

        refit: bool = Field(
            default=True,
            description="Train the winner once more, on training and validation rows together, and take that network; "
            "false: the one of its seeds with the best validation score.",
        )
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

    @property
    def asked(self) -> Asked:
        """The ranges, beside the trial."""
        return Asked(self.search_space, self.trial)

    def space(self) -> dict[str, Range]:
        """The user's ranges as the search uses them."""
        return self.asked.space()

    def points(self) -> list[dict[str, Any]]:
        """``search.points_to_evaluate`` by the leaves of ``space``."""
        return [self.asked.in_search(point) for point in self.search.points_to_evaluate]


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
    problems = problems_of_nesting(raw.get("search_space"))
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


def _validate(raw: Mapping[str, Any], problems: list[Problem]) -> StudySpec | None:
    try:
        # Through JSON, strictly: "10" is no number, true is no number, and lists may be tuples.
        return StudySpec.model_validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        problems += problems_of(error, StudySpec)
        return None


def _between_sections(spec: StudySpec) -> list[Problem]:
    """Mistakes that no section has by itself."""
    problems = problems_of_ranges(spec.asked)
    problems += _problems_of_combinations(spec) + _problems_of_warmup(spec)
    # What a point may say, the ranges say, once they are in order.
    if not problems:
        for index, point in enumerate(spec.search.points_to_evaluate):
            problems += problems_of_point(spec.asked, f"search.points_to_evaluate.{index}", point)
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
    if second is not None and not differ and not any(len(spec.asked.possible(leaf)) > 1 for leaf in _DECIDES[second]):
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
    if spec.search.noise_seeds == 1:
        problems.append(Problem("search.noise_seeds", 1, "0, or 2 and more: one score has no spread", "write 3 or 0"))
    for key, values in (("optimizers", spec.comparison.optimizers), ("rates", spec.comparison.rates or ())):
        if len(set(values)) < len(values):
            rule, fix = "values that differ", "remove the repeated ones"
            problems.append(Problem(f"comparison.{key}", list(values), rule, fix))
    return problems


def _problems_of_combinations(spec: StudySpec) -> list[Problem]:
    """Values that are valid each by itself, and could meet in one configuration that is not."""
    normalized = "batch_norm" in spec.asked.possible("network.normalization")
    if not normalized or not {1} & spec.asked.possible("batch_size"):
        return []
    # Conditions may keep the two apart.
    one, other = ("batch_size", 1), ("network.normalization", "batch_norm")
    if spec.asked.keeps_apart(one, other) or spec.asked.keeps_apart(other, one):
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
    longest = max(
        (value for value in spec.asked.possible("schedule.warmup") if isinstance(value, int | float)), default=0
    )
    if longest < epochs:
        return []
    path = "search_space.schedule.warmup" if "schedule.warmup" in spec.search_space else "trial.schedule.warmup"
    rule = f"fewer epochs than a training of the coarse search has (search.coarse.max_epochs: {epochs})"
    return [Problem(path, longest, rule, "lower it, or train longer")]
