"""What asking for configurations costs: share of a round's wall time at 100, 1 000 and 5 000 trials.

Every ask and tell is the real sampler's, on seven leaves, with observations at one to four rungs per trial as ASHA
leaves them; each ask is timed. Eight workers then train by a simulated clock, trials of one second and of a tenth of
one: a worker that is free waits until its configuration is there. Asked when needed, it waits for the whole ask; asked
ahead (runners/asking.py), the ask began when the configuration before it was handed out.

    python bench/sampling_cost.py               # tpe against random, about three minutes
    python bench/sampling_cost.py --sampler gp --trials 100
"""

from __future__ import annotations

import argparse
import heapq
import time
from collections.abc import Sequence

import numpy as np

from search_service.samplers.registry import SAMPLERS
from search_service.samplers.sampler import Sampler
from search_service.space.ranges import Choices, NumericRange
from trainables.config import TrialConfig

WORKERS = 8
TRIAL_SECONDS = (1.0, 0.1)
# As a config would have them: four real numbers, two whole ones, a choice.
SPACE = {
    "optimizer.lr": NumericRange(1e-4, 1e-1, log=True),
    "optimizer.weight_decay": NumericRange(1e-6, 1e-1, log=True),
    "optimizer.beta1": NumericRange(0.8, 0.99),
    "network.dropout": NumericRange(0.0, 0.6),
    "batch_size": NumericRange(16, 512, log=True, integer=True),
    "schedule.warmup": NumericRange(0, 5, integer=True),
    "network.activation": Choices(("relu", "gelu", "tanh")),
}
# Share of the trials that go on at each rung.
SURVIVORS = 1 / 3


def ask_seconds(method: str, trials: int) -> list[float]:
    """How long each ask took."""
    sampler = Sampler(SPACE, TrialConfig(), method=method, mode="max", seed=0, most=trials)
    luck = np.random.default_rng(0)
    taken = []
    running: list[int] = []
    for _ in range(trials):
        started = time.perf_counter()
        (suggestion,) = sampler.ask(1)
        taken.append(time.perf_counter() - started)
        running.append(suggestion.number)
        if len(running) == WORKERS:
            number = running.pop(0)
            while luck.random() < SURVIVORS:
                sampler.observe(number, luck.random())
            sampler.tell(number, "pruned", luck.random())
    return taken


def wall_seconds(asks: Sequence[float], trial_seconds: float, *, ahead: bool) -> float:
    """From the first ask to the end of the last trial."""
    free = [0.0] * WORKERS
    # When the configuration that comes next is there, and when the sampler has nothing to do.
    idle, handed_out = 0.0, 0.0
    for ask in asks:
        wanted = heapq.heappop(free)
        began = max(idle, handed_out if ahead else wanted)
        idle = began + ask
        handed_out = max(wanted, idle)
        heapq.heappush(free, handed_out + trial_seconds)
    return max(free)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sampler", choices=list(SAMPLERS), default="tpe")
    parser.add_argument("--trials", type=int, nargs="*", default=[100, 1_000, 5_000])
    asked = parser.parse_args()
    heads = "  ".join(f"{f'trials of {seconds:g} s':>22}" for seconds in TRIAL_SECONDS)
    print(f"{'trials':>7}  {'sampler':<12}  {'ms per ask':>10}  {'the last':>8}  {heads}")
    print(f"{'':>41}  {'  '.join(f'{when:>22}' for when in ['when needed · ahead'] * len(TRIAL_SECONDS))}")
    for method in dict.fromkeys(("random", asked.sampler)):
        asks = ask_seconds(method, max(asked.trials))
        for trials in asked.trials:
            shares = []
            for seconds in TRIAL_SECONDS:
                none = wall_seconds([0.0] * trials, seconds, ahead=False)
                needed, ahead = (1 - none / wall_seconds(asks[:trials], seconds, ahead=a) for a in (False, True))
                shares.append(f"{needed:>13.1%} · {ahead:>6.1%}")
            last = np.mean(asks[max(0, trials - 50) : trials])
            print(
                f"{trials:>7}  {method:<12}  {1000 * np.mean(asks[:trials]):>10.1f}  {1000 * last:>8.1f}  "
                f"{'  '.join(shares)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
