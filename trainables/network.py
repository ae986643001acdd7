"""The population MLP: K networks of one shape as one batched model in one flat tensor.

All parameters live in ``parameters [K, P]``; ``layers`` are views of it. Columns are ordered weights first (layer
by layer), then biases, then the gains of batch normalisation, so that whatever concerns weights alone (decay,
penalties) is a slice and not a mask. A layer that is normalised adds its bias after the normalisation, where it is
the β of the formula; before, the mean would take it away again.

    inputs   [B, D], shared by the members, or [K, B, D]
    outputs  [K, B, C]

Training goes backward by hand (``backward``): autograd's graph of a population costs more than the arithmetic of its
narrow layers, and a network by itself trains in little more than half the time (docs/performance/steps.md). Everything
else that wants a derivative goes through autograd (``gradient``), which is what the tests hold ``backward`` against.

>>> import torch
>>> from trainables.config import TrialConfig
>>> network = PopulationNetwork([TrialConfig(seed=0), TrialConfig(seed=1)], n_inputs=4, n_outputs=3)
>>> network(torch.zeros(5, 4)).shape
torch.Size([2, 5, 3])
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trainables.activations import ACTIVATIONS
from trainables.config import NetworkConfig, TrialConfig
from trainables.dropout import DropRates
from trainables.initialization import draw_weights
from trainables.normalization import BatchNormalization, Normalized

# evaluate: nothing is dropped, running statistics. train: masks are drawn, batches are normalised by their own
# statistics, which the running ones follow. measure: as in training, but nothing is dropped and nothing changes.
Mode = Literal["evaluate", "train", "measure"]

# An output layer with fewer columns than this is computed as the transposed product, so that its outputs lie class by
# class, [K, C, B]. Kernels go along the last axis, and what 10 classes take there is less than an AVX-512 register: a
# log-softmax takes 26 times as long along them as across them. A hidden layer is left as it is, however narrow:
# elementwise kernels take 10 to 30 times as long for two layouts as for one.
NARROW = 16


@dataclass(frozen=True)
class Layer:
    """Views of one layer's parameters.

    Attributes:
        weight: ``[K, Din, Dout]``.
        bias: ``[K, 1, Dout]``; β where the layer is normalised.
        gain: γ, ``[K, 1, Dout]``, where the layer is normalised.
    """

    weight: Tensor
    bias: Tensor
    gain: Tensor | None = None


@dataclass
class LayerTrace:
    """What a layer's backward pass needs of its forward pass.

    Attributes:
        inputs: ``[K, B, Din]``.
        weight: ``[K, Din, Dout]``, as it was used: after DropConnect.
        weight_mask: DropConnect's factors, ``[K, Din, Dout]``.
        normalized: What batch normalisation needs.
        preactivations: ``[K, B, Dout]``; the activations where an activation writes over them.
        activations: ``[K, B, Dout]``, before dropout; of the last layer none.
        mask: Dropout's factors, ``[K, B, Dout]``.
    """

    inputs: Tensor
    weight: Tensor
    weight_mask: Tensor | None = None
    normalized: Normalized | None = None
    preactivations: Tensor | None = None
    activations: Tensor | None = None
    mask: Tensor | None = None


# What ``backward`` needs of a forward pass, layer by layer: one per pass.
Trace = list[LayerTrace]


def count_parameters(config: NetworkConfig, n_inputs: int, n_outputs: int) -> int:
    """Numbers that are trained in one network: weights, biases and the gains of batch normalisation.

    Args:
        config: Its shape.
        n_inputs: D, features of a row.
        n_outputs: C, outputs of a row.
    """
    sizes = (n_inputs, *config.hidden_sizes, n_outputs)
    weights = sum(fan_in * fan_out for fan_in, fan_out in itertools.pairwise(sizes))
    gains = sum(config.hidden_sizes) if config.normalization == "batch_norm" else 0
    return weights + sum(sizes[1:]) + gains


class PopulationNetwork:
    """K multilayer perceptrons of one shape, trained and evaluated together.

    Args:
        configs: One per member, K in all; they must agree in every structural leaf (config.STRUCTURAL).
        n_inputs: D, features of a row.
        n_outputs: C, outputs of a row.
        device: Where the parameters live.
        dtype: Type of parameters and outputs.

    Attributes:
        parameters: ``[K, P]``.
        n_weights: The first ``n_weights`` columns of ``parameters`` are weights.
        layers: Views of ``parameters``, first to last.
        normalization: Running statistics of batch normalisation; None without it.

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
        normalized = network.hidden_sizes if network.normalization == "batch_norm" else ()

        n_gains = sum(normalized)
        n_parameters = count_parameters(network, n_inputs, n_outputs)
        self.parameters = torch.zeros(len(configs), n_parameters, dtype=dtype)
        self.parameters[:, n_parameters - n_gains :] = 1.0
        for row, config in zip(self.parameters, configs, strict=True):
            row[: self.n_weights] = draw_weights(config.network, self.layer_sizes, config.seed, dtype)
        self.parameters = self.parameters.to(device)

        def per_member(leaf: str) -> Tensor:  # -> [K]
            return torch.tensor([config[f"network.{leaf}"] for config in configs], dtype=dtype, device=device)

        self._negative_slopes = per_member("negative_slope")
        self._dropout, self._dropconnect = DropRates(per_member("dropout")), DropRates(per_member("dropconnect"))
        self.normalization: BatchNormalization | None = None
        if normalized:
            momentum, eps = network.batch_norm_momentum, network.batch_norm_eps
            self.normalization = BatchNormalization(
                len(configs), normalized, momentum=momentum, eps=eps, like=self.parameters
            )
        self._look_again()

    @property
    def size(self) -> int:
        """K, the members."""
        return self.parameters.shape[0]

    def __call__(
        self,
        inputs: Tensor,
        *,
        mode: Mode = "evaluate",
        masks: torch.Generator | None = None,
        hidden: list[Tensor] | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """Outputs of every member.

        Args:
            inputs: ``[B, D]`` or ``[K, B, D]``.
            mode: What is dropped, normalised and changed (``Mode``).
            masks: Draws what is dropped in training; without it nothing is.
            hidden: Receives the activations of each hidden layer, ``[K, B, H]`` (before dropout), if given.
            trace: Receives what ``backward`` needs, if given; not in evaluation.

        Returns:
            ``[K, B, C]``.
        """
        masks = masks if mode == "train" else None
        x = inputs.expand(self.size, -1, -1)  # (B, D) -> (K, B, D), without a copy
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            step = LayerTrace(x, layer.weight)
            if trace is not None:
                trace.append(step)
            if masks is not None and self._dropconnect.any:
                step.weight_mask = self._dropconnect.draw(tuple(layer.weight.shape), masks)
                step.weight = layer.weight * step.weight_mask
            x = self._preactivations(index, layer, step, mode)
            if index == last:
                break
            step.preactivations = x
            step.activations = x = self._activation.apply(x, self._negative_slope)
            if hidden is not None:
                hidden.append(x)
            if masks is not None and self._dropout.any:
                step.mask = self._dropout.draw(tuple(x.shape), masks)
                x = x * step.mask
        return x

    def _preactivations(self, index: int, layer: Layer, step: LayerTrace, mode: Mode) -> Tensor:
        x, weight = step.inputs, step.weight
        if self._is_flipped(index):
            z = torch.bmm(weight.transpose(1, 2), x.transpose(1, 2)).transpose(1, 2)  # (xW)ᵀ = Wᵀxᵀ
        else:
            z = torch.bmm(x, weight)  # (K, B, Din) @ (K, Din, Dout) -> (K, B, Dout)
        if layer.gain is None or self.normalization is None:
            # Not by baddbmm, which first spreads the bias over the rows, slower than this adds it.
            return z.add_(layer.bias)
        if mode == "evaluate":
            return self.normalization.by_running(index, z, layer.gain, layer.bias)
        step.normalized = self.normalization.by_batch(index, z, layer.gain, layer.bias, follow=mode == "train")
        return step.normalized.outputs

    def _is_flipped(self, index: int) -> bool:
        return index == len(self._shapes) - 1 and self.layer_sizes[-1] < NARROW

    def backward(self, trace: Trace, slope: Tensor, out: Tensor) -> None:
        """Each member's gradient, from a forward pass under ``torch.no_grad``.

        Args:
            trace: What that pass has kept.
            slope: Derivative of each member's loss by its own outputs, ``[K, B, C]``; may be written over.
            out: ``[K, P]`` to write into, in the order of ``parameters``.
        """
        layers = self._as_layers(out)
        last = len(layers) - 1
        for index in range(last, -1, -1):
            step, own = trace[index], layers[index]
            if index < last:
                assert step.preactivations is not None and step.activations is not None
                if step.mask is not None:
                    slope.mul_(step.mask)
                slope = self._activation.backward(slope, step.preactivations, step.activations, self._negative_slope)
            if step.normalized is not None and self.normalization is not None and own.gain is not None:
                slope = self.normalization.backward(index, step.normalized, slope, own.gain, own.bias)
            else:
                torch.sum(slope, dim=1, keepdim=True, out=own.bias)
            if self._is_flipped(index):
                weight_slope = torch.bmm(slope.transpose(1, 2), step.inputs).transpose(1, 2)
            else:
                weight_slope = torch.bmm(step.inputs.transpose(1, 2), slope)
            if step.weight_mask is None:
                own.weight.copy_(weight_slope)
            else:
                torch.mul(weight_slope, step.weight_mask, out=own.weight)
            if index > 0:
                slope = torch.bmm(slope, step.weight.transpose(1, 2))  # (K, B, Dout) -> (K, B, Din)

    def gradient(self, losses: Tensor) -> Tensor:
        """Gradient of each member's loss with respect to its own parameters, in the order of ``parameters``.

        By autograd, for whoever looks at a loss of any kind; a training step goes by ``backward``.

        Args:
            losses: ``[K]``, computed from this network's outputs. Member k's loss depends on member k's
                parameters alone, so one backward pass through the sum yields every member's own gradient.

        Returns:
            ``[K, P]``.
        """
        gradients = torch.autograd.grad(losses.sum(), self._leaves)
        return torch.cat([g.reshape(self.size, -1) for g in gradients], dim=1)

    def split_weights(self, flat: Tensor) -> list[Tensor]:
        """The weight columns of ``[K, P]`` (parameters, a gradient, a step) by layer, ``[K, Din, Dout]`` each."""
        return [layer.weight for layer in self._as_layers(flat)]

    def snapshot(self) -> list[Tensor]:
        """A copy of everything that evaluation depends on: parameters ``[K, P]`` and running statistics ``[K, H]``."""
        return [tensor.clone() for tensor in self._state()]

    def restore(self, snapshot: Sequence[Tensor]) -> None:
        """Go back to what ``snapshot`` returned, in place."""
        for tensor, saved in zip(self._state(), snapshot, strict=True):
            tensor.copy_(saved)

    def _state(self) -> list[Tensor]:
        normalization = self.normalization
        statistics = [] if normalization is None else [*normalization.means, *normalization.variances]
        return [self.parameters, *statistics]

    def keep(self, members: Tensor) -> None:
        """Reduce the population to ``members`` (indices, ``[K']``); the others' parameters are gone."""
        self.parameters = self.parameters.index_select(0, members)
        self._negative_slopes = self._negative_slopes.index_select(0, members)
        self._dropout, self._dropconnect = self._dropout.keep(members), self._dropconnect.keep(members)
        if self.normalization is not None:
            self.normalization.keep(members)
        self._look_again()

    def _as_layers(self, flat: Tensor) -> list[Layer]:
        """Views of ``[K, P]`` (parameters, a gradient) by layer."""
        members, at = len(flat), 0

        def part(*shape: int) -> Tensor:
            nonlocal at
            start, at = at, at + math.prod(shape)
            return flat[:, start:at].view(members, *shape)

        weights = [part(fan_in, fan_out) for fan_in, fan_out in self._shapes]
        biases = [part(1, fan_out) for _, fan_out in self._shapes]
        gains = [part(1, fan_out) for _, fan_out in self._shapes[:-1]] if self.normalization is not None else []
        return [Layer(weight, bias, gain) for weight, bias, gain in itertools.zip_longest(weights, biases, gains)]

    def _look_again(self) -> None:
        """Make the views of ``parameters`` anew, after the tensor was replaced."""

        def leaf(view: Tensor) -> Tensor:
            # detach(): leaves of the graph that share the flat tensor's memory, so that autograd hands back one
            # gradient per layer instead of scattering each into a zero tensor of the full size.
            return view.detach().requires_grad_()

        self.layers = [
            Layer(leaf(layer.weight), leaf(layer.bias), None if layer.gain is None else leaf(layer.gain))
            for layer in self._as_layers(self.parameters)
        ]
        gains = [layer.gain for layer in self.layers if layer.gain is not None]
        self._leaves = [*(layer.weight for layer in self.layers), *(layer.bias for layer in self.layers), *gains]
        slopes = self._negative_slopes
        self._negative_slope = slopes[0].item() if (slopes == slopes[0]).all() else slopes.view(-1, 1, 1)
