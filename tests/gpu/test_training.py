"""D1: populations train on a GPU as they do on a CPU, steps one by one or replayed from a recording."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import math

import numpy as np
import pytest
import torch

from tests.plans import plain
from trainables import checkpoint, training
from trainables.activations import ACTIVATIONS
from trainables.losses import LOSSES
from trainables.measurements import layer_activations, layer_gradients, measure_health
from trainables.optimizers import OPTIMIZERS
from trainables.population_size import choose
from trainables.recorded_step import UNRECORDED
from trainables.timing import measure
from trainables.training import PopulationTraining

# Twenty batches of 53 rows and one of the 18 that are left of 1 078: both sizes are recorded after some epochs.
BATCH = 53
EPOCHS = UNRECORDED + 3

FEATURES = {
    "batch_norm": {"network.normalization": "batch_norm"},
    "penalties": {"regularization.l1": 1e-4, "regularization.l2": 1e-3},
    "clipping": {"clipping.value": 0.05, "clipping.norm": 0.3},
    "smoothing": {"label_smoothing": 0.1, "class_weights": "balanced"},
    "by steps": {"schedule.name": "cosine", "schedule.unit": "steps", "schedule.warmup": 3},
    "by epochs": {"schedule.name": "exponential", "schedule.factor": 0.7},
}
FEATURES["everything"] = {leaf: value for leaves in FEATURES.values() for leaf, value in leaves.items()}
DROPS = {"network.dropout": 0.3, "network.dropconnect": 0.1}


def population(dataset, leaves=None, *, device="cuda", dtype=torch.float64, members=3):
    base = plain(batch_size=BATCH).replace({"network.hidden_sizes": (24, 12), **(leaves or {})})
    configs = [base.replace({"seed": k, "optimizer.lr": 0.02 / (k + 1)}) for k in range(members)]
    return PopulationTraining(configs, dataset, order_seed=0, max_epochs=EPOCHS, device=device, dtype=dtype)


def train(population, epochs=EPOCHS):
    return list(itertools.islice(population.epochs(), epochs))


def assert_alike(one, other, *, rel=1e-6):
    for a, b in zip(one, other, strict=True):
        assert a.epoch == b.epoch
        assert a.train_loss == pytest.approx(b.train_loss, rel=rel)
        assert a.validation_loss == pytest.approx(b.validation_loss, rel=rel)
        assert a.validation_score == pytest.approx(b.validation_score, rel=rel)


def assert_as_on_a_cpu(dataset, leaves):
    there, here = (population(dataset, leaves, device=device) for device in ("cuda", "cpu"))
    assert_alike(train(there), train(here))
    assert len(there._recorded._recordings) == 2, "both sizes of batch were recorded"
    torch.testing.assert_close(there.network.parameters.cpu(), here.network.parameters, rtol=1e-6, atol=1e-9)
    assert there.optimizer.steps == here.optimizer.steps == EPOCHS * there.steps_per_epoch


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_d1_every_optimizer_gives_the_numbers_of_a_cpu(digits, optimizer):
    assert_as_on_a_cpu(digits[0], {"optimizer.name": optimizer} | FEATURES["by steps"])


@pytest.mark.parametrize("feature", sorted(FEATURES))
def test_d1_every_feature_gives_the_numbers_of_a_cpu(digits, feature):
    assert_as_on_a_cpu(digits[0], FEATURES[feature])


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_d1_every_activation_gives_the_numbers_of_a_cpu(digits, activation):
    assert_as_on_a_cpu(digits[0], {"network.activation": activation})


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
def test_d1_every_loss_gives_the_numbers_of_a_cpu(digits, diabetes, loss, weighted):
    dataset = diabetes[0] if loss in ("mse", "huber") else digits[0]
    # Of 264 rows of diabetes; two sizes of batch there, too.
    leaves = {"loss": loss}
    if loss == "binary_cross_entropy":
        rows = [dataclasses.replace(r, targets=r.targets % 2) for r in (dataset.train, dataset.validation)]
        dataset = dataclasses.replace(dataset, train=rows[0], validation=rows[1], n_outputs=2)
    if weighted:
        parts = {
            name: dataclasses.replace(rows, weights=np.linspace(0.5, 2.0, len(rows), dtype=np.float32))
            for name, rows in (("train", dataset.train), ("validation", dataset.validation))
        }
        dataset = dataclasses.replace(dataset, **parts)
    assert_as_on_a_cpu(dataset, leaves)


@pytest.mark.parametrize("drops", [{}, DROPS], ids=["without masks", "with masks"])
def test_d1_replayed_steps_are_those_that_were_recorded(digits, monkeypatch, drops):
    """The same masks, too, and the same bits: a recording is of the same kernels."""
    leaves = FEATURES["everything"] | drops
    replayed = population(digits[0], leaves, dtype=torch.float32)
    records = train(replayed)
    monkeypatch.setattr(training, "RECORDED_UP_TO", 0)
    one_by_one = population(digits[0], leaves, dtype=torch.float32)
    assert one_by_one._recorded is None
    assert_alike(records, train(one_by_one), rel=1e-5)
    torch.testing.assert_close(replayed.network.parameters, one_by_one.network.parameters, rtol=1e-4, atol=1e-6)


def test_d1_members_that_stay_go_on_as_if_nothing_had_happened(digits):
    there, here = (population(digits[0], FEATURES["everything"], device=device) for device in ("cuda", "cpu"))
    for keep in ([2, 0], [1]):
        assert_alike(train(there, UNRECORDED + 2), train(here, UNRECORDED + 2))
        there.keep(keep)
        here.keep(keep)
    assert_alike(train(there, UNRECORDED + 2), train(here, UNRECORDED + 2))


@pytest.mark.parametrize("optimizer", ["adamw", "nesterov"])
def test_d1_a_population_saved_and_loaded_goes_on_bit_for_bit(digits, tmp_path, optimizer):
    leaves = FEATURES["everything"] | DROPS | {"optimizer.name": optimizer}
    saved = population(digits[0], leaves, dtype=torch.float32)
    train(saved, 4)
    checkpoint.save(saved, tmp_path / "population.pt")
    loaded = checkpoint.load(tmp_path / "population.pt", digits[0], device="cuda")
    # Both begin their recordings anew, as after a restart.
    saved._begin_steps()
    assert train(saved, 3) == train(loaded, 3)
    assert torch.equal(saved.network.parameters, loaded.network.parameters)


@pytest.mark.parametrize(("of", "on"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_d1_a_population_goes_on_on_the_other_device(digits, tmp_path, of, on):
    saved = population(digits[0], FEATURES["everything"], device=of)
    train(saved, 3)
    checkpoint.save(saved, tmp_path / "population.pt")
    assert_alike(train(saved, 3), train(checkpoint.load(tmp_path / "population.pt", digits[0], device=on), 3))
    dropping = population(digits[0], DROPS, device=of)
    checkpoint.save(dropping, tmp_path / "dropping.pt")
    loaded = checkpoint.load(tmp_path / "dropping.pt", digits[0], device=on)
    assert all(math.isfinite(loss) for loss in train(loaded, 1)[0].train_loss)


def test_d1_what_looks_into_a_training_does_not_disturb_it(digits):
    watched, alone = (population(digits[0], FEATURES["by steps"]) for _ in range(2))
    rows = watched.train_rows.spread(200)
    records = []
    for record in itertools.islice(watched.epochs(lambda: measure_health(watched, rows)), 3):
        layer_activations(watched, rows.inputs)
        layer_gradients(watched, rows)
        records.append(record)
    assert_alike(records, train(alone, 3))
    cpu = population(digits[0], FEATURES["by steps"], device="cpu")
    train(cpu, 3)
    for there, here in zip(measure_health(watched, rows), measure_health(cpu, cpu.train_rows.spread(200)), strict=True):
        assert there.loss == pytest.approx(here.loss, rel=1e-6)
        for a, b in zip(there.layers, here.layers, strict=True):
            assert dataclasses.astuple(a) == pytest.approx(dataclasses.astuple(b), rel=1e-5, abs=1e-9)


def test_d1_a_population_that_is_no_longer_used_gives_its_memory_back_at_once(digits):
    gc.collect()
    torch.cuda.synchronize()
    gc.disable()
    try:
        before = torch.cuda.memory_allocated()
        train(population(digits[0]))
        # cuBLAS keeps its workspaces; a population, its recordings and the rows are 4 MB or more.
        assert torch.cuda.memory_allocated() - before < 2**20
    finally:
        gc.enable()


def test_d1_what_is_recorded_is_small(digits, monkeypatch):
    few = population(digits[0])
    numbers = few.network.parameters.numel() + few.size * BATCH * (24 + 12 + 10)
    for limit, recorded in ((numbers, True), (numbers - 1, False)):
        monkeypatch.setattr(training, "RECORDED_UP_TO", limit)
        assert (population(digits[0])._recorded is not None) == recorded


def test_d1_a_size_and_a_pace_are_measured_there(digits):
    config = plain(batch_size=32)
    choice = choose(config, digits[0], most=256, device="cuda")
    assert choice.size >= 16
    assert choice.gain > 4
    pace = measure([config] * choice.size, digits[0], device="cuda")
    one_by_one = measure([config], digits[0])
    assert pace.seconds_per_step / choice.size < one_by_one.seconds_per_step
    assert pace.steps_per_epoch > UNRECORDED
