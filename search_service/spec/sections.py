"""The sections of a study's config: what may be said in each, with defaults, bounds and descriptions."""

from __future__ import annotations

import warnings
from typing import Annotated, Literal, get_args

from pydantic import Field

from search_service.samplers.registry import SAMPLERS
from search_service.spec.names import Name, OneOf
from search_service.spec.search_space import Point
from trainables.choices import OptimizerName
from trainables.config import FrozenModel
from trainables.metrics import MetricName

SecondObjective = Literal["parameters", "prediction_time"]


class ObjectiveSpec(FrozenModel):
    """What is optimised, on validation rows."""

    metric: MetricName | None = Field(
        default=None,
        description="accuracy, balanced_accuracy, macro_f1, roc_auc or log_loss (not with hinge); rmse, mae or r2 for "
        "numbers. By default accuracy or rmse.",
    )
    second: SecondObjective | None = Field(
        default=None,
        description="A second objective. parameters: numbers trained in a network; prediction_time: milliseconds "
        "per 1 000 rows, measured on one thread of a CPU. The search is for both with search.sampler optuna_tpe or gp, "
        "and for the metric alone with others. Afterwards the trials that no other beats in both are found, and the "
        "finalists are the best of those.",
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
# A month: beyond, somebody has written seconds or a date.
MOST_MINUTES = 43_200


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
        description="How configurations are drawn: tpe, optuna_tpe, gp and cma_es learn from the trials before; "
        "random, quasi_random and grid do not.",
    )
    coarse: CoarseSpec = CoarseSpec()
    refined: RefinedSpec = RefinedSpec()
    early_stopping: bool = Field(
        default=True,
        description="Stop the hopeless at each rung (ASHA): each is compared with those that were there before, so "
        "that on several workers no two studies are quite the same (deterministic: true).",
    )
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
        description="Brackets of ASHA: trials of bracket b, counted from 0, meet their first rung at grace_period × "
        "reduction_factor^b epochs, and are compared with those of their own bracket only.",
    )
    standing: float | None = Field(
        default=0.5,
        gt=0,
        le=1,
        description="At each rung a trial must also still rank within this best share at every earlier rung; null: "
        "earlier rungs are not looked at again, as in Ray Tune.",
    )
    max_cycles: int = Field(default=2, ge=1, description="Times that steps 3 to 5 are done at most.")
    minutes: float | None = Field(
        default=None,
        gt=0,
        le=MOST_MINUTES,
        description="Minutes from the command to its last line: trials, epochs, cycles, finalists and seeds are as "
        "many as fit in, by what they cost here; instead of max_trials, max_cycles and time_budget_s.",
    )
    time_budget_s: float | None = Field(
        default=None,
        gt=0,
        description="Seconds that the whole command may take at most; what the config has of trials, epochs, cycles, "
        "finalists and seeds is the most, of which there are fewer where time is short.",
    )
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
    deterministic: bool = Field(
        default=False,
        description="Whether the same config gives the same study whatever runs it and however many workers there are, "
        "at the price of waiting: cohorts begin in waves (of max_concurrent_trials, or 4), each when the one before "
        "has ended, and nothing goes by the clock.",
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
        "worker with a GPU, too.",
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
        description="Which wins of those that a paired t-test cannot tell from the best mean: best, or "
        "simplest, the one with the fewest parameters, then the fewest epochs.",
    )
    baselines: bool = Field(
        default=True, description="Compare the winner with a linear model and with gradient boosting."
    )


with warnings.catch_warnings():
    # pydantic's own classes have a method of that name, for virtual subclasses, which there are none of.
    warnings.filterwarnings("ignore", message='Field name "register"')

    class ModelSpec(FrozenModel):
        """The model at the end: the winner's network, or the mean of several, with the preparation of its rows."""

        refit: bool = Field(
            default=True,
            description="Train it once more, on training and validation rows together, and take that; "
            "false: the network of the seed with the best validation score.",
        )
        # Each network costs its training and, for good, its time to predict.
        average: Literal["auto", "none"] | Annotated[int, Field(ge=2, le=100)] = Field(
            default="auto",
            description="The model is a weighted mean of the finalists' networks, chosen one after the other by the "
            "mean's validation score; one that is chosen twice counts twice. auto: of at most 8, or one network where "
            "the simplest is preferred, there is a second objective, or the loss is hinge; a number: of at most as "
            "many; none: the winner's network alone.",
        )
        # By the probability that the model gives; where there are two classes.
        threshold: Literal["auto", "none"] | Annotated[float, Field(gt=0, lt=1)] = Field(
            default="auto",
            description="From which probability on a row is said to be of the second of two classes. auto: for "
            "balanced_accuracy and macro_f1 the one that is best on validation rows, for roc_auc the one that is best "
            "by macro_f1, unless chance alone could make it so, else 0.5; none: 0.5; or a number between 0 and 1.",
        )
        # Below one half it would say where most values are not.
        prediction_interval: float | None = Field(
            default=None,
            ge=0.5,
            lt=1,
            description="Share of new rows whose true number is to lie between the lower and the upper end that the "
            "model gives beside each prediction, such as 0.9; for numbers only; null: no ends.",
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
