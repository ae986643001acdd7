"""How the model's outputs are read: how sure they are, and from which probability on a class is named.

Why: a network that has fitted its rows well is too sure of others (a temperature mends it), and of two classes one
half is the right threshold for accuracy alone: where one is rare, it is hardly ever named. Both are settled on
validation rows, by networks that have not learnt from them: where the model has, its twins in configuration and seed.
A threshold that these rows do not show to be better, beyond chance, is left at one half: nobody has to explain it then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from search_service.recipe import averaging
from search_service.recipe.averaging import Choice
from search_service.spec.study_spec import StudySpec
from trainables import calibration, conformal, threshold
from trainables.advantage import Drawn
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS, MetricName
from trainables.records import Calibration, PredictionInterval, Threshold
from trainables.row_tensors import RowTensors
from trainables.target_scaling import TargetScaling
from trainables.training import PopulationTraining


@dataclass(frozen=True)
class Reading:
    """How outputs are read.

    Attributes:
        temperature: What they are divided by; None if nobody asked.
        threshold: From which probability on the second of two classes is named; None for one half.
    """

    temperature: float | None = None
    threshold: Threshold | None = None

    @property
    def shift(self) -> float:
        """The log-odds above which the second of two classes is named."""
        return 0.0 if self.threshold is None else self.threshold.shift

    def read(self, outputs: Tensor) -> tuple[Tensor, float]:
        """Outputs divided by the temperature, and the log-odds above which the second of two classes is named then."""
        temperature = self.temperature or 1.0
        return outputs / temperature, self.shift / temperature

    @property
    def of_baselines(self) -> float | MetricName | None:
        """What a simpler model gets, too: the same probability, or one of its own, chosen by the same score."""
        if self.threshold is None:
            return None
        return self.threshold.chosen_by or self.threshold.probability

    def judged(self, of_tests: Tensor, tests: RowTensors) -> tuple[Calibration | None, Threshold | None]:
        """What temperature and threshold do to the model on test rows, of which it says ``of_tests``, ``[N, C]``."""
        found, chosen = None, self.threshold
        if self.temperature is not None:
            found = calibration.judge(self.temperature, of_tests, tests.targets, tests.weights)
        if chosen is not None:
            names: list[MetricName] = [name for name, metric in METRICS.items() if metric.of_named_classes]
            test, at_half = (_scores(of_tests, tests, names, shift) for shift in (chosen.shift, 0.0))
            chosen = replace(chosen, test=test, test_at_half=at_half)
        return found, chosen


def settle(
    spec: StudySpec, training: PopulationTraining, member: int, chosen: Choice | None, dataset: Dataset
) -> Reading:
    """Settle both.

    Args:
        spec: What was asked.
        training: The winner's networks, which have learnt from the training rows.
        member: Index of the one that is the model, or whose twin is.
        chosen: The networks that are averaged, if any are.
        dataset: Names of its classes.
    """
    rows = training.validation_rows
    if chosen is not None:
        rows, said = rows.spread(averaging.MOST_ROWS), chosen.outputs
    else:
        said = training.outputs(rows.inputs)[member]
    temperature = None
    if spec.finalists.calibration == "temperature":
        temperature = calibration.fit_temperature(said, rows.targets, rows.weights)
    return Reading(temperature, _threshold(spec, said, rows, temperature or 1.0, dataset))


def prediction_interval(
    share: float | None, of_tests: Tensor, tests: RowTensors, scaling: TargetScaling
) -> PredictionInterval | None:
    """What holds the true number of a share of new rows, if one is asked for.

    The test rows say it: they have chosen nothing. Nothing that is told of them elsewhere depends on it.

    Args:
        share: Of new rows.
        of_tests: What the model says of the test rows, ``[N, 1]``, scaled.
        tests: The rows.
        scaling: Of the target, to which units errors are brought.
    """
    if share is None:
        return None
    said, true, unit = scaling.comparable(of_tests[:, 0].double(), tests.targets.double())
    errors = (said - true).abs() * unit
    weights = None if tests.weights is None else tests.weights.double().cpu().numpy()
    return conformal.measure(errors.cpu().numpy(), share, weights)


def _threshold(
    spec: StudySpec, said: Tensor, rows: RowTensors, temperature: float, dataset: Dataset
) -> Threshold | None:
    asked = spec.model.threshold
    if asked == "none" or len(dataset.class_names) != 2 or not spec.trial.gives_probabilities:
        return None
    name = dataset.class_names[1]
    if isinstance(asked, float):
        return Threshold(asked, threshold.shift_at(asked, temperature), name)
    by = threshold.CHOSEN_BY.get(spec.metric)
    # Of a class without any row no score says anything.
    if by is None or len(rows.targets.unique()) < 2 or not bool(said.isfinite().all()):
        return None
    shift = threshold.best_shift(said, rows, by)
    if not Drawn(said, rows, by, shift=shift).over(said, by).is_certain:
        return None
    before, best = (_scores(said, rows, [by], at)[by] for at in (0.0, shift))
    return Threshold(threshold.probability_at(shift, temperature), shift, name, by, (before, best))


def _scores(outputs: Tensor, rows: RowTensors, names: Sequence[MetricName], shift: float) -> dict[MetricName, float]:
    """Scores of one network, of ``[N, C]``."""
    scores = threshold.scores_at(outputs.unsqueeze(0), rows, names, shift=shift)
    return {name: score.item() for name, score in scores.items()}
