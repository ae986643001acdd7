"""The runners by name: what --runner, SEARCH_SERVICE_RUNNER and ``wiring.run`` may say.

A runner of one's own is registered before a study is run:

    RUNNERS["mine"] = RunnerKind("my cluster", make=lambda address: MyRunner())

Runners are imported when they are made: Ray and torch take seconds, which who only asks for help should not wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search_service.errors import InvalidSpecError, Problem
from trainables.machine import usable_cpus

if TYPE_CHECKING:
    # For their types alone: with the table's class comes torch, with a plan pydantic.
    from search_service.records.round_plan import Resources
    from search_service.runners.base import Runner

# What a report of a cohort takes beside training on Ray Tune, in seconds: its way through Tune, a checkpoint, ASHA's
# answer (docs/performance/rounds.md).
RAY_REPORT_S = 0.05
# What a task takes beside training, in seconds: its rows and results on their way, and the wait for an answer.
RAY_TASK_S = 0.4
# Ray's start and its workers' imports, so far as they are not over when the study begins (docs/performance/rounds.md).
RAY_START_SHARE = 0.6


def _one_at_a_time(resources: Resources) -> int:
    return 1


def _any_address(address: str) -> None:
    """Whoever makes the runner knows."""


@dataclass(frozen=True)
class RunnerKind:
    """What is known of a runner before it is made.

    Attributes:
        about: Where trials run, in a few words.
        make: Makes the runner; its argument is the address of an existing cluster, or None.
        joins_cluster: Whether an address of an existing cluster means anything to it.
        require_address: Raises InvalidSpecError of an address that cannot be one, before anything is imported or asked.
        concurrency: How many cohorts it would train at once on this machine, for what a plan of a study says.
        joined: How many the cluster trains at once whose address it was made with; None: as on this machine.
        report_s: Time that a report of a cohort takes beside training, in seconds.
        task_s: What a task takes beside training, likewise.
        start_share: Time until its workers are at the first round, as a share of what this process takes to start.
    """

    about: str
    make: Callable[[str | None], Runner]
    joins_cluster: bool = False
    require_address: Callable[[str], None] = _any_address
    concurrency: Callable[[Resources], int] = _one_at_a_time
    joined: Callable[[Resources], int] | None = None
    report_s: float = 0.0
    task_s: float = 0.0
    start_share: float = 0.0


def _inline(address: str | None) -> Runner:
    from search_service.runners.inline import InlineRunner

    return InlineRunner()


def _ray(address: str | None) -> Runner:
    from search_service.runners.ray_tune import RayTuneRunner

    return RayTuneRunner(address)


def _require_ray_address(address: str) -> None:
    """See to it that an address is ``auto``, ``local`` or ``HOST:PORT``.

    Raises:
        InvalidSpecError: It is another. Through Ray's client (``ray://``) Tune runs its loop on the cluster, where
            neither the study's journals nor its sampler are.
    """
    host, _, port = address.rpartition(":")
    if address in ("auto", "local") or (host and "//" not in host and port.isdigit()):
        return
    rule = "auto, or HOST:PORT of a cluster's head"
    fix = "give the port that ray start --head has named, 6379 unless told otherwise"
    if address.startswith("ray://"):
        rule += "; Ray's client would run the search away from the study's files"
        fix = "give HOST:6379 on a machine of the cluster, or submit to a service in front of it (docs/deploy.md)"
    raise InvalidSpecError([Problem("--ray-address", address, rule, fix)])


def _as_many_as_fit(resources: Resources) -> int:
    """Cohorts that a Ray on this machine would train at once."""
    import torch

    slots = usable_cpus() // resources.cpus_per_trial
    if resources.gpus_per_trial > 0:
        slots = min(slots, torch.cuda.device_count() // resources.gpus_per_trial)
    return max(1, int(min(slots, resources.max_concurrent_trials or slots)))


def _as_many_as_the_cluster_holds(resources: Resources) -> int:
    """Cohorts that the Ray which this process has joined trains at once."""
    from search_service.runners.ray_tune import cluster

    slots = cluster.slots_of(resources)
    return max(1, min(slots, resources.max_concurrent_trials or slots))


RUNNERS: dict[str, RunnerKind] = {
    "inline": RunnerKind("this process, no Ray", _inline),
    "ray": RunnerKind(
        "Ray Tune",
        _ray,
        joins_cluster=True,
        require_address=_require_ray_address,
        concurrency=_as_many_as_fit,
        joined=_as_many_as_the_cluster_holds,
        report_s=RAY_REPORT_S,
        task_s=RAY_TASK_S,
        start_share=RAY_START_SHARE,
    ),
}


def runner_kind(name: str, address: str | None = None) -> RunnerKind:
    """What is known of a runner, by its name.

    Args:
        name: As it is registered.
        address: Of the cluster that it is to join.

    Raises:
        InvalidSpecError: There is none of that name, or it is no address of its cluster.
    """
    if name not in RUNNERS:
        rule = f"one of {', '.join(RUNNERS)}"
        fix = "choose one, or register your own in search_service.RUNNERS"
        raise InvalidSpecError([Problem("runner", name, rule, fix)])
    kind = RUNNERS[name]
    if address is not None:
        kind.require_address(address)
    return kind
