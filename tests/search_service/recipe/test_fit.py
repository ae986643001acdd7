"""A13: curves built to be each, and networks built to be each."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from search_service.recipe import fit
from tests.plans import plain
from trainables.losses import ChanceScale
from trainables.records import EpochPoint
from trainables.training import PopulationTraining

CHANCE = 2.0
SCALE = ChanceScale(least=0.0, chance=CHANCE)


def curve(train, validation, epochs=40):
    """Losses as functions of t in (0, 1], in shares of chance."""
    return [
        EpochPoint(e, CHANCE * train(e / epochs), CHANCE * validation(e / epochs), math.nan)
        for e in range(1, epochs + 1)
    ]


CURVES = {
    "falls and settles": (lambda t: 0.1 + 0.9 * math.exp(-9 * t), lambda t: 0.15 + 0.8 * math.exp(-9 * t), "good fit"),
    "noise that nobody can learn": (lambda t: 0.5, lambda t: 0.55, "good fit"),
    "dropout: training above validation": (lambda t: 0.4, lambda t: 0.3, "good fit"),
    "validation turns up": (lambda t: math.exp(-5 * t), lambda t: 0.3 + (t - 0.4) ** 2, "overfitting"),
    "a wide gap without a turn": (lambda t: 0.01, lambda t: 0.6, "overfitting"),
    "still falling": (lambda t: 1 - 0.6 * t, lambda t: 1 - 0.55 * t, "underfitting"),
    "barely better than chance": (lambda t: 0.9, lambda t: 0.92, "underfitting"),
    "flat at chance": (lambda t: 1.0, lambda t: 1.0, "underfitting"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CURVES))
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a13_curves_built_to_be_each(case, noise):
    train, validation, expected = CURVES[case]
    random = np.random.default_rng(0)
    seeds = [
        curve(lambda t: train(t) + noise * random.normal(), lambda t: validation(t) + noise * random.normal())
        for _ in range(3)
    ]
    reading = fit.read(seeds, SCALE, plain())
    assert reading.name == expected, reading.summary
    assert reading.summary.startswith(expected)
    assert (reading.remedy == "") == (expected == "good fit")


def test_a13_underfitting_says_whether_to_train_longer_or_to_grow():
    falling = fit.read([curve(*CURVES["still falling"][:2])], SCALE, plain())
    assert "train longer" in falling.remedy
    weak = fit.read([curve(*CURVES["barely better than chance"][:2])], SCALE, plain())
    assert "larger network" in weak.remedy


def test_a13_seeds_that_diverged_are_left_out():
    good = curve(*CURVES["falls and settles"][:2])
    broken = [EpochPoint(p.epoch, math.nan, p.validation_loss, math.nan) for p in good]
    assert fit.read([good, broken], SCALE, plain()).name == "good fit"
    assert "did not stay finite" in fit.read([broken], SCALE, plain()).summary


def test_a13_a_training_that_ends_above_chance_has_not_settled():
    reading = fit.read([curve(lambda t: 3 * t, lambda t: 2 * t)], SCALE, plain())
    assert reading.summary.startswith("underfitting, not settled")
    assert "lower optimizer.lr" in reading.remedy


def test_a13_with_label_smoothing_losses_count_from_the_least_that_there_can_be():
    near_the_floor = curve(lambda t: 0.74, lambda t: 0.75)
    assert fit.read([near_the_floor], SCALE, plain()).name == "underfitting"
    assert fit.read([near_the_floor], ChanceScale(least=0.73 * CHANCE, chance=CHANCE), plain()).name == "good fit"


def test_a13_remedies_are_those_that_the_config_has():
    curves = [curve(*CURVES["validation turns up"][:2])]
    assert "label_smoothing" in fit.read(curves, SCALE, plain()).remedy
    number = plain(loss="mse").replace({"optimizer.name": "sgd"})
    remedy = fit.read(curves, SCALE, number).remedy
    assert "label_smoothing" not in remedy
    assert "weight_decay" not in remedy
    assert "regularization.l2" in remedy


def test_a13_one_epoch_can_be_read():
    assert fit.read([[EpochPoint(1, 1.9, 1.95, 0.5)]], SCALE, plain()).name == "underfitting"


def trained(dataset, config, epochs):
    training = PopulationTraining([config], dataset, order_seed=0, max_epochs=epochs)
    records = itertools.islice(training.epochs(), epochs)
    points = [EpochPoint(r.epoch, r.train_loss[0], r.validation_loss[0], r.validation_score[0]) for r in records]
    return fit.read([points], training.loss.scales(training.train_rows.targets)[0], config)


def test_a13_networks_built_to_be_each(digits, diabetes):
    assert trained(digits[0], plain(), 30).name == "good fit"
    assert trained(digits[0], plain().replace({"optimizer.lr": 1e-5}), 10).name == "underfitting"
    strangled = plain().replace({"regularization.l2": 0.5, "optimizer.name": "sgd", "optimizer.lr": 0.05})
    assert trained(digits[0], strangled, 10).name == "underfitting"
    # 265 noisy rows, ten features and 33 000 weights.
    large = plain(loss="mse").replace({"network.hidden_sizes": (256, 128), "optimizer.lr": 0.003})
    assert trained(diabetes[0], large, 100).name == "overfitting"
