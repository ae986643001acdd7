"""What people write themselves: random search at full epochs, and Ray Tune with OptunaSearch and ASHAScheduler.

Both search the same ranges as the study around the same trial, with the same training code, until as many epochs are
spent as the study spent on its rounds, finalists and model. A learning rate that the study takes from step 3 they take
from the range that everybody starts with. Both hand over the network of their best trial at its best epoch, by
validation score.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np

from search_service.samplers.sampler import Sampler
from search_service.space.ranges import Choices, NumericRange, Range
from search_service.spec.study_spec import StudySpec
from search_service.wiring import PreparedStudy
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset, TestRows
from trainables.metrics import METRICS, MetricName
from trainables.process import prepare_process
from trainables.row_tensors import to_tensors
from trainables.seeds import derive_seed
from trainables.training import PopulationTraining

# Where the study asks step 3.
LEARNING_RATES = NumericRange(1e-4, 1e-1, log=True)


@dataclass(frozen=True)
class Epoch:
    """One epoch of a trial; the test score is that of the best epoch so far."""

    number: int
    validation: float
    test: float


@dataclass
class Best:
    """The best epoch seen so far, and how many there were.

    Attributes:
        metric: Of the scores.
        validation: NaN before the first.
        test: Of the same network.
        epochs: Trained in all.
    """

    metric: MetricName
    validation: float = math.nan
    test: float = math.nan
    epochs: int = field(default=0)

    def see(self, epoch: Epoch) -> None:
        """Take an epoch into account."""
        self.epochs += 1
        if math.isnan(self.validation) or METRICS[self.metric].better(epoch.validation, self.validation):
            self.validation, self.test = epoch.validation, epoch.test


def space_of(spec: StudySpec) -> dict[str, Range]:
    """The ranges of the study, and one for the learning rate."""
    return {"optimizer.lr": LEARNING_RATES, **spec.space()}


def train(
    config: TrialConfig, dataset: Dataset, test_rows: TestRows, metric: MetricName, max_epochs: int
) -> Iterator[Epoch]:
    """Train one configuration, epoch by epoch, until it diverges."""
    training = PopulationTraining([config], dataset, order_seed=config.seed, max_epochs=max_epochs, metric=metric)
    tests = to_tensors(test_rows, training.device, training.dtype)
    best, test = math.nan, math.nan
    for record in training.epochs():
        score = record.validation_score[0]
        if not math.isfinite(record.train_loss[0]) or not math.isfinite(score):
            return
        if math.isnan(best) or METRICS[metric].better(score, best):
            best, test = score, training.scores(tests, (metric,))[metric][0].item()
        yield Epoch(record.epoch, score, test)
        if record.epoch == max_epochs:
            return


def random_search(study: PreparedStudy, budget: int) -> Best:
    """Random configurations, each trained for as many epochs as the study's longest trials.

    Args:
        study: Its spec's seed decides what is drawn.
        budget: Epochs in all; the last trial may be cut short.
    """
    spec = study.spec
    best = Best(spec.metric)
    sampler = Sampler(space_of(spec), spec.trial, method="random", mode=METRICS[spec.metric].mode, seed=spec.seed)
    workers = os.cpu_count() or 1
    # Spawned: a copy of a process that has run Ray and torch would share their locks.
    with ProcessPoolExecutor(workers, get_context("spawn"), _take_up, (study,)) as pool:
        while best.epochs < budget:
            drawn = [suggestion for _ in range(workers) for suggestion in sampler.ask(1)]
            configs = [spec.trial.replace({**s.values, "seed": derive_seed(spec.seed, s.number)}) for s in drawn]
            for epoch in itertools.chain.from_iterable(pool.map(_train_to_the_end, configs)):
                if best.epochs < budget:
                    best.see(epoch)
    return best


_taken_up: list[PreparedStudy] = []


def _take_up(study: PreparedStudy) -> None:
    prepare_process()
    _taken_up.append(study)


def _train_to_the_end(config: TrialConfig) -> list[Epoch]:
    (study,) = _taken_up
    spec = study.spec
    return list(train(config, study.dataset, study.test_rows, spec.metric, spec.search.refined.max_epochs))


def ray_tune(study: PreparedStudy, budget: int, folder: str) -> Best:
    """Ray Tune as its documentation shows it; actors are reused, which changes nothing but the waiting.

    Args:
        study: Its spec's seed decides what is drawn.
        budget: Epochs in all; trials that run when it is spent are stopped.
        folder: For Tune's own files.
    """
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    spec = study.spec
    mode, epochs = METRICS[spec.metric].mode, spec.search.refined.max_epochs
    best = Best(spec.metric)

    class Budget(tune.Stopper):  # type: ignore[misc]
        def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
            best.see(Epoch(result["training_iteration"], result["score"], result["test"]))
            return False

        def stop_all(self) -> bool:
            return best.epochs >= budget

        def __reduce__(self) -> tuple[Any, ...]:
            # Pickled for Tuner.restore, which nobody calls.
            return tune.stopper.NoopStopper, ()

    def trainable(values: dict[str, Any], prepared: PreparedStudy) -> None:
        prepare_process()
        choices = {leaf: range_ for leaf, range_ in space_of(spec).items() if isinstance(range_, Choices)}
        leaves = {leaf: choices[leaf].choices[value] if leaf in choices else value for leaf, value in values.items()}
        config = spec.trial.replace({**leaves, "seed": derive_seed(spec.seed, str(sorted(values.items())))})
        for epoch in train(config, prepared.dataset, prepared.test_rows, spec.metric, epochs):
            tune.report({"score": epoch.validation, "test": epoch.test})

    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, prepared=study), {"cpu": 1}),
        param_space={leaf: _domain(range_) for leaf, range_ in space_of(spec).items()},
        tune_config=tune.TuneConfig(
            metric="score",
            mode=mode,
            search_alg=OptunaSearch(seed=spec.seed),
            scheduler=ASHAScheduler(max_t=epochs),
            num_samples=-1,
            max_concurrent_trials=int(ray.cluster_resources()["CPU"]),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=folder,
            verbose=0,
            stop=Budget(),
            # An error in this file would otherwise be tried for ever: there is no largest number of trials.
            failure_config=tune.FailureConfig(fail_fast=True),
        ),
    )
    tuner.fit()
    if best.epochs < budget:
        raise SystemExit(f"Ray Tune stopped after {best.epochs} of {budget} epochs; its errors are in {folder}")
    return best


def _domain(range_: Range) -> Any:
    """As a user of Tune would write it; a choice by its index, since a list is no category of Optuna's."""
    from ray import tune

    if isinstance(range_, Choices):
        return tune.choice(list(range(len(range_.choices))))
    if range_.integer:
        low, high = int(range_.low), int(range_.high) + 1
        return tune.lograndint(low, high) if range_.log else tune.randint(low, high)
    return tune.loguniform(range_.low, range_.high) if range_.log else tune.uniform(range_.low, range_.high)


def seeded(spec: StudySpec, seed: int) -> StudySpec:
    """The same study with another seed, which also divides the rows anew, and without the comparison with baselines."""
    return spec.model_copy(update={"seed": seed, "finalists": spec.finalists.model_copy(update={"baselines": False})})


def epochs_spent(rounds: Any, finalists: Any) -> int:
    """Epochs of every network that a study trained in its rounds, as finalists and as its model."""
    searched = sum(trial.epochs for result in rounds for trial in result.trials)
    again = sum(len(curve) for finalist in finalists.finalists for curve in finalist.curves)
    return searched + again + (finalists.refit.epochs_spent if finalists.refit is not None else 0)


def summary(scores: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(scores):.5g} ± {np.std(scores, ddof=1):.2g}"
