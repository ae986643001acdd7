"""Learning-rate schedules: by which factor each member's rate is multiplied at time t.

Time is counted in whole epochs or in parameter updates, from 0. During warm-up (w units) the factor rises as
(t + 1)/w; from then on s = t - w counts, and the factor is

- none: 1
- step: f^⌊s/n⌋, f the drop and n the units between drops
- exponential: fˢ
- inverse_time: 1 / (1 + k s)
- linear: 1 - (1 - e) min(s/T, 1), e the share left at the end and T the duration
- cosine: e + (1 - e) (1 + cos(π min(s/T, 1))) / 2

Reference: ``StepLR``, ``ExponentialLR``, ``LambdaLR``, ``LinearLR`` and ``CosineAnnealingLR`` of torch.optim.

>>> from trainables.config import TrialConfig
>>> config = TrialConfig().replace({"schedule.name": "step", "schedule.every": 2, "schedule.factor": 0.5})
>>> schedule = Schedule([config], total=6)
>>> [schedule.factor(t).item() for t in range(6)]
[1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from trainables.choices import ScheduleName
from trainables.config import TrialConfig

# Factors are computed for so many units at once: one by one they would cost a small network a quarter of its step.
_BLOCK = 256

# A member's numbers by name, [K, 1] each.
Numbers = Mapping[str, Tensor]


def _share_done(s: Tensor, numbers: Numbers) -> Tensor:
    return (s / numbers["duration"]).clamp(max=1.0)


# (units since the warm-up [..., K, 1], numbers) -> factor [..., K, 1]
SHAPES: Mapping[ScheduleName, Callable[[Tensor, Numbers], Tensor]] = {
    "none": lambda s, numbers: torch.ones_like(s),
    "step": lambda s, numbers: numbers["factor"] ** torch.floor(s / numbers["every"]),
    "exponential": lambda s, numbers: numbers["factor"] ** s,
    "inverse_time": lambda s, numbers: 1.0 / (1.0 + numbers["rate"] * s),
    "linear": lambda s, numbers: 1.0 - (1.0 - numbers["end"]) * _share_done(s, numbers),
    "cosine": lambda s, numbers: (
        numbers["end"] + (1.0 - numbers["end"]) * 0.5 * (1.0 + torch.cos(math.pi * _share_done(s, numbers)))
    ),
}


class Schedule:
    """The schedule of a population: one shape and unit, numbers per member.

    Args:
        configs: One per member.
        total: Units of the whole training, which a schedule without a duration of its own spans; None if nobody
            knows.
        device: The factors' device.

    Attributes:
        unit: ``epochs`` or ``steps``.
        is_constant: Whether the factor is always 1, for every member.

    Raises:
        ValueError: A schedule has to span the training, and ``total`` is None.
    """

    def __init__(self, configs: Sequence[TrialConfig], *, total: int | None, device: str = "cpu") -> None:
        self.unit = configs[0].schedule.unit
        self._shape = SHAPES[configs[0].schedule.name]
        self.is_constant = all(c.schedule.name == "none" and c.schedule.warmup == 0 for c in configs)

        def per_member(values: Sequence[float]) -> Tensor:  # -> [K, 1]
            return torch.tensor(values, dtype=torch.float64, device=device).view(-1, 1)

        self._numbers = {
            name: per_member([getattr(config.schedule, name) for config in configs])
            for name in ("warmup", "every", "factor", "rate", "end")
        }
        self._device, self._block = device, -1
        self._numbers["duration"] = per_member([self._duration(config, total) for config in configs])

    @staticmethod
    def _duration(config: TrialConfig, total: int | None) -> int:
        schedule = config.schedule
        if schedule.duration is not None or schedule.name not in ("linear", "cosine"):
            return schedule.duration or 1
        if total is None:
            raise ValueError(f"a {schedule.name} schedule without a duration needs the length of the training")
        return max(1, total - schedule.warmup)

    def factor(self, t: int) -> Tensor:
        """Factor of each member's learning rate at time ``t``, ``[K, 1]`` in float64."""
        block, at = divmod(t, _BLOCK)
        if block != self._block:
            times = torch.arange(block * _BLOCK, (block + 1) * _BLOCK, dtype=torch.float64, device=self._device)
            self._block, self._factors = block, self._compute(times.view(-1, 1, 1))
        return self._factors[at]

    def _compute(self, t: Tensor) -> Tensor:
        """Factors at the times ``[T, 1, 1]``: ``[T, K, 1]``."""
        warmup = self._numbers["warmup"]
        since = t - warmup
        rising = (t + 1) / warmup.clamp(min=1.0)
        return torch.where(since < 0, rising, self._shape(since.clamp(min=0.0), self._numbers))

    def keep(self, members: Tensor) -> None:
        """Reduce to ``members`` (indices, ``[K']``)."""
        self._numbers = {name: value.index_select(0, members) for name, value in self._numbers.items()}
        self._block = -1
