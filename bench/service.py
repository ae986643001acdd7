"""The service under load: how long answers take, how many may follow, and whether a queue loses anything.

    python bench/service.py                 # answers and followers: about a minute
    python bench/service.py --queue         # and 20 real studies, three at a time: several minutes more

Everything runs in one service on this machine (SQLite, or ``--database`` for a PostgreSQL), with clients in another
process, over HTTP.

    answers      p50 and p95 in ms of each GET route, with so many studies stored, one caller after another and eight
                 at once. Promise: p95 at most 50 ms.
    followers    so many clients follow one study while it runs. Printed: events that each has heard, and the time from
                 an event's writing to the last client's hearing of it.
    queue        studies of different priorities submitted at once. Printed: the order in which they began, how they
                 ended, and what became of their trials.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from search_service import Client
from search_service.service import migrations
from search_service.service.states import State
from search_service.service.store import NewStudy, Store

STUDIES, TRIALS, FOLLOWERS, QUEUE, AT_ONCE = 1_000, 50, 200, 20, 3
TOKEN = "a-token-for-the-benchmark-only"
ROUND = {"max_trials": 4, "max_epochs": 9}
WINE = {
    "name": "wine",
    "data": {"source": "wine"},
    "search": {"coarse": ROUND, "refined": ROUND, "max_cycles": 1},
    "finalists": {"top": 1, "seeds": 2, "baselines": False},
}
FOLLOWED = WINE | {"name": "followed", "search": {"coarse": {"max_trials": 100, "max_epochs": 27}, "max_cycles": 1}}


@contextmanager
def service(home: Path, database: str) -> Iterator[str]:
    """The address of a service in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "SEARCH_SERVICE_ADMIN_TOKEN": TOKEN,
        "SEARCH_SERVICE_RUNNER": "inline",
        "SEARCH_SERVICE_MAX_RUNNING": str(AT_ONCE),
        "SEARCH_SERVICE_DATABASE_URL": database,
        "SEARCH_SERVICE_REQUESTS_PER_MINUTE": "1000000",
    }
    command = [sys.executable, "-m", "search_service", "serve", "--home", str(home), "--port", str(port)]
    with (home / "service.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{url}/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def entries(trials: int) -> list[dict[str, Any]]:
    """What a study's job writes: a beginning and its trials."""
    begin = [{"type": "study_started", "metric": "accuracy", "page": "/#/experiments/1"}]
    rounds = [{"type": "round_started", "round": 1, "step": 4}]
    return begin + rounds + [entry(number) for number in range(trials)]


def entry(number: int) -> dict[str, Any]:
    return {
        "type": "trial_finished", "trial": f"r1-{number:03d}", "round": 1, "status": "completed", "reason": "trained",
        "score": (number * 37 % 100) / 100, "best_epoch": 5, "epochs": 9, "worker": "host:1",
        "values": {"optimizer.lr": 0.01, "network.dropout": 0.1, "optimizer.weight_decay": 0.1}, "at": time.time(),
    }  # fmt: skip


def fill(store: Store) -> str:
    """Store studies that have ended; returns one of them."""
    for number in range(STUDIES):
        new = NewStudy(f"stored-{number}", f"table-{number % 40}", "ada", WINE, metric="accuracy")
        study = store.add_study(new)[0]
        begun = store.begin_next(10**6)
        assert begun is not None
        store.take_in(study.id, entries(TRIALS), begin=0, end=1)
        result = {"best": {"trial_id": "r1-001", "validation_mean": 0.9, "config": {"optimizer.lr": 0.1}}}
        store.end_attempt(begun[1], "done", state=State.COMPLETED, report="text " * 500, result=result)
    return study.id


def answers(url: str, study: str) -> None:
    """Print how long each GET route takes."""
    of = f"/api/v1/studies/{study}"
    routes = ["/api/v1/studies", "/api/v1/studies?limit=200", "/api/v1/studies?name=table-7&sort=-best_score", of]
    routes += [f"{of}/{what}" for what in ("checks", "trials", "best", "report")]
    routes += ["/api/v1/datasets", "/api/v1/tokens", "/healthz", "/readyz", "/metrics"]
    print(f"{STUDIES} studies of {TRIALS} trials stored; ms, alone and eight at once")
    print(f"{'GET':<50} {'p50':>6} {'p95':>6}   {'p50':>6} {'p95':>6}")
    for route in routes:
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}) as client:

            def call(_: int, route: str = route, client: httpx.Client = client) -> float:
                started = time.perf_counter()
                client.get(route).raise_for_status()
                return 1000 * (time.perf_counter() - started)

            alone = [call(n) for n in range(200)]
            with ThreadPoolExecutor(8) as pool:
                together = list(pool.map(call, range(400)))
        shown = route.replace(study, "ID")
        figures = [np.quantile(of, q) for of in (alone, together) for q in (0.5, 0.95)]
        print(f"{shown:<50} {figures[0]:>6.1f} {figures[1]:>6.1f}   {figures[2]:>6.1f} {figures[3]:>6.1f}")


