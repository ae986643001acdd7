"""TrialConfig: dotted leaves, what applies, what is structural."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trainables.config import APPLIES_TO, STRUCTURAL, TrialConfig, accepts_fractions, applies, leaf_paths


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
    with pytest.raises(ValidationError, match="momentum only"):
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
        "loss": "hinge",
    }.items():
        assert base.structure != base.replace({leaf: value}).structure


def test_numbers_that_are_real_and_those_that_are_whole():
    assert accepts_fractions("optimizer.lr")
    assert not accepts_fractions("batch_size")
    assert not accepts_fractions("network.hidden_sizes")


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
