"""TrialConfig: dotted leaves, what applies, what is structural."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trainables.choices import APPLIES_TO, STRUCTURAL
from trainables.config import TrialConfig, accepts_fractions, applies, is_number, leaf_paths


def test_leaves_by_dotted_path():
    config = TrialConfig()
    assert config["optimizer.lr"] == config.optimizer.lr
    assert set(APPLIES_TO) | STRUCTURAL <= set(leaf_paths())
    for wrong in ("optimizer.lrr", "optimizer.lr.x", "nothing"):
        with pytest.raises(KeyError):
            config[wrong]


def test_replace_validates_and_drops_what_no_longer_applies():
    momentum = TrialConfig().replace({"optimizer.name": "momentum", "optimizer.momentum": 0.5})
    adam = momentum.replace({"optimizer.name": "adam"})
    assert adam.optimizer.name == "adam"
    assert "optimizer.momentum" not in adam.flat()
    with pytest.raises(ValidationError):
        momentum.replace({"optimizer.lr": -1.0})
    with pytest.raises(ValidationError):
        momentum.replace({"optimizer.typo": 1.0})
    with pytest.raises(ValidationError, match="momentum or nesterov only"):
        TrialConfig().replace({"optimizer.momentum": 0.5})


def test_flat_shows_exactly_what_applies():
    flat = TrialConfig().replace({"optimizer.name": "sgd"}).flat()
    assert {leaf for leaf in flat if leaf.startswith("optimizer.")} == {"optimizer.name", "optimizer.lr"}
    assert applies("optimizer.momentum", {"optimizer.name": "momentum"}, TrialConfig())
    assert not applies("optimizer.momentum", {}, TrialConfig())


def test_structure_tells_who_can_be_in_one_population():
    base = TrialConfig()
    assert base.structure == base.replace({"optimizer.lr": 0.5, "network.dropout": 0.5, "seed": 9}).structure
    for leaf, value in {
        "network.hidden_sizes": (8,),
        "batch_size": 1,
        "optimizer.name": "sgd",
        "network.activation": "silu",
        "network.normalization": "batch_norm",
        "schedule.name": "linear",
        "schedule.unit": "steps",
        "class_weights": "balanced",
        "loss": "hinge",
    }.items():
        assert base.structure != base.replace({leaf: value}).structure


def test_numbers_that_are_real_and_those_that_are_whole():
    assert accepts_fractions("optimizer.lr")
    assert not accepts_fractions("batch_size")
    assert not accepts_fractions("network.hidden_sizes")
    assert accepts_fractions("clipping.norm")
    assert [
        leaf for leaf in ("clipping.norm", "schedule.duration", "schedule.unit", "class_weights") if is_number(leaf)
    ] == [
        "clipping.norm",
        "schedule.duration",
    ]


def test_a9_defaults_follow_the_rule_and_are_not_carried_over_to_another():
    adadelta = TrialConfig().replace({"optimizer.name": "adadelta"})
    assert (adadelta.optimizer.lr, adadelta.optimizer.eps) == (1.0, 1e-6)
    adam = adadelta.replace({"optimizer.name": "adam"})
    assert (adam.optimizer.lr, adam.optimizer.eps) == (1e-3, 1e-8)
    kept = adadelta.replace({"optimizer.lr": 0.5}).replace({"optimizer.name": "sgd"})
    assert kept.optimizer.lr == 0.5
    assert TrialConfig().replace({"schedule.name": "exponential"}).schedule.factor == 0.95
    read = TrialConfig.model_validate_json(adadelta.model_dump_json(exclude_unset=True))
    assert read == adadelta


def test_a4_batch_norm_with_batches_of_one_row_is_refused_with_the_reason():
    with pytest.raises(ValidationError, match="variance is 0"):
        TrialConfig(batch_size=1).replace({"network.normalization": "batch_norm"})
    TrialConfig(batch_size=2).replace({"network.normalization": "batch_norm"})


def test_without_regularization_and_at_a_constant_rate():
    config = TrialConfig().replace(
        {
            "network.dropout": 0.5,
            "network.dropconnect": 0.5,
            "regularization.l1": 1.0,
            "label_smoothing": 0.2,
            "schedule.name": "cosine",
            "schedule.warmup": 4,
            "clipping.norm": 1.0,
        }
    )
    bare = config.without_regularization().at_constant_rate()
    off = ("network.dropout", "network.dropconnect", "regularization.l1", "label_smoothing", "schedule.warmup")
    assert [bare[leaf] for leaf in (*off, "optimizer.weight_decay")] == [0.0] * 6
    assert bare.schedule.name == "none"
    assert bare.clipping.norm == 1.0
    # Leaves that the loss or the optimiser do not have are not touched.
    TrialConfig(loss="mse").replace({"optimizer.name": "sgd"}).without_regularization()


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("network.dropout", 1.0),
        ("network.dropconnect", 1.0),
        ("clipping.norm", 0.0),
        ("clipping.value", -1.0),
        ("schedule.warmup", -1),
        ("label_smoothing", 1.0),
        ("class_weights", (1.0, 0.0)),
        ("regularization.l1", -0.1),
    ],
)
def test_numbers_outside_their_range_are_refused(leaf, value):
    with pytest.raises(ValidationError):
        TrialConfig().replace({leaf: value})


@pytest.mark.parametrize("leaf", sorted(APPLIES_TO))
def test_a_leaf_that_its_choice_lacks_is_refused_and_the_choices_that_have_it_are_named(leaf):
    choice, having = APPLIES_TO[leaf]
    lacking = {
        "network.activation": "tanh",
        "network.init": "auto",
        "network.normalization": "none",
        "optimizer.name": "sgd",
        "schedule.name": "none",
        "loss": "mse",
    }
    value = "balanced" if leaf == "class_weights" else 5 if leaf in ("schedule.every", "schedule.duration") else 0.5
    with pytest.raises(ValidationError, match=f"exists for {choice} {' or '.join(sorted(having))} only"):
        TrialConfig().replace({choice: lacking[choice], leaf: value})
    for name in having:
        assert TrialConfig().replace({choice: name, leaf: value})[leaf] == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0])
def test_rates_that_cannot_be(value):
    with pytest.raises(ValidationError):
        TrialConfig().replace({"optimizer.lr": value})


def test_a_config_survives_json_exactly():
    config = TrialConfig(seed=3).replace({"optimizer.lr": 0.1 + 0.2, "network.hidden_sizes": (3, 5)})
    assert TrialConfig.model_validate_json(config.model_dump_json(exclude_unset=True)) == config


def test_plain_data_holds_what_applies_and_reads_back_equal():
    config = TrialConfig(seed=3).replace({"optimizer.name": "momentum", "optimizer.momentum": 0.5})
    plain = config.to_plain()
    assert set(plain["optimizer"]) == {"name", "lr", "momentum"}
    assert TrialConfig.model_validate(plain).flat() == config.flat()
