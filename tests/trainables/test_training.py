"""The training loop: A8 (batches), A6 (L2), populations against single networks and against torch.optim."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.plans import plain
from tests.references import as_torch, flat_parameters
from trainables.choices import ActivationName, NormalizationName, OptimizerName, ScheduleName
from trainables.data.dataset import Rows
from trainables.measurements import layer_gradients, measure_health
from trainables.optimizers import FUSED_FROM, OPTIMIZERS
from trainables.row_tensors import to_tensors
from trainables.training import PopulationTraining, chance_scale, frequency_baseline
from trainables.trivial import TrivialPredictor

RATES = (1e-4, 1e-3, 1e-2, 3e-2)


def small(dataset, rows: int):
    train = Rows(dataset.train.inputs[:rows], dataset.train.targets[:rows])
    return dataclasses.replace(dataset, train=train, validation=train)


def configs_of(optimizer: str, **leaves):
    return [
        plain(seed=k).replace({"optimizer.name": optimizer, "optimizer.lr": rate, **leaves})
        for k, rate in enumerate(RATES)
    ]


@pytest.mark.parametrize("normalization", ["none", "batch_norm"])
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_member_k_gives_the_same_numbers_as_the_same_configuration_alone(digits, optimizer, normalization):
    leaves = {"regularization.l2": 1e-3, "clipping.norm": 1.0, "network.normalization": normalization}
    configs = configs_of(optimizer, **leaves)
    together = PopulationTraining(configs, digits[0], order_seed=0)
    losses = torch.stack(list(itertools.islice(together.steps(), 10)))  # (steps, K)
    for k, config in enumerate(configs):
        alone = PopulationTraining([config], digits[0], order_seed=0)
        own = torch.stack(list(itertools.islice(alone.steps(), 10)))
        torch.testing.assert_close(losses[:, k], own[:, 0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together.network.parameters[k], alone.network.parameters[0], rtol=1e-5, atol=1e-5)


# One feature family each, and all at once: (leaves of the trial, its torch counterparts are in the test).
PATHS = {
    "plain": {},
    "l2": {"regularization.l2": 0.01},
    "batch_norm": {"network.normalization": "batch_norm"},
    "clipping": {"clipping.value": 0.05, "clipping.norm": 0.3},
    "smoothing": {"label_smoothing": 0.1, "class_weights": "balanced"},
    "schedule": {"schedule.name": "cosine", "schedule.unit": "steps", "schedule.warmup": 3},
    "epochs": {"schedule.name": "exponential", "schedule.factor": 0.5},
}
PATHS["everything"] = {leaf: value for leaves in list(PATHS.values())[:-1] for leaf, value in leaves.items()}


@pytest.mark.parametrize("path", sorted(PATHS))
def test_thirty_steps_equal_torch_nn_with_torch_optim(digits, path):
    """The whole path (network, loss, gradient, penalty, clipping, schedule, update) against PyTorch's, in float64."""
    leaves = PATHS[path]
    config = plain(seed=5, batch_size=64).replace(
        {"optimizer.name": "momentum", "optimizer.lr": 0.05, "network.activation": "silu", **leaves}
    )
    dataset = small(digits[0], 640)  # ten batches an epoch
    training = PopulationTraining([config], dataset, order_seed=0, max_epochs=3, dtype=torch.float64)
    reference = as_torch(training.network, 0, config)
    weights = [m.weight for m in reference if isinstance(m, torch.nn.Linear)]
    others = [p for p in reference.parameters() if all(p is not w for w in weights)]
    decay = config.regularization.l2
    optimizer = torch.optim.SGD([{"params": weights}, {"params": others}], lr=0.05, momentum=0.9)
    counts = torch.bincount(training.train_rows.targets, minlength=10).double()
    class_weights = 640 / (10 * counts) if config.class_weights == "balanced" else None
    for step, batch in enumerate(batch for epoch in (1, 2, 3) for batch in training.batches(epoch)):
        inputs, targets = batch.inputs, batch.targets
        training.epoch = step // 10
        factor = 1.0
        if config.schedule.name == "cosine":
            factor = (step + 1) / 3 if step < 3 else 0.5 * (1 + math.cos(math.pi * (step - 3) / 27))
        elif config.schedule.name == "exponential":
            factor = 0.5 ** (step // 10)
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * factor
        losses = torch.nn.functional.cross_entropy(
            reference(inputs), targets, label_smoothing=config.label_smoothing, reduction="none"
        )
        weights_of_rows = torch.ones_like(losses) if class_weights is None else class_weights[targets]
        loss = (losses * weights_of_rows).sum() / weights_of_rows.sum()
        penalty = decay / 2 * sum(w.square().sum() for w in weights)
        optimizer.zero_grad()
        (loss + penalty).backward()
        if config.clipping.norm is not None:
            torch.nn.utils.clip_grad_value_(reference.parameters(), config.clipping.value)
            torch.nn.utils.clip_grad_norm_(reference.parameters(), config.clipping.norm)
        optimizer.step()
        ours = training.step(batch)
        torch.testing.assert_close(ours[0], loss.detach(), rtol=1e-8, atol=0)
    torch.testing.assert_close(training.network.parameters[0], flat_parameters(reference), rtol=1e-7, atol=1e-10)
    torch.testing.assert_close(
        training.outputs(training.train_rows.inputs)[0], reference.eval()(training.train_rows.inputs).detach()
    )


@pytest.mark.parametrize("width", [8, 64], ids=["in passes", "fused"])
def test_thirty_steps_of_a_population_under_adamw_equal_those_of_torch(digits, width):
    """Each member with a rate and a decay of its own; the wide ones are updated by the fused kernel."""
    leaves = {"optimizer.name": "adamw", "network.hidden_sizes": (width, width), "network.activation": "relu"}
    own = [{"optimizer.lr": 0.01 / (k + 1), "optimizer.weight_decay": 0.1 * k} for k in range(3)]
    configs = [plain(seed=k, batch_size=64).replace({**leaves, **values}) for k, values in enumerate(own)]
    training = PopulationTraining(configs, small(digits[0], 640), order_seed=0, dtype=torch.float64)
    assert (training.network.parameters.shape[1] >= FUSED_FROM) == (width == 64)
    references, updates = [as_torch(training.network, k, config) for k, config in enumerate(configs)], []
    for reference, config in zip(references, configs, strict=True):
        parts = [list(reference.parameters())[at::2] for at in (0, 1)]  # weights, biases
        groups = [{"params": parts[0], "weight_decay": config.optimizer.weight_decay}]
        groups += [{"params": parts[1], "weight_decay": 0.0}]
        updates.append(torch.optim.AdamW(groups, lr=config.optimizer.lr, fused=False))
    for batch in (batch for epoch in (1, 2, 3) for batch in training.batches(epoch)):
        for reference, update in zip(references, updates, strict=True):
            update.zero_grad()
            torch.nn.functional.cross_entropy(reference(batch.inputs), batch.targets).backward()
            update.step()
        training.step(batch)
    for own, reference in zip(training.network.parameters, references, strict=True):
        torch.testing.assert_close(own, flat_parameters(reference), rtol=1e-6, atol=1e-9)


def test_a4_a_last_batch_of_one_row_joins_the_one_before_it(digits):
    dataset = small(digits[0], 65)
    config = plain(batch_size=32).replace({"network.normalization": "batch_norm"})
    training = PopulationTraining([config], dataset, order_seed=0)
    assert [len(batch) for batch in training.batches(1)] == [32, 33]
    assert all(math.isfinite(loss) for loss in next(training.epochs()).train_loss)
    without = PopulationTraining([plain(batch_size=32)], dataset, order_seed=0)
    assert [len(batch) for batch in without.batches(1)] == [32, 32, 1]


def test_a10_a_schedule_in_steps_spans_all_batches_of_all_epochs(digits):
    config = plain(batch_size=32).replace({"schedule.name": "linear", "schedule.unit": "steps"})
    training = PopulationTraining([config], small(digits[0], 100), order_seed=0, max_epochs=5)
    rates = [training.optimizer.lr.item() / 2e-3 for _ in itertools.islice(training.epochs(), 5)]
    assert rates == pytest.approx([1 - (4 * epoch - 1) / 20 for epoch in range(1, 6)])
    with pytest.raises(ValueError, match="length of the training"):
        PopulationTraining([config], small(digits[0], 100), order_seed=0)


def test_a11_binary_cross_entropy_has_one_output_and_its_accuracy_is_the_sign(digits):
    targets = (digits[0].train.targets > 4).astype("int64")
    two = dataclasses.replace(
        digits[0],
        train=Rows(digits[0].train.inputs, targets),
        validation=Rows(digits[0].train.inputs, targets),
        n_outputs=2,
        class_names=("low", "high"),
    )
    training = PopulationTraining([plain(loss="binary_cross_entropy")], two, order_seed=0)
    assert training.outputs(training.train_rows.inputs).shape == (1, len(targets), 1)
    record = list(itertools.islice(training.epochs(), 5))[-1]
    assert record.validation_score[0] > 0.95
    outputs = training.outputs(training.train_rows.inputs)[0, :, 0].numpy()
    assert record.validation_score[0] == pytest.approx(((outputs > 0) == targets).mean())


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(32, [32, 32, 32, 4]), (1, [1] * 100), ("full", [100]), (100, [100])]
)
def test_a8_batches_cover_every_row_once_in_an_order_of_their_own(digits, batch_size, sizes):
    training = PopulationTraining([plain(batch_size=batch_size)], small(digits[0], 100), order_seed=0)
    first, second = list(training.batches(1)), list(training.batches(2))
    assert [len(batch) for batch in first] == sizes
    rows = torch.cat([batch.inputs for batch in first])
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, training.train_rows.inputs.tolist()))
    assert not torch.equal(rows, torch.cat([batch.inputs for batch in second]))


