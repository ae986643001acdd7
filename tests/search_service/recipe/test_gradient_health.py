"""A12: networks built to fail in each way get the right verdict, and healthy ones get none."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from search_service.recipe import gradient_health, step1_initial_loss, step2_overfit_small_sample
from search_service.spec.sections import InitialLossSpec, OverfitSpec
from tests.plans import plain
from trainables.losses import ChanceScale
from trainables.measurements import measure_health
from trainables.records import Health, LayerHealth
from trainables.training import PopulationTraining

SCALE = ChanceScale(least=0.0, chance=1.0)
HEALTHY_LAYER = LayerHealth(mean=0, std=1, dead=0, saturated=0, signal=1, gradient_norm=1, update_ratio=1e-3)


def config_of(**leaves):
    return plain().replace({name.replace("__", "."): value for name, value in leaves.items()})


def untrained_verdict(config, dataset):
    training = PopulationTraining([config], dataset, order_seed=0)
    rows = training.train_rows
    return gradient_health.untrained(measure_health(training, rows)[0], config).verdict


def trained_verdict(config, dataset, steps=300):
    """As step 2 and the finalists see it."""
    training = PopulationTraining([config], dataset, order_seed=0)
    rows = training.train_rows
    history = [measure_health(training, rows)[0]]
    looks = gradient_health.looks(steps)
    for step, _ in enumerate(training.steps(), start=1):
        if step in looks:
            history += measure_health(training, rows)
        if step == steps:
            break
    return gradient_health.training(history, training.loss.scales(rows.targets)[0], config).verdict


BUILT_TO_FAIL = {
    "deep sigmoids": ("vanishing", {"hidden_sizes": (64,) * 8, "activation": "sigmoid"}, "relu"),
    "weights far too small": (
        "vanishing",
        {"hidden_sizes": (64,) * 6, "activation": "tanh", "init": "gaussian", "init_std": 0.01},
        "init: auto",
    ),
    "deep ReLU with weights too large": (
        "exploding",
        {"hidden_sizes": (64,) * 6, "init": "gaussian", "init_std": 1.0},
        "clipping.norm",
    ),
    "tanh with weights too large": (
        "saturated",
        {"hidden_sizes": (64,) * 3, "activation": "tanh", "init": "gaussian", "init_std": 1.0},
        "init: auto",
    ),
    "sigmoid with weights too large": (
        "saturated",
        {"hidden_sizes": (64, 64), "activation": "sigmoid", "init": "gaussian", "init_std": 3.0},
        "init: auto",
    ),
}


@pytest.mark.parametrize("case", sorted(BUILT_TO_FAIL))
def test_a12_networks_built_to_fail_are_named_before_the_first_step(digits, case):
    name, leaves, remedy = BUILT_TO_FAIL[case]
    config = config_of(**{f"network.{key}": value for key, value in leaves.items()})
    verdict = untrained_verdict(config, digits[0])
    assert verdict.name == name, verdict.summary
    assert remedy in verdict.remedy
    assert verdict.layers
    assert verdict.layers[0] == 1


TRAINED_TO_FAIL = {
    "ReLU at a rate that kills its units": ("dead", {"optimizer.lr": 1.0}, "leaky_relu"),
    "SGD at a rate that overshoots": ("exploding", {"optimizer.name": "sgd", "optimizer.lr": 10.0}, "smaller"),
    "deep sigmoids stay where they are": (
        "vanishing",
        {"network.hidden_sizes": (64,) * 12, "network.activation": "sigmoid"},
        "batch_norm",
    ),
    "tanh at a rate that drives it flat": (
        "saturated",
        {"network.activation": "tanh", "optimizer.name": "momentum", "optimizer.lr": 3.0},
        "relu",
    ),
}


@pytest.mark.parametrize("case", sorted(TRAINED_TO_FAIL))
def test_a12_networks_built_to_fail_are_named_while_they_train(digits, case):
    name, leaves, remedy = TRAINED_TO_FAIL[case]
    verdict = trained_verdict(config_of(**leaves), digits[0], steps=100)
    assert verdict.name == name, verdict.summary
    assert remedy in verdict.remedy


HEALTHY = {
    "two ReLU layers": {},
    "eight ReLU layers": {"network.hidden_sizes": (64,) * 8},
    "a bottleneck of eight": {"network.hidden_sizes": (256, 8, 256)},
    "four units": {"network.hidden_sizes": (4,)},
    "a linear model": {"network.hidden_sizes": ()},
    "tanh": {"network.activation": "tanh"},
    "ten tanh layers": {"network.activation": "tanh", "network.hidden_sizes": (64,) * 10},
    "tanh that saturates because it has learnt": {"network.activation": "tanh", "optimizer.lr": 0.03},
    "three sigmoid layers": {"network.activation": "sigmoid", "network.hidden_sizes": (64,) * 3},
    "eight sigmoid layers, normalised": {
        "network.activation": "sigmoid",
        "network.hidden_sizes": (64,) * 8,
        "network.normalization": "batch_norm",
    },
    "ten GELU layers": {"network.activation": "gelu", "network.hidden_sizes": (64,) * 10},
    "ten SiLU layers": {"network.activation": "silu", "network.hidden_sizes": (64,) * 10},
    "ten ELU layers": {"network.activation": "elu", "network.hidden_sizes": (64,) * 10},
    "twenty leaky layers": {"network.activation": "leaky_relu", "network.hidden_sizes": (32,) * 20},
    "six normalised layers": {"network.normalization": "batch_norm", "network.hidden_sizes": (64,) * 6},
    "dropout and DropConnect": {"network.dropout": 0.3, "network.dropconnect": 0.1},
    "a high rate": {"optimizer.lr": 0.03},
    "SGD": {"optimizer.name": "sgd"},
    "momentum": {"optimizer.name": "nesterov", "optimizer.lr": 0.03},
    "AdaDelta": {"optimizer.name": "adadelta"},
    "RMSProp": {"optimizer.name": "rmsprop"},
    "strong L2": {"regularization.l2": 0.01},
    "L1": {"regularization.l1": 1e-4},
}


@pytest.mark.parametrize("table", ["digits", "wine", "diabetes"])
@pytest.mark.parametrize("case", sorted(HEALTHY))
def test_a12_healthy_networks_get_no_verdict(request, table, case):
    dataset = request.getfixturevalue(table)[0]
    loss = "mse" if dataset.task == "regression" else "cross_entropy"
    config = config_of(loss=loss, **HEALTHY[case])
    assert untrained_verdict(config, dataset).is_healthy
    verdict = trained_verdict(config, dataset)
    assert verdict.is_healthy, verdict.summary


def test_a12_batch_normalisation_rescues_deep_sigmoids_and_relu_does_too(digits):
    deep = config_of(network__hidden_sizes=(64,) * 12, network__activation="sigmoid")
    plain_result = step2_overfit_small_sample.run(deep, digits[0], OverfitSpec(max_steps=300), seed=0)
    assert not plain_result.passed
    assert "vanishing" in plain_result.summary
    for change in ({"network.activation": "relu"}, {"network.normalization": "batch_norm"}):
        rescued = step2_overfit_small_sample.run(deep.replace(change), digits[0], OverfitSpec(max_steps=300), seed=0)
        assert rescued.passed, rescued.summary
        assert rescued.health.verdict.is_healthy


def test_a12_a_start_without_gradients_is_named_even_if_they_have_come_back_when_step_2_gives_up(digits):
    deep = config_of(network__hidden_sizes=(32,) * 8, network__activation="sigmoid", optimizer__lr=2e-3)
    result = step2_overfit_small_sample.run(deep, digits[0], OverfitSpec(), seed=0)
    assert not result.passed
    assert "vanishing in layers 1 to 4" in result.summary
    assert "too small" not in result.summary


def test_a7_a12_clipping_tames_an_explosion(digits):
    wild = config_of(network__hidden_sizes=(64,) * 6, optimizer__name="sgd", optimizer__lr=3.0)
    assert trained_verdict(wild, digits[0]).name == "exploding"
    tamed = wild.replace({"clipping.norm": 0.1})
    assert trained_verdict(tamed, digits[0]).is_healthy
    training = PopulationTraining([wild, tamed], digits[0], order_seed=0)
    *_, losses = itertools.islice(training.steps(), 300)
    assert losses[0].isnan()
    assert losses[1] < 0.1 * math.log(10)


def test_a12_step_1_passes_and_says_what_it_saw(digits):
    deep = config_of(network__hidden_sizes=(64,) * 8, network__activation="sigmoid")
    result = step1_initial_loss.run(deep, digits[0], InitialLossSpec())
    assert result.passed
    assert "gradients are vanishing in layers 1 to" in result.summary
    assert "relu" in result.advice
    assert len(result.health.history[0].layers) == 9
    healthy = step1_initial_loss.run(plain(), digits[0], InitialLossSpec())
    assert "kaiming initial weights by auto" in healthy.summary
    assert healthy.advice == ""


def look(step, loss=1.0, **changes):
    layer = dataclasses.replace(HEALTHY_LAYER, **changes)
    return Health(step, loss, (layer, HEALTHY_LAYER, HEALTHY_LAYER))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"signal": 0.011}, "healthy"),
        ({"signal": 0.009}, "vanishing"),
        ({"signal": 0.0}, "vanishing"),
        ({"dead": 0.8}, "healthy"),
        ({"dead": 0.81}, "dead"),
        ({"saturated": 0.9}, "healthy"),
        ({"saturated": 0.91}, "saturated"),
        ({"gradient_norm": 900.0}, "healthy"),
        ({"gradient_norm": 3000.0}, "exploding"),
        ({"std": math.inf}, "exploding"),
        ({"gradient_norm": math.nan}, "exploding"),
    ],
)
def test_a12_bounds_while_training(changes, name):
    history = [look(0), look(10, **changes)]
    verdict = gradient_health.training(history, scale=SCALE, config=plain()).verdict
    assert verdict.name == name
    assert (verdict.remedy == "") == (name == "healthy")
    if name != "healthy":
        assert verdict.layers == (1,)
        assert "layer 1" in verdict.summary


def test_a12_a_network_that_has_learnt_may_saturate_and_lose_its_gradient():
    learnt = look(10, loss=0.7, signal=0.0, dead=0.9)
    assert gradient_health.training([look(0), learnt], scale=SCALE, config=plain()).verdict.is_healthy
    exploded = look(5, loss=0.04, gradient_norm=1e6)
    assert gradient_health.training([look(0), exploded, learnt], SCALE, plain()).verdict.name == "exploding"


def test_a12_remedies_that_are_taken_already_are_not_repeated():
    config = config_of(network__normalization="batch_norm", network__activation="elu")
    remedy = gradient_health.training([look(0), look(1, signal=0.0)], SCALE, config).verdict.remedy
    assert remedy == "try another trial.network.activation, or fewer layers"


def test_looks_are_close_at_first_and_end_with_the_last():
    assert sorted(gradient_health.looks(30)) == [0, 1, 2, 5, 10, 20, 30]
    assert sorted(gradient_health.looks(1)) == [0, 1]
