"""A step recorded on a CPU: the tensor operations that it came down to, to be done again on the same tensors.

What a CUDA graph does on a GPU: whatever Python decided while it was recorded stays decided.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from trainables.recorded_step import Step
from trainables.row_tensors import RowTensors
from trainables.training import PopulationTraining


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> dict[int, torch.Tensor]:
        """What has come of each result that was recorded, by its id."""
        now: dict[int, torch.Tensor] = {}

        def as_now(value: Any) -> Any:
            return now.get(id(value), value)

        for func, args, kwargs, recorded in self.calls:
            results = func(*tree_map(as_now, args), **tree_map(as_now, kwargs))
            for then, again in zip(tree_leaves(recorded), tree_leaves(results), strict=True):
                if isinstance(then, torch.Tensor):
                    now[id(then)] = again
        return now


class TapedStep:
    """In place of ``recorded_step._Recording``; recording it trains nothing."""

    def __init__(self, compute: Step, batch: RowTensors, masks: torch.Generator) -> None:
        weights = None if batch.weights is None else batch.weights.clone()
        self._batch = RowTensors(batch.inputs.clone(), batch.targets.clone(), weights)
        training: PopulationTraining = compute.__self__  # type: ignore[attr-defined]
        state = [*training.network._state(), *training.optimizer.state.values()]
        before, masks_before = [tensor.clone() for tensor in state], masks.get_state()
        self._tape = _Tape()
        with self._tape:
            self._losses = compute(self._batch)
        for tensor, value in zip(state, before, strict=True):
            tensor.copy_(value)
        masks.set_state(masks_before)

    def replay(self, batch: RowTensors) -> torch.Tensor:
        for own, new in zip(
            (self._batch.inputs, self._batch.targets, self._batch.weights),
            (batch.inputs, batch.targets, batch.weights),
            strict=True,
        ):
            if own is not None:
                own.copy_(new)
        return self._tape.replay()[id(self._losses)]