def with_weights(dataset, weights):
    train = dataclasses.replace(dataset.train, weights=weights.astype("float32"))
    return dataclasses.replace(dataset, train=train, validation=train)


@pytest.mark.parametrize(
    "leaves", [{}, {"class_weights": "balanced", "label_smoothing": 0.1}], ids=["plain", "options"]
)
def test_a8_a_row_of_weight_three_trains_as_a_row_that_stands_there_three_times(wine, leaves):
    """Gradient descent on all rows: losses, scores, parameters, and what is read off the layers."""
    dataset, counts = small(wine[0], 60), np.random.default_rng(0).integers(1, 5, 60)
    repeated = Rows(*(np.repeat(array, counts, axis=0) for array in (dataset.train.inputs, dataset.train.targets)))
    repeated = dataclasses.replace(dataset, train=repeated, validation=repeated)
    configs = [config.replace({"batch_size": "full"}) for config in configs_of("momentum", **leaves)]
    ours, expected = (
        PopulationTraining(configs, given, order_seed=0, dtype=torch.float64)
        for given in (with_weights(dataset, counts), repeated)
    )
    for record, reference in itertools.islice(zip(ours.epochs(), expected.epochs(), strict=True), 5):
        for name in ("train_loss", "validation_loss", "validation_score"):
            assert getattr(record, name) == pytest.approx(getattr(reference, name), rel=1e-6)
    torch.testing.assert_close(ours.network.parameters, expected.network.parameters, rtol=1e-6, atol=1e-9)
    health, reference = (measure_health(training, training.train_rows) for training in (ours, expected))
    for layer, other in zip(health[1].layers, reference[1].layers, strict=True):
        names = ("signal", "gradient_norm", "update_ratio")
        assert [getattr(layer, n) for n in names] == pytest.approx([getattr(other, n) for n in names], rel=1e-5)
    norms, reference = (
        [g.norm for g in layer_gradients(training, training.train_rows)] for training in (ours, expected)
    )
    assert norms == pytest.approx(reference, rel=1e-5)
    assert ours.loss_as_trained(ours.train_rows).tolist() == pytest.approx(
        expected.loss_as_trained(expected.train_rows).tolist(), rel=1e-6
    )
    config, metric = configs[0], "balanced_accuracy"
    given, other = with_weights(dataset, counts), repeated
    assert chance_scale(config, given).chance == pytest.approx(chance_scale(config, other).chance)
    assert frequency_baseline(config, given) == pytest.approx(frequency_baseline(config, other))
    of_given, of_other = TrivialPredictor.of(given), TrivialPredictor.of(other)
    assert of_given.constant_score(metric, given.validation) == of_other.constant_score(metric, other.validation)
    weighted, plain_rows = (to_tensors(each.validation, "cpu", torch.float32) for each in (given, other))
    assert of_given.scores([metric], weighted) == of_other.scores([metric], plain_rows)


