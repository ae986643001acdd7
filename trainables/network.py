"""The population MLP: K networks of one shape as one batched model in one flat tensor.

All parameters live in ``parameters [K, P]``; ``layers`` are views of it. Columns are ordered weights first (layer
by layer), then biases, so that whatever concerns weights alone (decay, penalties) is a slice and not a mask.

    inputs   [B, D], shared by the members, or [K, B, D]
    outputs  [K, B, C]

>>> import torch
>>> from trainables.config import TrialConfig
>>> network = PopulationNetwork([TrialConfig(seed=0), TrialConfig(seed=1)], n_inputs=4, n_outputs=3)
>>> network(torch.zeros(5, 4)).shape
torch.Size([2, 5, 3])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.activations import ACTIVATIONS
from trainables.config import TrialConfig
from trainables.dropout import dropout
from trainables.initialization import draw_weights


@dataclass(frozen=True)
class Layer:
    """Views of one layer's parameters: weight ``[K, Din, Dout]`` and bias ``[K, 1, Dout]``."""

    weight: Tensor
    bias: Tensor


class PopulationNetwork:
    """K multilayer perceptrons of one shape, trained and evaluated together.

    Args:
        configs: One per member, K in all; they must agree in every structural leaf (config.STRUCTURAL).
        n_inputs: D, features of a row.
        n_outputs: C, outputs of a row.
        device: Where the parameters live.
        dtype: Of parameters and outputs.

    Attributes:
        parameters: ``[K, P]``.
        n_weights: The first ``n_weights`` columns of ``parameters`` are weights, the others biases.
        layers: Views of ``parameters``, first to last.

    Raises:
        ValueError: The configs are of different structure, or there are none.
    """

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        n_inputs: int,
        n_outputs: int,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if len({config.structure for config in configs}) != 1:
            raise ValueError(f"a population needs configs of one structure, got {len(configs)} configs of several")
        network = configs[0].network
        self.layer_sizes = (n_inputs, *network.hidden_sizes, n_outputs)
        shapes = list(zip(self.layer_sizes, self.layer_sizes[1:], strict=False))
        self.n_weights = sum(fan_in * fan_out for fan_in, fan_out in shapes)
        self._shapes = shapes
        self._activation = ACTIVATIONS[network.activation]
        self.activation_name = network.activation

        self.parameters = torch.zeros(len(configs), self.n_weights + sum(self.layer_sizes[1:]), dtype=dtype)
        for row, config in zip(self.parameters, configs, strict=True):
            row[: self.n_weights] = draw_weights(config.network, self.layer_sizes, config.seed, dtype)
        self.parameters = self.parameters.to(device)

        def per_member(values: list[float]) -> Tensor:  # -> [K, 1, 1]
            return torch.tensor(values, dtype=dtype, device=device).view(-1, 1, 1)

        self._negative_slope = per_member([config.network.negative_slope for config in configs])
        self._dropout_rate = per_member([config.network.dropout for config in configs])
        self._look_again()

    @property
    def size(self) -> int:
        """K, the members."""
        return self.parameters.shape[0]

    def __call__(
        self, inputs: Tensor, *, masks: torch.Generator | None = None, hidden: list[Tensor] | None = None
    ) -> Tensor:
        """Outputs of every member.

        Args:
            inputs: ``[B, D]`` or ``[K, B, D]``.
            masks: Draws the dropout masks: given in training, absent in evaluation.
            hidden: Receives the activations of each hidden layer, ``[K, B, H]`` (before dropout), if given.

        Returns:
            ``[K, B, C]``.
        """
        x = inputs.expand(self.size, -1, -1)  # (B, D) -> (K, B, D), without a copy
        *inner, last = self.layers
        for layer in inner:
            z = torch.baddbmm(layer.bias, x, layer.weight)  # (K, B, Din) @ (K, Din, Dout) -> (K, B, Dout)
            x = self._activation(z, self._negative_slope)
            if hidden is not None:
                hidden.append(x)
            if masks is not None and self.has_dropout:
                x = dropout(x, self._dropout_rate, masks)
        return torch.baddbmm(last.bias, x, last.weight)  # (K, B, H) -> (K, B, C)

    def gradient(self, losses: Tensor, out: Tensor | None = None) -> Tensor:
        """Gradient of each member's loss with respect to its own parameters, in the order of ``parameters``.

        Args:
            losses: ``[K]``, computed from this network's outputs. Member k's loss depends on member k's
                parameters alone, so one backward pass through the sum yields every member's own gradient.
            out: ``[K, P]`` to write into.

        Returns:
            ``[K, P]``.
        """
        gradients = torch.autograd.grad(losses.sum(), self._leaves)
        return torch.cat([g.reshape(self.size, -1) for g in gradients], dim=1, out=out)

    def keep(self, members: Tensor) -> None:
        """Reduce the population to ``members`` (indices, ``[K']``); the others' parameters are gone."""
        self.parameters = self.parameters.index_select(0, members)
        self._negative_slope = self._negative_slope.index_select(0, members)
        self._dropout_rate = self._dropout_rate.index_select(0, members)
        self._look_again()

    def _look_again(self) -> None:
        """Make the views of ``parameters`` anew, after the tensor was replaced."""
        members, weights, biases = self.size, [], []
        weight_at, bias_at = 0, self.n_weights
        for fan_in, fan_out in self._shapes:
            # detach(): leaves of the graph that share the flat tensor's memory, so that autograd hands back one
            # gradient per layer instead of scattering each into a zero tensor of the full size.
            weight = self.parameters[:, weight_at : weight_at + fan_in * fan_out]
            weights.append(weight.view(members, fan_in, fan_out).detach().requires_grad_())
            bias = self.parameters[:, bias_at : bias_at + fan_out]
            biases.append(bias.view(members, 1, fan_out).detach().requires_grad_())
            weight_at, bias_at = weight_at + fan_in * fan_out, bias_at + fan_out
        self.layers = [Layer(weight, bias) for weight, bias in zip(weights, biases, strict=True)]
        self._leaves = [*weights, *biases]
        self.has_dropout = bool((self._dropout_rate > 0).any())
