"""C1: one width per layer: what a search draws as numbers is a list of hidden sizes in a config, and back."""

from __future__ import annotations

import pytest

from search_service.space import layers
from trainables.config import TrialConfig

BASE = TrialConfig().replace({"network.hidden_sizes": (32, 16)})


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        ({}, (32, 16)),
        ({"network.depth": 3}, (32, 32, 32)),  # No width is searched: that of the first layer for all.
        ({"network.depth": 1}, (32,)),
        ({"network.width_1": 8, "network.width_2": 4}, (8, 4)),
        ({"network.width_2": 4.0}, (32, 4)),
        ({"network.depth": 2, "network.width_1": 8, "network.width_2": 4}, (8, 4)),
    ],
)
def test_c1_a_config_has_the_layers_that_were_drawn(values, sizes):
    config = BASE.replace(layers.in_config({**values, "optimizer.lr": 0.5}, BASE))
    assert config.network.hidden_sizes == sizes
    assert config.optimizer.lr == 0.5


def test_c1_layers_are_read_back_as_the_numbers_that_they_were():
    leaves = ["network.depth", "network.width_1", "network.width_2", "network.width_3", "optimizer.name"]
    values = layers.values_in(BASE, leaves)
    assert values == {"network.depth": 2, "network.width_1": 32, "network.width_2": 16, "optimizer.name": "adamw"}
    assert BASE.replace(layers.in_config(values, BASE)) == BASE
    with pytest.raises(KeyError):
        layers.value_in(BASE, "network.height")
