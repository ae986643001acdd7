"""Whether this machine, a home and its record are fit for a study, and what to do about what is not well.

Nothing is started, changed or left behind: one looks at another's machine with it. ``machine.py`` looks at what is
installed, ``home.py`` at the home and its studies, ``others.py`` at a Ray cluster and a service;
``recorders/mlflow/condition.py`` looks at the record.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from search_service.cli.doctor import home, machine, others
from search_service.cli.installed import is_client_alone
from search_service.client import URL
from search_service.records.findings import Finding, State
from search_service.settings import Settings
from trainables.redaction import redact

# What matters where no study runs.
_OF_CLIENTS = (machine.VERSIONS, others.SERVICE, home.CLOCK)


def look(settings: Settings, *, ray_address: str | None = None, service: str | None = None) -> Iterator[Finding]:
    """Everything that was found, each as soon as it was looked at.

    Args:
        settings: They name the home and the record.
        ray_address: Address of a cluster that is to be joined; None where a study starts Ray itself.
        service: Address of a service; default: the variable SEARCH_SERVICE_URL, and none without it.
    """
    looks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        (machine.VERSIONS, machine.look_at_versions),
        (machine.PROCESSORS, machine.look_at_processors),
        (home.HOME, partial(home.look_at_home, settings)),
        (home.STUDIES, partial(home.look_at_studies, settings)),
        (others.RECORD, partial(others.look_at_record, settings)),
        (others.RAY, partial(others.look_at_ray, ray_address)),
        (machine.SHARED_MEMORY, machine.look_at_shared_memory),
        (others.SERVICE, partial(others.look_at_service, service)),
        (home.CLOCK, partial(home.look_at_clock, settings)),
    ]
    for name, one in looks:
        if is_client_alone() and name not in _OF_CLIENTS:
            continue
        try:
            yield from one()
        # Whatever is broken here, the others are still to be looked at: a package may be missing, a disk may fail.
        except Exception as error:
            words = redact(str(error), settings.record_uri, service or os.environ.get(URL, ""))
            text = f"this cannot be looked at: {type(error).__name__}: {words}"
            yield Finding(name, State.FAILED, text, "mend what the others say first, then look again")


def is_fit(findings: Iterable[Finding]) -> bool:
    """Whether a study would run."""
    return all(finding.state is not State.FAILED for finding in findings)
