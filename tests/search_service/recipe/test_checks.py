"""B, steps 1 to 3: what a healthy network reads, and each failure caught by the right step and said in words."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from search_service.recipe import step1_initial_loss as step1
from search_service.recipe import step2_overfit_small_sample as step2
from search_service.recipe import step3_learning_rates as step3
from search_service.space.ranges import Choices, NumericRange
from search_service.spec.sections import InitialLossSpec, LearningRatesSpec, OverfitSpec
from tests.plans import plain
from trainables.data.config import DataConfig
from trainables.data.dataset import Rows, load


def config_of(**leaves):
    return plain().replace({name.replace("__", "."): value for name, value in leaves.items()})


def with_rows(dataset, inputs=None, targets=None, weights=None):
    train = dataset.train
    rows = Rows(train.inputs if inputs is None else inputs, train.targets if targets is None else targets, weights)
    return dataclasses.replace(dataset, train=rows)


# ---- step 1 ----------------------------------------------------------------------------------------------------


def test_b1_digits_reads_ln_10(digits):
    result = step1.run(plain(), digits[0], InitialLossSpec())
    assert result.passed
    assert result.measured["loss_small_last_layer"] == pytest.approx(math.log(10), abs=0.0005)
    assert result.expected["loss_small_last_layer"] == pytest.approx(2.303, abs=0.001)
    assert "2.303, chance predicts ln C = 2.303" in result.summary
    assert len(result.activations) == 2


def test_b1_hinge_reads_c_minus_1(wine):
    result = step1.run(config_of(loss="hinge", network__hidden_sizes=(32,)), wine[0], InitialLossSpec())
    assert result.passed
    assert result.measured["loss_small_last_layer"] == pytest.approx(2.0, abs=0.01)


def test_b1_mse_reads_the_targets_variance(diabetes):
    result = step1.run(config_of(loss="mse"), diabetes[0], InitialLossSpec())
    assert result.passed
    assert result.measured["loss_small_last_layer"] == pytest.approx(1.0, abs=0.01)


def test_b1_b2_b3_rows_of_different_weight(diabetes):
    """Chance is the weighted mean square, and a network of which every step follows the weights meets it."""
    targets = diabetes[0].train.targets
    weights = np.where(targets > 1.0, 5.0, 0.5).astype(np.float32)
    dataset, config = with_rows(diabetes[0], weights=weights), config_of(loss="mse", optimizer__lr=0.01)
    first = step1.run(config, dataset, InitialLossSpec())
    assert first.passed
    expected = float(np.average(targets.astype(float) ** 2, weights=weights))
    assert first.expected["loss_small_last_layer"] == pytest.approx(expected, rel=1e-5)
    assert expected > 1.5
    assert first.measured["loss_small_last_layer"] == pytest.approx(expected, rel=0.01)
    sample = step2._sample(dataset, 20, seed=0)
    place = {row.tobytes(): weight for row, weight in zip(dataset.train.inputs, weights, strict=True)}
    assert sample.weights.tolist() == [place[row.tobytes()] for row in sample.inputs]
    assert step2.run(config, dataset, OverfitSpec(), seed=0).passed
    third = step3.run(config, dataset, LearningRatesSpec(candidates=(1e-30, 0.01)), seed=0)
    assert third.passed
    # At a rate that changes nothing, the loss stays where chance has it: batches are weighted as the whole is.
    assert np.mean([np.mean(curve) for curve in third.outcomes[0].curves]) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("sizes", [(), (8,), (256,), (64, 64, 64, 64)])
@pytest.mark.parametrize("loss", ["cross_entropy", "hinge"])
def test_b1_no_false_alarms_on_healthy_networks(digits, activation, sizes, loss):
    config = config_of(network__activation=activation, network__hidden_sizes=sizes, loss=loss)
    result = step1.run(config, digits[0], InitialLossSpec())
    assert result.passed, result.summary


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_b1_a3_zero_weights_are_recognised(digits, activation):
    result = step1.run(config_of(network__init="zeros", network__activation=activation), digits[0], InitialLossSpec())
    assert not result.passed
    assert "all units of hidden layers 1 and 2 get the same gradient" in result.summary
    assert "init: zeros" in result.summary
    assert "init: auto" in result.advice


def test_b1_inputs_multiplied_by_1000_are_recognised(digits):
    large = with_rows(digits[0], inputs=digits[0].train.inputs * 1000)
    result = step1.run(plain(), large, InitialLossSpec())
    assert not result.passed
    assert "the inputs are large" in result.summary
    assert "data.preparation.numeric: auto" in result.advice


def test_b1_a_last_layer_that_starts_too_large_is_recognised(digits):
    result = step1.run(config_of(network__output_scale=10.0), digits[0], InitialLossSpec())
    assert not result.passed
    assert "the last layer starts too large" in result.summary
    assert "output_scale" in result.advice


def test_b1_targets_that_are_not_standardised_do_not_change_the_verdict_but_a_wrong_loss_does(digits, diabetes):
    shifted = with_rows(diabetes[0], targets=diabetes[0].train.targets + 100)
    assert step1.run(config_of(loss="mse"), shifted, InitialLossSpec()).expected["loss_as_configured"] > 9000
    # Labels of ten classes for a network with eleven outputs: chance is ln 11, not ln 10.
    eleven = dataclasses.replace(digits[0], n_outputs=11)
    result = step1.run(plain(), eleven, InitialLossSpec())
    assert result.expected["loss_as_configured"] == pytest.approx(math.log(11))


def test_b1_l2_raises_the_loss_by_its_closed_form(digits):
    from trainables.training import PopulationTraining

    result = step1.run(plain(), digits[0], InitialLossSpec())
    training = PopulationTraining([config_of(regularization__l2=step1.L2_PROBE)], digits[0], order_seed=0)
    assert result.measured["loss_raised_by_l2"] == pytest.approx(training.penalty()[0].item())


# ---- step 2 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "adamw"])
def test_b2_a_healthy_network_memorises_with_regularisation_switched_off(digits, optimizer):
    config = config_of(optimizer__name=optimizer, optimizer__lr=0.01, network__dropout=0.9, regularization__l2=10.0)
    result = step2.run(config, digits[0], OverfitSpec(), seed=0)
    assert result.passed, result.summary
    assert result.measured["loss_best_rate"] <= 0.01 * math.log(10)
    assert "memorised 20 rows" in result.summary
    assert all(len(curve) == len(result.steps) for _, curve in result.curves)


def test_b2_regression_memorises_too(diabetes):
    assert step2.run(config_of(loss="mse", optimizer__lr=0.01), diabetes[0], OverfitSpec(), seed=0).passed


def shuffled(dataset):
    """Labels that have nothing to do with their rows."""
    return with_rows(dataset, targets=np.random.default_rng(0).permutation(dataset.train.targets))


def test_b2_shuffled_labels_with_too_small_a_network_are_a_plateau(wine):
    small = config_of(network__hidden_sizes=(2,), network__activation="tanh", optimizer__lr=0.01)
    assert step2.run(small, wine[0], OverfitSpec(rows=60), seed=0).passed  # Two units do for labels that are true.
    result = step2.run(small, shuffled(wine[0]), OverfitSpec(rows=60), seed=0)
    assert not result.passed
    assert "plateau" in result.summary
    assert "too small" in result.summary
    assert "check that the labels belong to the rows" in result.advice


def test_b2_a_start_that_cannot_learn_is_flat_at_every_rate(digits):
    deep = config_of(network__hidden_sizes=(8,) * 12, network__activation="sigmoid", network__init="gaussian")
    result = step2.run(deep, digits[0], OverfitSpec(max_steps=100), seed=0)
    assert not result.passed
    assert "stays flat at learning rates 2e-05 to 0.2" in result.summary
    assert "vanishing in layers 1 to 1" in result.summary
    assert "activation: relu" in result.advice


def test_b2_inputs_that_are_far_too_large_explode_at_every_rate(digits):
    large = with_rows(digits[0], inputs=digits[0].train.inputs * 1e12)
    result = step2.run(config_of(optimizer__name="momentum"), large, OverfitSpec(max_steps=100), seed=0)
    assert not result.passed
    assert "explodes" in result.summary
    assert "scale the inputs" in result.advice


def test_b2_a_linear_model_memorises_as_many_rows_as_it_has_features(diabetes, wine):
    for dataset, loss in ((diabetes[0], "mse"), (wine[0], "cross_entropy")):
        config = config_of(network__hidden_sizes=(), loss=loss, optimizer__lr=0.01)
        result = step2.run(config, dataset, OverfitSpec(max_steps=3000), seed=0)
        assert result.passed, result.summary
        assert result.measured["rows"] == min(20, dataset.n_inputs)


def test_b2_whatever_the_configured_rate_the_usual_ones_are_tried(digits):
    for rate in (1e-12, 100.0):
        result = step2.run(config_of(optimizer__lr=rate), digits[0], OverfitSpec(max_steps=300), seed=0)
        assert result.passed
        assert f"not at the configured {rate:.3g}" in result.summary


def test_b2_a_rate_off_by_a_decade_passes_and_says_which_one_works(digits):
    result = step2.run(config_of(optimizer__lr=1e-5), digits[0], OverfitSpec(max_steps=300), seed=0)
    assert result.passed
    assert "not at the configured 1e-05" in result.summary


def test_b2_rows_that_contradict_each_other_are_left_out(digits):
    dataset = digits[0]
    inputs, targets = dataset.train.inputs.copy(), dataset.train.targets.copy()
    inputs[:500] = inputs[0]  # One image under all labels.
    sample = step2._sample(with_rows(dataset, inputs, targets), 40, seed=0)
    assert len(sample) == 40
    assert not (sample.inputs == inputs[0]).all(axis=1).any()
    assert np.bincount(sample.targets).tolist() == [4] * 10


# ---- step 3 ----------------------------------------------------------------------------------------------------


def test_b3_the_rates_that_work_are_found_and_padded_by_half_a_decade(digits):
    result = step3.run(plain(), digits[0], LearningRatesSpec(), seed=0)
    labels = {outcome.rate: outcome.label for outcome in result.outcomes}
    assert result.passed
    assert labels[0.01] == labels[0.001] == "works"
    assert labels[0.0001] == "too slow"
    assert result.low == pytest.approx(0.001 / math.sqrt(10))
    assert all(len(o.curves) == 5 and len(o.curves[0]) == 100 for o in result.outcomes)


def test_b3_sgd_diverges_where_sgd_diverges(digits):
    config = config_of(optimizer__name="sgd")
    result = step3.run(config, digits[0], LearningRatesSpec(candidates=(100.0, 0.1, 1e-6)), seed=0)
    assert [outcome.label for outcome in result.outcomes] == ["too slow", "works", "diverged"]


def test_b3_a_rate_beyond_those_that_work_at_which_the_loss_stays_up_is_too_high(digits):
    """Its steps are too long, and not too short: it was called too slow."""
    result = step3.run(plain(), digits[0], LearningRatesSpec(candidates=(1e-4, 0.01, 0.1), falls_to=0.02), seed=0)
    assert [outcome.label for outcome in result.outcomes] == ["too slow", "works", "too high"]
    assert "0.1 too high" in result.summary


def test_b3_all_candidates_far_too_large(digits):
    spec = LearningRatesSpec(candidates=(1e6, 1e7), starts=3)
    result = step3.run(config_of(optimizer__name="momentum"), digits[0], spec, seed=0)
    assert not result.passed
    assert {outcome.label for outcome in result.outcomes} == {"diverged"}
    assert min(outcome.rate for outcome in result.outcomes) == pytest.approx(1e3)  # Widened once.
    assert "far too large" in result.advice


def test_b3_all_candidates_far_too_small(digits):
    result = step3.run(plain(), digits[0], LearningRatesSpec(candidates=(1e-9, 1e-8), starts=3), seed=0)
    assert not result.passed
    assert {outcome.label for outcome in result.outcomes} == {"too slow"}
    assert max(outcome.rate for outcome in result.outcomes) == pytest.approx(1e-5)
    assert "far too small" in result.advice


def test_b3_candidates_are_widened_once_beyond_their_edge(digits):
    result = step3.run(plain(), digits[0], LearningRatesSpec(candidates=(1e-5,), starts=3), seed=0)
    assert result.passed
    assert "after widening" in result.summary


def test_b3_a_search_range_far_too_small_is_refused_with_the_range_that_works(digits):
    allowed = NumericRange(1e-9, 1e-8, log=True)
    result = step3.run(plain(), digits[0], LearningRatesSpec(), seed=0, allowed=allowed)
    assert not result.passed
    assert "holds no rate that works" in result.summary
    assert "change search_space.optimizer.lr to about {low: 0.00032" in result.advice


def test_b3_later_cycles_look_around_the_best_rate_so_far(digits):
    result = step3.run(config_of(optimizer__lr=0.004), digits[0], LearningRatesSpec(), seed=0, cycle=2)
    rates = [outcome.rate for outcome in result.outcomes]
    assert rates == pytest.approx([4e-4, 1.265e-3, 4e-3, 1.265e-2, 4e-2], rel=1e-3)


def test_b3_small_data_is_wrapped_around():
    dataset, _ = load(DataConfig(source="wine"), "classification")
    config = config_of(batch_size="full", optimizer__lr=0.01)
    result = step3.run(config, dataset, LearningRatesSpec(), seed=0)
    assert result.passed
    assert len(result.outcomes[0].curves[0]) == 100


# ---- what else a newcomer met ----------------------------------------------------------------------------------


def test_b1_batch_normalisation_is_measured_by_the_batch_and_not_by_statistics_that_nobody_has_followed(digits):
    large = {"network__init": "gaussian", "network__init_std": 1.0, "network__hidden_sizes": (128,) * 3}
    healthy = step1.run(config_of(network__normalization="batch_norm", **large), digits[0], InitialLossSpec())
    assert healthy.passed, healthy.summary
    assert step3.run(
        config_of(network__normalization="batch_norm", **large), digits[0], LearningRatesSpec(), seed=0
    ).passed


@pytest.mark.parametrize(
    ("leaves", "words"),
    [
        ({"network__init_std": 1.0, "network__hidden_sizes": (128,) * 3}, "the initial weights are too large"),
        ({"network__init_std": 10.0, "network__hidden_sizes": (128,) * 3}, "the initial weights are too large"),
        ({"network__init_std": 10.0, "network__activation": "tanh"}, "saturated in layers 1 and 2"),
    ],
)
def test_b1_initial_weights_that_are_too_large_are_named_as_the_cause(digits, leaves, words):
    result = step1.run(config_of(network__init="gaussian", **leaves), digits[0], InitialLossSpec())
    assert not result.passed
    assert words in result.summary
    assert "network.init: auto" in result.advice


def test_b1_units_that_are_dead_from_the_start_are_not_taken_for_equal_weights(wine):
    config = config_of(network__hidden_sizes=(2, 2))
    results = [step1.run(config.replace({"seed": seed}), wine[0], InitialLossSpec()) for seed in range(30)]
    assert any("dead" in result.summary or "vanishing" in result.summary for result in results)
    assert not any("same gradient" in result.summary for result in results)


@pytest.mark.parametrize(
    "leaves",
    [
        {"network__dropout": 0.9},
        {"network__dropconnect": 0.9},
        {"label_smoothing": 0.8},
        {"class_weights": "balanced", "label_smoothing": 0.5},
    ],
)
def test_b3_noise_and_floors_do_not_hide_which_rates_work(digits, leaves):
    result = step3.run(config_of(**leaves), digits[0], LearningRatesSpec(starts=3), seed=0)
    assert result.passed, result.summary
    assert result.advice == ""


def test_b3_adadelta_is_tried_at_rates_around_one(digits):
    config = config_of(optimizer__name="adadelta")
    result = step3.run(config, digits[0], LearningRatesSpec(starts=3), seed=0)
    assert [outcome.rate for outcome in result.outcomes] == [0.01, 0.1, 1.0, 10.0]
    assert result.low < 1.0 < result.high


def test_b3_a_loss_that_falls_only_to_what_the_class_frequencies_give_is_doubted(wine):
    random = np.random.default_rng(0)
    inputs = random.normal(size=(1000, 5)).astype(np.float32)
    rare = with_rows(wine[0], inputs=inputs, targets=(random.random(1000) < 0.03).astype(np.int64))
    rare = dataclasses.replace(rare, n_outputs=2)
    result = step3.run(plain(), rare, LearningRatesSpec(starts=3, candidates=(0.01, 0.001)), seed=0)
    assert result.passed
    assert "class frequencies alone give" in result.advice


def test_b3_choices_of_the_rate_that_hold_none_that_works_are_refused(digits):
    result = step3.run(plain(), digits[0], LearningRatesSpec(starts=3), seed=0, allowed=Choices((1e-9, 1e-8)))
    assert not result.passed
    assert "holds no rate that works" in result.summary


def test_b3_a_weak_signal_is_told_how_to_pass(diabetes):
    random = np.random.default_rng(0)
    inputs = random.normal(size=(500, 3)).astype(np.float32)
    targets = (0.35 * inputs[:, 0] + random.normal(size=500)).astype(np.float32)
    weak = with_rows(diabetes[0], inputs=inputs, targets=targets / targets.std())
    result = step3.run(config_of(loss="mse"), weak, LearningRatesSpec(starts=3), seed=0)
    assert not result.passed
    assert "falls_to" in result.advice


def test_b2_a_linear_network_is_asked_for_no_more_than_it_can(diabetes):
    config = config_of(loss="mse", network__activation="identity", network__hidden_sizes=(16, 16), optimizer__lr=0.01)
    result = step2.run(config, diabetes[0], OverfitSpec(), seed=0)
    assert result.passed, result.summary
    assert result.measured["rows"] == 10


def test_b2_clipping_that_holds_the_loss_up_is_named(digits):
    config = config_of(optimizer__name="sgd", clipping__norm=1e-4)
    result = step2.run(config, digits[0], OverfitSpec(max_steps=200), seed=0)
    assert not result.passed
    assert "clipping" in result.summary + result.advice


def test_b3_an_untrained_loss_of_zero_has_nothing_to_fall_and_breaks_nothing():
    assert step3._judge((0.0,) * 20, 0.0, 0.8) == ("too slow", 1.0)
    assert step3._judge((0.0,) * 10 + (2.0,) * 10, 0.0, 0.8) == ("diverged", math.inf)
    assert step3._judge((0.5,) * 20, 1.0, 0.8) == ("works", 0.5)
