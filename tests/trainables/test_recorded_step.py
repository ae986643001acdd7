"""D1: a step is a fixed sequence of tensor operations on the same tensors, so that a GPU can replay a recording of it.

Here the operations are recorded and done again on a CPU; tests/gpu does the same with CUDA graphs.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from tests.plans import plain
from tests.tapes import TapedStep
from trainables import recorded_step
from trainables.activations import ACTIVATIONS
from trainables.losses import LOSSES
from trainables.optimizers import OPTIMIZERS
from trainables.recorded_step import UNRECORDED, RecordedStep
from trainables.training import PopulationTraining

# Of 1 078 rows: ten batches of 100 and one of 78.
BATCH = 100
EPOCHS = UNRECORDED + 2
EVERYTHING = {
    "network.normalization": "batch_norm",
    "network.dropout": 0.3,
    "network.dropconnect": 0.1,
    "regularization.l1": 1e-4,
    "regularization.l2": 1e-3,
    "clipping.value": 0.05,
    "clipping.norm": 0.3,
    "schedule.name": "cosine",
    "schedule.unit": "steps",
    "schedule.warmup": 3,
}


def population(dataset, leaves):
    base = plain(batch_size=BATCH).replace({"network.hidden_sizes": (12, 9), **leaves})
    configs = [base.replace({"seed": k, "optimizer.lr": 0.02 / (k + 1)}) for k in range(3)]
    return PopulationTraining(configs, dataset, order_seed=0, max_epochs=EPOCHS)


@pytest.fixture
def assert_replayed(monkeypatch):
    """Trains two populations, one of them by recordings, and compares them bit by bit."""
    monkeypatch.setattr(recorded_step, "_Recording", TapedStep)

    def check(dataset, leaves):
        replayed, alone = population(dataset, leaves), population(dataset, leaves)
        replayed._recorded = RecordedStep(replayed.masks)
        assert train(replayed) == train(alone)
        assert len(replayed._recorded._recordings) == 2, "both sizes of batch were recorded"
        assert replayed.network.parameters.equal(alone.network.parameters)

    return check


def train(population):
    return list(itertools.islice(population.epochs(), EPOCHS))


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_d1_a_step_of_every_optimizer_can_be_replayed(digits, assert_replayed, optimizer):
    assert_replayed(digits[0], EVERYTHING | {"optimizer.name": optimizer})


def test_d1_a_rate_that_changes_by_epochs_changes_in_a_recording(digits, assert_replayed):
    changing = {"schedule.name": "exponential", "schedule.unit": "epochs", "schedule.factor": 0.5}
    assert_replayed(digits[0], {"optimizer.name": "adamw", "optimizer.weight_decay": 0.1, **changing})


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_d1_a_step_of_every_activation_can_be_replayed(digits, assert_replayed, activation):
    assert_replayed(digits[0], {"network.activation": activation})


@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_d1_a_step_of_every_loss_can_be_replayed(digits, diabetes, assert_replayed, loss, weighted):
    dataset = diabetes[0] if loss in ("mse", "huber") else digits[0]
    leaves = {"loss": loss} | ({"label_smoothing": 0.1} if weighted and "cross_entropy" in loss else {})
    if loss == "binary_cross_entropy":
        parts = [dataclasses.replace(rows, targets=rows.targets % 2) for rows in (dataset.train, dataset.validation)]
        dataset = dataclasses.replace(dataset, train=parts[0], validation=parts[1], n_outputs=2)
    if weighted:
        weights = np.linspace(0.5, 2.0, len(dataset.train), dtype=np.float32)
        dataset = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, weights=weights))
    assert_replayed(dataset, leaves)