def test_a8_a_member_alone_equals_a_member_of_a_population_also_with_weighted_rows(digits):
    weights = np.random.default_rng(0).uniform(0.1, 3.0, 300)
    dataset = with_weights(small(digits[0], 300), weights)
    configs = configs_of("adamw", class_weights="balanced")
    together = list(itertools.islice(PopulationTraining(configs, dataset, order_seed=0).epochs(), 2))
    for k, config in enumerate(configs):
        alone = list(itertools.islice(PopulationTraining([config], dataset, order_seed=0).epochs(), 2))
        for record, single in zip(together, alone, strict=True):
            assert record.train_loss[k] == pytest.approx(single.train_loss[0], rel=1e-5)
            assert record.validation_loss[k] == pytest.approx(single.validation_loss[0], rel=1e-5)
            assert record.validation_score[k] == pytest.approx(single.validation_score[0], rel=1e-9)


def test_a8_weights_stay_with_their_rows(digits):
    dataset = with_weights(digits[0], np.arange(1.0, 1.0 + len(digits[0].train)))
    rows = to_tensors(dataset.train, "cpu", torch.float64)
    assert rows.weights.dtype == torch.float64
    spread = rows.spread(7)
    places = [int(weight) - 1 for weight in spread.weights]
    assert torch.equal(spread.inputs, rows.inputs[places])
    assert places[-1] == len(rows) - 1
    training = PopulationTraining([plain()], dataset, order_seed=0)
    for batch in training.batches(1):
        own = batch.weights.long() - 1
        assert torch.equal(batch.inputs, training.train_rows.inputs[own])
        assert torch.equal(batch.targets, training.train_rows.targets[own])
    assert to_tensors(digits[0].train, "cpu", torch.float32).spread(7).weights is None


