"""The training loop: A8 (batches), A6 (L2), populations against single networks and against torch.optim."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch

from tests.references import as_torch
from trainables.config import TrialConfig
from trainables.data.dataset import Rows
from trainables.training import PopulationTraining, trivial_score

RATES = (1e-4, 1e-3, 1e-2, 3e-2)


def small(dataset, rows: int):
    train = Rows(dataset.train.inputs[:rows], dataset.train.targets[:rows])
    return dataclasses.replace(dataset, train=train, validation=train)


def configs_of(optimizer: str, **leaves):
    return [
        TrialConfig(seed=k).replace({"optimizer.name": optimizer, "optimizer.lr": rate, **leaves})
        for k, rate in enumerate(RATES)
    ]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
def test_member_k_gives_the_same_numbers_as_the_same_configuration_alone(digits, optimizer):
    configs = configs_of(optimizer, **{"regularization.l2": 1e-3})
    together = PopulationTraining(configs, digits[0], order_seed=0)
    losses = torch.stack(list(itertools.islice(together.steps(), 10)))  # (steps, K)
    for k, config in enumerate(configs):
        alone = PopulationTraining([config], digits[0], order_seed=0)
        own = torch.stack(list(itertools.islice(alone.steps(), 10)))
        torch.testing.assert_close(losses[:, k], own[:, 0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together.network.parameters[k], alone.network.parameters[0], rtol=1e-5, atol=1e-5)


def test_ten_steps_equal_torch_nn_with_torch_optim(digits):
    """The whole path (network, loss, gradient, L2, update) against PyTorch's own, in float64."""
    config = TrialConfig(seed=5).replace(
        {"optimizer.name": "momentum", "optimizer.lr": 0.05, "regularization.l2": 0.01, "loss": "cross_entropy"}
    )
    training = PopulationTraining([config], digits[0], order_seed=0, dtype=torch.float64)
    reference = as_torch(training.network, 0, torch.nn.ReLU())
    weights = [p for name, p in reference.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in reference.named_parameters() if name.endswith("bias")]
    optimizer = torch.optim.SGD([{"params": weights, "weight_decay": 0.01}, {"params": biases}], lr=0.05, momentum=0.9)
    for inputs, targets in itertools.islice(training.batches(1), 10):
        ours = training.step(inputs, targets)
        loss = torch.nn.functional.cross_entropy(reference(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.testing.assert_close(ours[0], loss.detach(), rtol=1e-10, atol=0)
    for layer, weight in zip(training.network.layers, weights, strict=True):
        torch.testing.assert_close(layer.weight[0], weight.T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(32, [32, 32, 32, 4]), (1, [1] * 100), ("full", [100]), (100, [100])]
)
def test_a8_batches_cover_every_row_once_in_an_order_of_their_own(digits, batch_size, sizes):
    training = PopulationTraining([TrialConfig(batch_size=batch_size)], small(digits[0], 100), order_seed=0)
    first, second = list(training.batches(1)), list(training.batches(2))
    assert [len(targets) for _, targets in first] == sizes
    rows = torch.cat([inputs for inputs, _ in first])
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, training.train_rows.inputs.tolist()))
    assert not torch.equal(rows, torch.cat([inputs for inputs, _ in second]))


def test_a6_penalty_is_the_closed_form_and_its_gradient_that_of_torch(digits):
    config = TrialConfig().replace({"regularization.l2": 0.3, "optimizer.name": "sgd", "optimizer.lr": 0.1})
    training = PopulationTraining([config], small(digits[0], 50), order_seed=0, dtype=torch.float64)
    expected = 0.5 * 0.3 * sum(layer.weight.square().sum() for layer in training.network.layers)
    torch.testing.assert_close(training.penalty()[0], expected.detach())
    plain = PopulationTraining(
        [config.replace({"regularization.l2": 0.0})], small(digits[0], 50), order_seed=0, dtype=torch.float64
    )
    before = plain.network.parameters.clone()
    for t in (training, plain):
        t.step(t.train_rows.inputs, t.train_rows.targets)
    # One SGD step further: - lr · l2 · w on the weights, nothing on the biases.
    n = plain.network.n_weights
    difference = training.network.parameters - plain.network.parameters
    torch.testing.assert_close(difference[:, :n], -0.1 * 0.3 * before[:, :n])
    assert (difference[:, n:] == 0).all()


def test_dropping_members_leaves_the_others_as_they_were(digits):
    configs = configs_of("adamw")
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
    configs = [
        TrialConfig(seed=k).replace({"optimizer.name": "sgd", "optimizer.lr": r}) for k, r in enumerate((1e12, 0.1))
    ]
    mixed = PopulationTraining(configs, small(digits[0], 200), order_seed=0)
    alone = PopulationTraining(configs[1:], small(digits[0], 200), order_seed=0)
    record, reference = (list(itertools.islice(t.epochs(), 3))[-1] for t in (mixed, alone))
    assert not math.isfinite(record.train_loss[0])
    assert record.train_loss[1] == pytest.approx(reference.train_loss[0], rel=1e-5)


def test_records_hold_the_mean_loss_over_rows_with_a_smaller_last_batch(digits):
    # A rate too small to change anything: the epoch's loss is the untrained loss over all rows.
    config = TrialConfig(batch_size=32).replace({"optimizer.name": "sgd", "optimizer.lr": 1e-12})
    training = PopulationTraining([config], small(digits[0], 100), order_seed=0)
    untrained = training.evaluate(training.train_rows)[0].item()
    assert next(training.epochs()).train_loss[0] == pytest.approx(untrained, rel=1e-5)


def test_evaluation_in_chunks_equals_evaluation_at_once(digits, monkeypatch):
    training = PopulationTraining([TrialConfig(seed=1), TrialConfig(seed=2)], digits[0], order_seed=0)
    at_once = training.outputs(training.train_rows.inputs)
    monkeypatch.setattr("trainables.training.EVALUATION_CHUNK", 2 * 64 * 100)
    torch.testing.assert_close(training.outputs(training.train_rows.inputs), at_once)


def test_the_trivial_score_is_the_majority_share_or_the_targets_spread(digits, diabetes):
    dataset, _ = digits
    shares = [(dataset.validation.targets == c).mean() for c in range(10)]
    assert min(shares) <= trivial_score(dataset, dataset.validation, "accuracy") <= max(shares)
    dataset, _ = diabetes
    spread = ((dataset.validation.targets.astype(float) * dataset.target_scale) ** 2).mean() ** 0.5
    assert trivial_score(dataset, dataset.validation, "rmse") == pytest.approx(spread, rel=1e-4)
