"""One width per layer: what ``network.depth`` and ``network.width`` of a search space mean.

A network's layers are one leaf of TrialConfig, ``network.hidden_sizes``, a list. To search it as numbers, a space has
leaves of its own for it, which no config has:

    network.depth      how many hidden layers
    network.width_1    units of the first hidden layer, and so on: each is drawn only if the network has such a layer

(the user's ``network.width`` is the range of all of them). This module alone knows how the two belong together.

>>> base = TrialConfig().replace({"network.hidden_sizes": (64, 64, 64)})
>>> in_config({"network.depth": 2, "network.width_1": 32, "network.width_2": 16, "optimizer.lr": 0.1}, base)
{'optimizer.lr': 0.1, 'network.hidden_sizes': (32, 16)}
>>> as_numbers((32, 16))
{'network.depth': 2, 'network.width_1': 32, 'network.width_2': 16}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainables.choices import STRUCTURAL
from trainables.config import TrialConfig

DEPTH = "network.depth"
WIDTH = "network.width"
SIZES = "network.hidden_sizes"
# What a search space may say of them, and what TrialConfig allows in hidden_sizes.
MOST: Mapping[str, int] = {DEPTH: 100, WIDTH: 65_536}


def width_of(layer: int) -> str:
    """The leaf that is the width of hidden layer ``layer``, counted from 1."""
    return f"{WIDTH}_{layer}"


def is_of_layers(leaf: str) -> bool:
    """Whether ``leaf`` is one of this module's and none of TrialConfig's."""
    return leaf in (DEPTH, WIDTH) or leaf.startswith(f"{WIDTH}_")


def is_structural(leaf: str) -> bool:
    """Whether networks that differ in ``leaf`` cannot be members of one population."""
    return leaf in STRUCTURAL or is_of_layers(leaf)


def as_numbers(sizes: Sequence[int]) -> dict[str, int]:
    """Hidden layers as the leaves of a search space."""
    return {DEPTH: len(sizes), **{width_of(layer): units for layer, units in enumerate(sizes, start=1)}}


def value_in(config: TrialConfig, leaf: str) -> Any:
    """What ``config`` has for ``leaf``; None for the width of a layer that it does not have.

    Raises:
        KeyError: There is no such leaf.
    """
    return as_numbers(config.network.hidden_sizes).get(leaf) if is_of_layers(leaf) else config[leaf]


def values_in(config: TrialConfig, leaves: Sequence[str]) -> dict[str, Any]:
    """What ``config`` has for each of ``leaves``, without the layers that it does not have."""
    values = {leaf: value_in(config, leaf) for leaf in leaves}
    return {leaf: value for leaf, value in values.items() if value is not None or not is_of_layers(leaf)}


def in_config(values: Mapping[str, Any], base: TrialConfig) -> dict[str, Any]:
    """The values of a search space as leaves that TrialConfig has.

    Args:
        values: By leaf. Layers whose width is not among them have that of ``base``; where the depth is, that of its
            first layer.
        base: Every leaf that is not in ``values``.
    """
    given = {leaf: value for leaf, value in values.items() if is_of_layers(leaf)}
    if not given:
        return dict(values)
    sizes = list(base.network.hidden_sizes)
    if DEPTH in given:
        # A linear model has no width to go by; spec.py asks for one, so that all of them are given here.
        sizes = (sizes or [1])[:1] * int(given[DEPTH])
    sizes = [int(given.get(width_of(layer), units)) for layer, units in enumerate(sizes, start=1)]
    return {leaf: value for leaf, value in values.items() if leaf not in given} | {SIZES: tuple(sizes)}