def test_a8_the_loss_of_an_epoch_is_the_mean_over_its_rows_by_weight(digits):
    # A rate too small to change anything: batches of different weight add up to the untrained loss over all rows.
    config = plain(batch_size=32).replace({"optimizer.name": "sgd", "optimizer.lr": 1e-12})
    weights = np.linspace(0.01, 5.0, 100)
    training = PopulationTraining([config], with_weights(small(digits[0], 100), weights), order_seed=0)
    untrained = training.evaluate(training.train_rows)[0].item()
    assert next(training.epochs()).train_loss[0] == pytest.approx(untrained, rel=1e-5)
    rows = training.train_rows
    losses = torch.nn.functional.cross_entropy(training.outputs(rows.inputs)[0], rows.targets, reduction="none")
    assert untrained == pytest.approx(np.average(losses.numpy(), weights=weights), rel=1e-5)


@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
@pytest.mark.parametrize("batches_at_once", [0.1, 1.0, 2.5])
def test_a8_rows_gathered_in_chunks_are_the_batches_of_an_epoch_gathered_at_once(
    digits, monkeypatch, batches_at_once, weighted
):
    dataset = small(digits[0], 100)
    dataset = with_weights(dataset, np.linspace(1.0, 2.0, 100)) if weighted else dataset
    training = PopulationTraining([plain(batch_size=16)], dataset, order_seed=0)
    at_once = list(training.batches(1))
    monkeypatch.setattr("trainables.training.GATHERED_BYTES", int(batches_at_once * 16 * 64 * 4))
    in_chunks = list(training.batches(1))
    assert [len(batch) for batch in in_chunks] == [16] * 6 + [4]
    for batch, expected in zip(in_chunks, at_once, strict=True):
        assert torch.equal(batch.inputs, expected.inputs)
        assert torch.equal(batch.targets, expected.targets)
        assert batch.weights is None if not weighted else torch.equal(batch.weights, expected.weights)
    # Never more memory than the chunk, or one batch.
    held = {batch.inputs.untyped_storage().data_ptr(): batch.inputs.untyped_storage().nbytes() for batch in in_chunks}
    assert max(held.values()) <= max(1, int(batches_at_once)) * 16 * 64 * 4


