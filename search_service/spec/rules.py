"""Rules between the sections of a config: what is valid by itself, and not together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from search_service.errors import Problem
from search_service.space.layers import DEPTH, WIDTH
from search_service.spec.range_problems import problems_of_point, problems_of_ranges
from search_service.spec.sections import SearchSpec, SecondObjective
from trainables.metrics import METRICS

if TYPE_CHECKING:
    from search_service.spec.study_spec import StudySpec

# Leaves by which trials can differ in it.
_DECIDES: Mapping[SecondObjective, tuple[str, ...]] = {
    "parameters": ("network.hidden_sizes", "network.normalization"),
    "prediction_time": ("network.hidden_sizes", "network.normalization", "network.activation"),
}


def between_sections(spec: StudySpec) -> list[Problem]:
    """Mistakes that no section has by itself."""
    problems = problems_of_ranges(spec.asked)
    problems += _problems_of_combinations(spec) + _problems_of_warmup(spec)
    # What a point may say, the ranges say, once they are in order; where they are left open, the table does later on.
    if not problems and not spec.leaves_networks_open:
        for index, point in enumerate(spec.search.points_to_evaluate):
            problems += problems_of_point(spec.asked, f"search.points_to_evaluate.{index}", point)
    return problems + [problem for rule in _RULES for problem in rule(spec)]


def _too_many_points(spec: StudySpec) -> list[Problem]:
    number, most = len(spec.search.points_to_evaluate), spec.search.coarse.max_trials
    # A study with minutes makes room for them.
    if number < most or spec.search.minutes is not None:
        return []
    rule = f"fewer than search.coarse.max_trials ({most}): trial 0 is the config's own"
    return [Problem("search.points_to_evaluate", f"{number} points", rule, "raise it, or leave some out")]


def _metric_of_the_task(spec: StudySpec) -> list[Problem]:
    metric = spec.objective.metric
    if metric is None:
        return []
    task = spec.trial.task if "loss" in spec.trial.model_fields_set else spec.data.task
    if task is not None and METRICS[metric].task != task:
        fitting = " or ".join(name for name, m in METRICS.items() if m.task == task)
        said = f"trial.loss: {spec.trial.loss} does" if task == spec.trial.task else f"data.task: {task} says"
        rule = f"a metric for {task}, which {said}"
        return [Problem("objective.metric", metric, rule, f"use {fitting}, or change trial.loss")]
    if METRICS[metric].needs_probabilities and not spec.trial.gives_probabilities:
        rule = f"a metric that trial.loss: {spec.trial.loss} has, which gives no probabilities"
        return [Problem("objective.metric", metric, rule, "use roc_auc, or trial.loss: cross_entropy")]
    return []


def _target_in_reach(spec: StudySpec) -> list[Problem]:
    target = spec.objective.target
    if not METRICS[spec.metric].at_most_1 or target is None or 0 < target <= 1:
        return []
    rule = f"a number above 0 and at most 1, as {spec.metric} is"
    return [Problem("objective.target", target, rule, "write 0.97 for 97 %")]


def _second_differs(spec: StudySpec) -> list[Problem]:
    """Trials must be able to differ in the second objective."""
    second = spec.objective.second
    # A config that leaves its networks to its table has ranges once that is read.
    if second is None or spec.leaves_networks_open or {DEPTH, WIDTH} & spec.search_space.keys():
        return []
    if any(len(spec.asked.possible(leaf)) > 1 for leaf in _DECIDES[second]):
        return []
    rule = f"null, since all trials are alike in it: nothing of {' or '.join(_DECIDES[second])} is searched"
    return [Problem("objective.second", second, rule, "search network.hidden_sizes, or remove it")]


def _can_be_calibrated(spec: StudySpec) -> list[Problem]:
    calibration = spec.finalists.calibration
    if calibration == "none" or spec.trial.gives_probabilities:
        return []
    rule = f"none, since trial.loss: {spec.trial.loss} gives no probabilities"
    return [Problem("finalists.calibration", calibration, rule, _remove_or_classify(spec))]


def _remove_or_classify(spec: StudySpec) -> str:
    """What to do about what needs probabilities: numbers have none by any loss."""
    return "remove it, or use trial.loss: cross_entropy" if spec.trial.task == "classification" else "remove it"


def _threshold(spec: StudySpec) -> list[Problem]:
    """A probability where there are none."""
    asked = spec.model.threshold
    if not isinstance(asked, float) or spec.trial.gives_probabilities:
        return []
    rule = f"none or auto, since trial.loss: {spec.trial.loss} gives no probabilities"
    return [Problem("model.threshold", asked, rule, _remove_or_classify(spec))]


# What model.prediction_interval must be where the target is a class.
NO_ENDS = "null, since classes have no ends; their probabilities say how sure the model is"


def _prediction_interval(spec: StudySpec) -> list[Problem]:
    """Ends of an interval around a class."""
    asked = spec.model.prediction_interval
    if asked is None or spec.task_given != "classification":
        return []
    return [Problem("model.prediction_interval", asked, NO_ENDS, "remove it")]


def _average(spec: StudySpec) -> list[Problem]:
    """A number of networks that there cannot be."""
    asked = spec.model.average
    if not isinstance(asked, int):
        return []
    networks = spec.finalists.top * spec.finalists.seeds
    if spec.trial.task == "classification" and not spec.trial.gives_probabilities:
        rule = f"none or auto, since outputs of trial.loss: {spec.trial.loss} are no probabilities to be averaged"
        return [Problem("model.average", asked, rule, "remove it, or use trial.loss: cross_entropy")]
    if networks < 2:
        rule = "none or auto, since finalists.top: 1 with finalists.seeds: 1 is one network"
        return [Problem("model.average", asked, rule, "remove it, or raise finalists.seeds")]
    return []


def _budgets(spec: StudySpec) -> list[Problem]:
    problems = []
    refined_follows = spec.search.minutes is not None and "max_epochs" not in spec.search.refined.model_fields_set
    if spec.search.refined.max_epochs < spec.search.coarse.max_epochs and not refined_follows:
        rule = f"at least search.coarse.max_epochs ({spec.search.coarse.max_epochs}): the refined round trains longer"
        problems.append(Problem("search.refined.max_epochs", spec.search.refined.max_epochs, rule, "raise it"))
    if spec.search.noise_seeds == 1:
        problems.append(Problem("search.noise_seeds", 1, "0, or 2 and more: one score has no spread", "write 3 or 0"))
    return problems


def _minutes_decide(spec: StudySpec) -> list[Problem]:
    """Two answers to one question: how large the study is."""
    search = spec.search
    if search.minutes is None:
        return []
    given = {
        f"search.{name}.max_trials": round_.max_trials
        for name, round_ in (("coarse", search.coarse), ("refined", search.refined))
        if "max_trials" in round_.model_fields_set
    }
    given |= {
        f"search.{key}": getattr(search, key) for key in ("max_cycles", "time_budget_s") if _is_given(search, key)
    }
    rule = f"nothing, since search.minutes: {search.minutes:g} decides it"
    return [Problem(key, value, rule, "remove it, or search.minutes") for key, value in given.items()]


def _deterministic(spec: StudySpec) -> list[Problem]:
    """What goes by the clock is not the same twice."""
    search = spec.search
    if not search.deterministic:
        return []
    rule = "nothing, since search.deterministic: true lets nothing go by the clock"
    keys = ("minutes", "time_budget_s", "patience_minutes")
    given = {f"search.{key}": value for key in keys if (value := getattr(search, key)) is not None}
    return [Problem(key, value, rule, "remove it, or search.deterministic") for key, value in given.items()]


def _is_given(search: SearchSpec, key: str) -> bool:
    """Whether a key stands in the config, and not as what it would be anyway."""
    return key in search.model_fields_set and getattr(search, key) is not None


def _repeated(spec: StudySpec) -> list[Problem]:
    rule, fix = "values that differ", "remove the repeated ones"
    return [
        Problem(f"comparison.{key}", list(values), rule, fix)
        for key, values in (("optimizers", spec.comparison.optimizers), ("rates", spec.comparison.rates or ()))
        if len(set(values)) < len(values)
    ]


_RULES = (
    _too_many_points,
    _metric_of_the_task,
    _target_in_reach,
    _second_differs,
    _can_be_calibrated,
    _average,
    _threshold,
    _prediction_interval,
    _budgets,
    _minutes_decide,
    _deterministic,
    _repeated,
)


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
