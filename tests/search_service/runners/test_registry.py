"""One place says which runners there are: the command line, the service and ``run`` take their names from it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from search_service.cli.commands import app
from search_service.records.round_plan import Resources
from search_service.runners.registry import RUNNERS
from search_service.service.settings import ServiceSettings


def test_the_command_line_and_the_service_take_what_there_is():
    shown = CliRunner().invoke(app, ["run", "--runner", "slurm", "config.yaml"])
    assert shown.exit_code == 2
    assert all(repr(name) in shown.output for name in RUNNERS)
    assert [ServiceSettings(runner=name).runner for name in RUNNERS] == list(RUNNERS)
    with pytest.raises(ValidationError, match=r"'inline' or 'ray'"):
        ServiceSettings(runner="slurm")


def test_an_inline_run_trains_one_cohort_at_a_time_and_ray_as_many_as_fit():
    cpus = len(os.sched_getaffinity(0))
    inline, on_ray = RUNNERS["inline"].concurrency, RUNNERS["ray"].concurrency
    assert inline(Resources(max_concurrent_trials=8)) == 1
    assert on_ray(Resources()) == cpus
    assert on_ray(Resources(cpus_per_trial=0.5)) == 2 * cpus
    assert on_ray(Resources(max_concurrent_trials=1)) == 1
    # More than there is: one is tried all the same, and the runner says what is wrong.
    assert on_ray(Resources(cpus_per_trial=cpus + 1)) == 1


def test_names_of_runners_load_nothing_that_takes_long():
    heavy = {"ray", "torch", "mlflow", "pydantic"}
    code = f"import search_service.runners.registry, sys; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