async def follow(client: httpx.AsyncClient, study: str) -> list[tuple[float, float]]:
    """When each event was written, and when it was heard."""
    heard: list[tuple[float, float]] = []
    async with client.stream("GET", f"/api/v1/studies/{study}/events") as answer:
        async for line in answer.aiter_lines():
            if line == "event: end":
                return heard
            if line.startswith("data: "):
                heard.append((datetime.fromisoformat(json.loads(line[6:])["at"]).timestamp(), time.time()))
    return heard


async def followers(url: str) -> None:
    """Print what each follower of a real study has heard, and how late."""
    with Client(url, TOKEN) as own:
        study = own.submit(FOLLOWED).id
    limits = httpx.Limits(max_connections=FOLLOWERS + 10)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120, limits=limits) as client:
        heard = await asyncio.gather(*(follow(client, study) for _ in range(FOLLOWERS)))
    counts = Counter(map(len, heard))
    print(f"\n{FOLLOWERS} followers of one study: events heard by each, and how many heard so many: {dict(counts)}")
    last = [max(then - at for at, then in of) for of in zip(*heard, strict=False)]
    print(f"from writing to the last follower's hearing: median {np.median(last):.2f} s, longest {max(last):.2f} s")


def queue(url: str, home: Path) -> None:
    """Print how a queue of real studies went."""
    started = time.perf_counter()
    with Client(url, TOKEN) as client:
        priorities = {client.submit(WINE | {"seed": n}, priority=n % 5).id: n % 5 for n in range(QUEUE)}
        most = 0
        while len(done := [s for s in client.studies(limit=200, name="wine").items if s.has_ended]) < QUEUE:
            running = client.studies(states=["checking", "searching", "finishing"]).total
            most = max(most, running)
            time.sleep(0.5)
    begun = [priorities[s.id] for s in sorted(done, key=lambda s: s.started_at or s.submitted_at)]
    print(f"\n{QUEUE} studies, {AT_ONCE} at a time, in {time.perf_counter() - started:.0f} s; most at once {most}")
    print(f"ended {dict(Counter(str(s.state) for s in done))}, trials {sorted({s.trials for s in done})}")
    print(f"priorities in the order in which they began: {begun}")
    late = sum(later > earlier for earlier, later in zip(begun[AT_ONCE:], begun[AT_ONCE + 1 :], strict=False))
    print(f"after the first {AT_ONCE}, which began while others were still being submitted, out of order: {late}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queue", action="store_true", help="also 20 real studies")
    parser.add_argument("--database", help="SQLAlchemy URL of an empty database; default: SQLite")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        database = asked.database or f"sqlite:///{home / 'service.db'}"
        store = Store(database)
        migrations.upgrade(store.engine)
        study = fill(store)
        store.close()
        with service(home, database) as url:
            answers(url, study)
            asyncio.run(followers(url))
            if asked.queue:
                queue(url, home)


if __name__ == "__main__":
    main()
