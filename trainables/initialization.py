"""Initial weights: one seed per member decides them, whatever population the member is part of.

Biases start at 0. Weights of a layer with fan-in ``Din`` are Gaussian with mean 0 and standard deviation

- zeros: 0 (cannot learn: every unit of a layer gets the same gradient; step 1 of the recipe says so),
- gaussian: ``network.init_std``,
- xavier: 1/√Din, which keeps the variance through layers that are linear near 0 (tanh, sigmoid),
- kaiming (MSRA): √(2/Din), since ReLU halves the second moment.

Source: Glorot and Bengio 2010 and He et al. 2015, in the fan-in form of the lecture.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from trainables.activations import ACTIVATIONS
from trainables.choices import InitName
from trainables.config import NetworkConfig

STANDARD_DEVIATIONS: Mapping[InitName, Callable[[int, NetworkConfig], float]] = {
    "zeros": lambda fan_in, network: 0.0,
    "gaussian": lambda fan_in, network: network.init_std,
    "xavier": lambda fan_in, network: fan_in**-0.5,
    "kaiming": lambda fan_in, network: (2.0 / fan_in) ** 0.5,
}


def resolve(network: NetworkConfig) -> InitName:
    """The rule that ``init: auto`` means for this network's activation."""
    if network.init != "auto":
        return network.init
    return ACTIVATIONS[network.activation].init


def draw_weights(network: NetworkConfig, layer_sizes: Sequence[int], seed: int, dtype: torch.dtype) -> Tensor:
    """Draw the weights of one network, layer after layer, flattened.

    Args:
        network: Rule, and the factor on the last layer.
        layer_sizes: Units of every layer, inputs first, outputs last.
        seed: This member's seed.
        dtype: The result's type. Numbers are drawn in float32 and then cast, so that a network in float64
            starts from the same weights as in float32.

    Returns:
        ``[sum of Din × Dout]``, each layer row-major as ``[Din, Dout]``, on the CPU: the same bits on any device.
    """
    generator = torch.Generator().manual_seed(seed)
    rule = STANDARD_DEVIATIONS[resolve(network)]
    last = len(layer_sizes) - 2
    layers = []
    for index, (fan_in, fan_out) in enumerate(itertools.pairwise(layer_sizes)):
        std = rule(fan_in, network) * (network.output_scale if index == last else 1.0)
        layers.append(torch.randn(fan_in * fan_out, generator=generator).mul_(std))
    return torch.cat(layers).to(dtype)