def test_a8_a_full_batch_of_a_large_table_is_the_table_itself(digits, monkeypatch):
    config = plain(batch_size="full").replace({"optimizer.name": "sgd", "optimizer.lr": 0.1})
    permuted, own = (PopulationTraining([config], small(digits[0], 100), order_seed=0) for _ in range(2))
    expected = [next(permuted.epochs()).train_loss for _ in range(3)]
    monkeypatch.setattr("trainables.training.GATHERED_BYTES", 100 * 64 * 4 - 1)
    (batch,) = own.batches(1)
    assert batch.inputs.data_ptr() == own.train_rows.inputs.data_ptr()
    assert [next(own.epochs()).train_loss[0] for _ in range(3)] == pytest.approx([loss for (loss,) in expected])


def test_a6_penalty_is_the_closed_form_and_its_gradient_that_of_torch(digits):
    config = plain().replace({"regularization.l2": 0.3, "optimizer.name": "sgd", "optimizer.lr": 0.1})
    training = PopulationTraining([config], small(digits[0], 50), order_seed=0, dtype=torch.float64)
    expected = 0.5 * 0.3 * sum(layer.weight.square().sum() for layer in training.network.layers)
    torch.testing.assert_close(training.penalty()[0], expected.detach())
    without = PopulationTraining(
        [config.replace({"regularization.l2": 0.0})], small(digits[0], 50), order_seed=0, dtype=torch.float64
    )
    before = without.network.parameters.clone()
    for t in (training, without):
        t.step(t.train_rows)
    # One SGD step further: - lr · l2 · w on the weights, nothing on the biases.
    n = without.network.n_weights
    difference = training.network.parameters - without.network.parameters
    torch.testing.assert_close(difference[:, :n], -0.1 * 0.3 * before[:, :n])
    assert (difference[:, n:] == 0).all()


def test_dropping_members_leaves_the_others_as_they_were(digits):
    leaves = {"network.normalization": "batch_norm", "clipping.norm": 0.5, "label_smoothing": 0.1}
    configs = configs_of("adamw", **leaves, **{"schedule.name": "exponential", "regularization.l1": 1e-4})
    pruned = PopulationTraining(configs, small(digits[0], 200), order_seed=0)
    whole = PopulationTraining(configs, small(digits[0], 200), order_seed=0)
    pruned_epochs, whole_epochs = pruned.epochs(), whole.epochs()
    next(pruned_epochs), next(whole_epochs)
    pruned.keep([1, 3])
    record, reference = next(pruned_epochs), next(whole_epochs)
    for ours, k in ((0, 1), (1, 3)):
        assert record.train_loss[ours] == pytest.approx(reference.train_loss[k], rel=1e-5)
        assert record.validation_score[ours] == pytest.approx(reference.validation_score[k], abs=1e-9)


