"""Prepared rows as tensors on a device.

Apart from the arrays of ``data``, so that a table is read, divided and checked without torch, which takes seconds.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from trainables.data.dataset import Rows


@dataclass(frozen=True)
class RowTensors:
    """Rows on a device: inputs ``[N, D]`` and targets ``[N]`` (class indices or standardised numbers).

    Where rows do not count alike they have positive weights, ``[N]``.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def total_weight(self) -> Tensor | int:
        """How many rows these count as."""
        return len(self) if self.weights is None else self.weights.sum()

    def take(self, index: Tensor | slice) -> RowTensors:
        """The rows at ``index``; of a slice they are views."""
        weights = None if self.weights is None else self.weights[index]
        return RowTensors(self.inputs[index], self.targets[index], weights)

    def spread(self, most: int) -> RowTensors:
        """All rows, or ``most`` of them at even distances: a table may be sorted."""
        index = torch.linspace(0, len(self) - 1, min(len(self), most), dtype=torch.float64).round().long()
        return self.take(index)


def to_tensors(rows: Rows, device: str, dtype: torch.dtype) -> RowTensors:
    """Prepared rows as tensors; on the CPU in float32 they share the arrays' memory."""
    with warnings.catch_warnings():
        # Arrays out of Ray's object store are read-only; nothing here writes to its rows.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        inputs, targets = torch.from_numpy(rows.inputs), torch.from_numpy(rows.targets)
        weights = None if rows.weights is None else torch.from_numpy(rows.weights).to(device, dtype)
    targets = targets.to(device, dtype) if targets.is_floating_point() else targets.to(device)
    return RowTensors(inputs.to(device, dtype), targets, weights)
