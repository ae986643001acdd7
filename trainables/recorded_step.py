"""A training step as a CUDA graph: recorded once, replayed from then on.

Why: a step of a population is some fifty kernels of a few microseconds each, and starting them one after the other
takes longer than running them. A graph starts them all at once.
A graph works on the same memory every time. A batch is copied to where the recorded one lay; what changes from step to
step (the rate, how many updates there were, the masks' generator) stands on the device and is changed there; and when
members are dropped, which moves everything, one begins anew.
Source: "Accelerating PyTorch with CUDA Graphs", pytorch.org, 2021; ``torch.cuda.graph``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trainables.row_tensors import RowTensors

# Trains on a batch and gives the losses [K].
Step = Callable[[RowTensors], Tensor]

# Batches of a size that are trained on before one is recorded: recording takes as long as this many steps, about (3 to
# 5 ms), and the kernels' first runs allocate memory and choose algorithms, which no recording can.
UNRECORDED = 6
# Numbers of a step's parameters and activations up to which it is recorded. Beyond, kernels take so long that starting
# them is not to be seen, and a recording would hold its memory beside what evaluation needs.
RECORDED_UP_TO = 2**24


class RecordedStep:
    """The step of one population: of each size of batch a recording of its own.

    Args:
        masks: What the step draws from.
    """

    def __init__(self, masks: torch.Generator) -> None:
        self._masks = masks
        self._met: dict[int, int] = {}
        self._recordings: dict[int, _Recording] = {}

    def run(self, compute: Step, batch: RowTensors) -> Tensor:
        """What ``compute`` does with ``batch``, from a recording of it once there is one.

        Args:
            compute: The same one every time, on the same tensors. It is not kept: whoever owns this owns it, too, and
                a ring of references would hold the device's memory until Python looks for rings.
            batch: What is trained on.

        Returns:
            Losses ``[K]``.
        """
        rows = len(batch)
        if rows not in self._recordings:
            self._met[rows] = self._met.get(rows, 0) + 1
            if self._met[rows] <= UNRECORDED:
                return compute(batch)
            self._recordings[rows] = _Recording(compute, batch, self._masks)
        return self._recordings[rows].replay(batch)


class _Recording:
    """One graph; recording it trains nothing."""

    def __init__(self, compute: Step, batch: RowTensors, masks: torch.Generator) -> None:
        weights = None if batch.weights is None else batch.weights.clone()
        self._batch = RowTensors(batch.inputs.clone(), batch.targets.clone(), weights)
        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(masks)
        # thread_local: what other threads of this process do on the device meanwhile is no matter of the recording.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._losses = compute(self._batch)

    def replay(self, batch: RowTensors) -> Tensor:
        own = self._batch
        own.inputs.copy_(batch.inputs)
        own.targets.copy_(batch.targets)
        if own.weights is not None and batch.weights is not None:
            own.weights.copy_(batch.weights)
        self._graph.replay()
        # The next replay writes into the same tensor.
        return self._losses.clone()
