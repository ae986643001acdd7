"""Rounds on Ray Tune, which no other room knows; service/ray_jobs.py knows Ray Jobs.

One Tune trial trains one cohort, or does one task. Tune places it on CPUs and GPUs, keeps several going, and restarts
it when a worker or a node is lost. What Tune is not asked to do, and why (docs/decisions/runners.md):

- ASHA is in an actor around brackets.py: members of a cohort are judged one by one, and rungs survive a restart.
- Checkpoints are kept by that actor (runners/coordinator.py), on the driver's disk: no other machine has to see it.
- Sampling is a Searcher around RoundBook: every member's fate is told truthfully.
- Nothing is logged by Tune: the driver's listener hears everything.
- Its workers do not end with a round: one run of Tune serves all of a study.

A Ray that was started here and loses its raylet or its GCS is started again, and the round goes on from its journals.

``runner.py`` has the runner, ``experiment.py`` the run of Tune and its workers, ``work.py`` what they are to do,
``tune_side.py`` what Tune calls in the driver, ``worker.py`` what it calls in a worker.
"""

from __future__ import annotations

import os

# Read by Ray at import.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# CSV, JSON and TensorBoard files that nobody reads.
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
# Tune would swallow Ctrl-C and return half a round as if it were whole.
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
# All trials' state, again and again, of which only the first and the last writing remain: nothing reads it.
os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "inf"
# The newer console output prints a table and a path even when it is told to be silent.
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
# Ray's coming default, taken now: it warns at every start otherwise.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

from search_service.runners.ray_tune.cluster import head_of
from search_service.runners.ray_tune.runner import RayTuneRunner

__all__ = ["RayTuneRunner", "head_of"]
