"""E1: a Ray that is too slow to start for itself, on a busy machine, is started again."""

from __future__ import annotations

import pytest

from search_service.errors import RunnerError
from search_service.runners.ray_tune import RayTuneRunner, starting

SLOW = "The current node timed out during startup. This could happen because some of the raylet failed to startup."


def beginning(monkeypatch, *errors: str) -> list[str | None]:
    """Have Ray fail to start with these, one after the other, and then start; the addresses that it was asked for."""
    asked, left = [], list(errors)

    def init(address, **options):
        asked.append(address)
        if left:
            raise Exception(left.pop(0))  # noqa: TRY002 (as Ray raises it)

    monkeypatch.setattr(starting.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(starting.ray, "init", init)
    return asked


@pytest.mark.parametrize("address", [None, "local"])
def test_e1_a_start_that_was_too_slow_is_tried_again(monkeypatch, caplog, address):
    asked = beginning(monkeypatch, SLOW, SLOW)
    runner = RayTuneRunner(address, num_cpus=1)
    if address is None:  # The other is at once.
        runner._start()
    assert asked == ["local"] * 3
    assert caplog.text.count("It is tried again") == 2


@pytest.mark.parametrize(("errors", "tries"), [([SLOW] * 9, starting.MOST_STARTS), (["no room in /dev/shm"], 1)])
def test_e1_but_not_for_ever_and_not_for_another_reason(monkeypatch, errors, tries):
    asked = beginning(monkeypatch, *errors)
    with pytest.raises(RunnerError, match="Ray cannot be reached or started on this machine"):
        RayTuneRunner(num_cpus=1)._start()
    assert len(asked) == tries