def test_a_member_that_diverges_does_not_touch_the_others(digits):
    configs = [plain(seed=k).replace({"optimizer.name": "sgd", "optimizer.lr": r}) for k, r in enumerate((1e12, 0.1))]
    mixed = PopulationTraining(configs, small(digits[0], 200), order_seed=0)
    alone = PopulationTraining(configs[1:], small(digits[0], 200), order_seed=0)
    record, reference = (list(itertools.islice(t.epochs(), 3))[-1] for t in (mixed, alone))
    assert not math.isfinite(record.train_loss[0])
    assert record.train_loss[1] == pytest.approx(reference.train_loss[0], rel=1e-5)


def test_records_hold_the_mean_loss_over_rows_with_a_smaller_last_batch(digits):
    # A rate too small to change anything: the epoch's loss is the untrained loss over all rows.
    config = plain(batch_size=32).replace({"optimizer.name": "sgd", "optimizer.lr": 1e-12})
    training = PopulationTraining([config], small(digits[0], 100), order_seed=0)
    untrained = training.evaluate(training.train_rows)[0].item()
    assert next(training.epochs()).train_loss[0] == pytest.approx(untrained, rel=1e-5)


@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
def test_evaluation_in_chunks_equals_evaluation_at_once(digits, monkeypatch, weighted):
    weights = np.linspace(0.1, 3.0, len(digits[0].train))
    dataset = with_weights(digits[0], weights) if weighted else digits[0]
    configs = [plain(seed=k).replace({"class_weights": "balanced"}) for k in (1, 2)]
    training = PopulationTraining(configs, dataset, order_seed=0)
    rows = training.train_rows
    at_once = training.outputs(rows.inputs), *training.evaluate(rows)
    monkeypatch.setattr("trainables.training.EVALUATION_CHUNK", 2 * 64 * 100)
    for ours, expected in zip((training.outputs(rows.inputs), *training.evaluate(rows)), at_once, strict=True):
        torch.testing.assert_close(ours, expected)


def any_config(draw):
    """A configuration of any choices, with numbers that one population may mix."""
    config = plain(batch_size=draw(st.sampled_from([7, 20, "full"])))
    leaves = {
        "network.hidden_sizes": tuple(draw(st.lists(st.integers(1, 9), max_size=3))),
        "network.activation": draw(st.sampled_from(get_args(ActivationName))),
        "network.normalization": draw(st.sampled_from(get_args(NormalizationName))),
        "optimizer.name": draw(st.sampled_from(get_args(OptimizerName))),
        "schedule.name": draw(st.sampled_from(get_args(ScheduleName))),
        "schedule.unit": draw(st.sampled_from(["epochs", "steps"])),
        "schedule.warmup": draw(st.integers(0, 3)),
        "loss": draw(st.sampled_from(["cross_entropy", "hinge"])),
        "class_weights": draw(st.sampled_from(["none", "balanced", (1.0, 2.0, 3.0)])),
        "clipping.norm": draw(st.sampled_from([None, 0.5])),
        "clipping.value": draw(st.sampled_from([None, 0.1])),
        "regularization.l1": draw(st.sampled_from([0.0, 1e-3])),
    }
    return config.replace(leaves)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_all_choices_go_together_and_members_are_as_they_are_alone(wine, data):
    base = any_config(data.draw)
    dataset = small(wine[0], 41)
    # SGD-like rules at a rate that keeps even a hinge loss with weights up to 3 from exploding.
    configs = [base.replace({"seed": k, "optimizer.lr": 0.01 / (k + 1), "clipping.norm": 0.5}) for k in range(2)]
    configs.append(base.replace({"seed": 2, "optimizer.lr": 0.005}))
    together = PopulationTraining(configs, dataset, order_seed=0, max_epochs=3, dtype=torch.float64)
    records = list(itertools.islice(together.epochs(), 2))
    for k, config in enumerate(configs):
        alone = PopulationTraining([config], dataset, order_seed=0, max_epochs=3, dtype=torch.float64)
        own = list(itertools.islice(alone.epochs(), 2))
        for record, single in zip(records, own, strict=True):
            assert record.train_loss[k] == pytest.approx(single.train_loss[0], rel=1e-6)
            assert record.validation_loss[k] == pytest.approx(single.validation_loss[0], rel=1e-6)
