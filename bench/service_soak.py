"""Studies back to back on the service for half an hour, with jobs and the service killed at random: what grows?

    python bench/service_soak.py                      # 30 minutes
    python bench/service_soak.py --minutes 5

A service on this machine runs short studies one after another, and beside them one long study whose driver, with
MLflow's client in it, lives all the time. Every half minute or so one of the short studies' jobs is killed; once,
halfway, the service, which is started again. Printed for each tenth of the time: memory of the service, of the long
study's driver and the most that a short study's driver had, open files and threads of the service; at the end what
became of the studies, and by how much memory grew from the second tenth to the last.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from search_service import Client
from search_service.errors import SearchServiceError

PARTS = 10
EVERY_S = 2.0
# Seconds between two kills, on average: a study of this size takes as long.
BETWEEN_KILLS_S = 30
# Studies that wait or run at any time, beside the long one.
WAITING = 3
SHORT = {
    "name": "short",
    "data": {"source": "wine"},
    "search": {
        "max_cycles": 1,
        "coarse": {"max_trials": 12, "max_epochs": 9},
        "refined": {"max_trials": 8, "max_epochs": 9},
    },
    "finalists": {"top": 1, "seeds": 2, "baselines": False},
}
# Trials that take a second each: thousands would be a driver's own memory, which keeps their curves.
LONG = {
    "name": "long",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}},
    "search": {
        "sampler": "random", "population_size": 1, "max_cycles": 1, "early_stopping": False,
        "coarse": {"max_trials": 5_000, "max_epochs": 300},
        "refined": {"max_trials": 1, "max_epochs": 300},
    },
}  # fmt: skip


class Service:
    """The service, in a process that may be killed and started again on the same port."""

    def __init__(self, home: Path) -> None:
        self._home, self._port = home, "0"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self._home / f"service-{time.time():.0f}.log"
        command = [sys.executable, "-m", "search_service", "serve", "--port", self._port, "--home", str(self._home)]
        environment = os.environ | {"SEARCH_SERVICE_RUNNER": "inline", "SEARCH_SERVICE_MAX_RUNNING": "2"}
        environment |= {"SEARCH_SERVICE_RESTART_DELAY_S": "0"}
        with log.open("wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
        while "Press CTRL+C" not in log.read_text():
            time.sleep(0.1)
        self.url = re.findall(r"http://127\.0\.0\.1:\d+", log.read_text())[-1]
        self._port = self.url.rsplit(":", 1)[1]


def drivers(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Jobs that run, with the ids of their studies."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if str(home) in words and "--study" in words:
                yield words[words.index("--study") + 1], process


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=30)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        home = Path(folder)
        service = Service(home)
        service.start()
        try:
            soak(service, home, given.minutes * 60, random.Random(given.seed))
        finally:
            for _, process in list(drivers(home)):
                process.kill()
            assert service.process is not None
            service.process.kill()
            service.process.wait()


def soak(service: Service, home: Path, seconds: float, draw: random.Random) -> None:
    """Keep the queue filled, kill, and look."""
    client = Client(service.url)
    long = client.submit(LONG).id
    began, kills, submitted = time.monotonic(), 0, 0
    next_kill, is_restarted = draw.expovariate(1 / BETWEEN_KILLS_S), False
    seen: dict[str, list[float]] = {name: [] for name in ("service", "long", "short")}
    rows: list[dict[str, float]] = []
    titles = {"minute": 6, "service MB": 11, "files": 6, "threads": 8, "long driver MB": 15, "short, most MB": 15}
    titles |= {"trials of long": 15, "studies over": 13, "kills": 6}
    print(" ".join(f"{title:>{width}}" for title, width in titles.items()))
    while (now := time.monotonic() - began) < seconds:
        states = [study.state for study in client.studies(name="short", limit=200).items]
        if sum(state in ("pending", "checking", "searching", "finishing") for state in states) < WAITING:
            client.submit(SHORT)
            submitted += 1
        jobs = list(drivers(home))
        for study, process in jobs:
            with contextlib.suppress(psutil.Error):
                seen["long" if study == long else "short"].append(process.memory_info().rss / 2**20)
        assert service.process is not None
        seen["service"].append(psutil.Process(service.process.pid).memory_info().rss / 2**20)
        victims = [process for study, process in jobs if study != long]
        if now > next_kill and victims:
            next_kill = now + draw.expovariate(1 / BETWEEN_KILLS_S)
            with contextlib.suppress(psutil.Error):
                os.kill(draw.choice(victims).pid, draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
                kills += 1
        if now > seconds / 2 and not is_restarted:
            is_restarted = True
            service.process.kill()
            service.process.wait()
            service.start()
        if now > (len(rows) + 1) * seconds / PARTS:
            rows.append(note(client, service, home, long, now, kills, seen))
        time.sleep(EVERY_S)
    end(client, long, submitted, rows)


def note(
    client: Client, service: Service, home: Path, long: str, now: float, kills: int, seen: dict[str, list[float]]
) -> dict[str, float]:
    """Print what was seen since the last time."""
    assert service.process is not None
    process = psutil.Process(service.process.pid)
    row = {
        "service": seen["service"][-1],
        "long": seen["long"][-1] if seen["long"] else float("nan"),
        "short": max(seen["short"], default=float("nan")),
    }
    over = client.studies(states=["completed"], limit=1).total
    trials = client.study(long).trials
    print(
        f"{now / 60:6.1f} {row['service']:11.0f} {process.num_fds():6d} {process.num_threads():8d} {row['long']:15.0f} "
        f"{row['short']:15.0f} {trials:15d} {over:13d} {kills:6d}",
        flush=True,
    )
    for values in seen.values():
        values.clear()
    return row


def end(client: Client, long: str, submitted: int, rows: list[dict[str, float]]) -> None:
    """Let what is under way finish, and say what became of all."""
    with contextlib.suppress(SearchServiceError):
        client.cancel(long)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        page = client.studies(name="short", limit=200)
        if all(study.state in ("completed", "failed", "cancelled", "interrupted") for study in page.items):
            break
        time.sleep(1)
    states = [str(study.state) for study in page.items]
    print(f"\n{submitted} short studies: {json.dumps({state: states.count(state) for state in sorted(set(states))})}")
    lost = [study.id for study in page.items if study.state == "completed" and study.trials != 20]
    print(f"of those that completed, {len(lost)} without their 20 trials")
    for name, called in (("service", "the service"), ("long", "the long driver"), ("short", "short drivers, at most")):
        print(f"{called}: {rows[1][name]:.0f} MB in the second tenth, {rows[-1][name]:.0f} MB in the last")


if __name__ == "__main__":
    main()
