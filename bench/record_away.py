"""MLflow away, slow, broken or losing answers while a study runs: what does the study lose, and how much time?

    python -m bench.record_away             # some ten minutes

The same study five times, side by side on this machine, so that all share its load: before MLflow's own server stand
proxies of which one does nothing, one is away for 300 s, one takes 2 s longer for each call, one answers 500 for 60 s,
and one loses 30 % of the answers. Printed for each: seconds until the study was over, and until the command was; both
as a ratio to the undisturbed one; what of the invariants of tests/chaos does not hold; whether every number is that of
the undisturbed study.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.chaos.invariants import content, violations
from tests.chaos.proxy import Mode, Proxy
from tests.chaos.variants import VARIANTS
from tests.servers import RestartingServer

# Seconds from the beginning of the first round to the trouble: rounds have begun to be recorded.
AFTER_S = 10.0
# By name: what the server does, and for how many seconds; None for good.
TROUBLES: dict[str, tuple[Mode, float | None]] = {
    "undisturbed": ("well", None),
    "away-300-s": ("away", 300.0),
    "slow-by-2-s": ("slow", None),
    "broken-60-s": ("broken", 60.0),
    "loses-30-percent": ("lossy", None),
}
# A study that takes longer than the longest absence.
LONG = [
    "data.source=digits", "trial.network.hidden_sizes=[192,192]",
    "search.coarse.max_epochs=36", "search.refined.max_epochs=54", "search.early_stopping=false",
]  # fmt: skip


class Attempt:
    """One of the studies."""

    def __init__(self, name: str, folder: Path, proxy: Proxy) -> None:
        self.name, self.home, self._proxy = name, folder / name, proxy
        self.home.mkdir()
        config = self.home / "chaos.yaml"
        config.write_text(VARIANTS["inline-random-4"].spec)
        changes = [word for change in [f"name={name}", *LONG] for word in ("--set", change)]
        command = [sys.executable, "-m", "search_service", "run", str(config), "--runner", "inline", *changes]
        environment = os.environ | {"MLFLOW_TRACKING_URI": proxy.url, "OMP_NUM_THREADS": "1"}
        self.began = time.time()
        with (self.home / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--home", str(self.home)], stdout=log, stderr=log, env=environment
            )
        self.ended = 0.0

    def follow(self) -> None:
        """Make trouble when it is due, and wait for the end."""
        mode, seconds = TROUBLES[self.name]
        while not list(self.home.glob("studies/*/round-1/asked.jsonl")) and self.process.poll() is None:
            time.sleep(0.1)
        time.sleep(AFTER_S)
        self._proxy.mode = mode
        if seconds is not None:
            time.sleep(seconds)
            self._proxy.mode = "well"
        self.process.wait()
        self.ended = time.time()

    @property
    def folder(self) -> Path:
        """Of the study."""
        return next(self.home.glob("studies/*"))

    @property
    def over_s(self) -> float:
        """Seconds until the study was over."""
        return (self.folder / "ended.json").stat().st_mtime - self.began

    @property
    def command_s(self) -> float:
        """Seconds until the command was."""
        return self.ended - self.began


def main() -> None:
    """Run all five, complete what is missing, and look."""
    with tempfile.TemporaryDirectory(prefix="record-") as scratch:
        folder = Path(scratch)
        with RestartingServer(folder, whole_runs=False) as server:
            proxies = {name: Proxy(server.url, seed=number) for number, name in enumerate(TROUBLES)}
            for proxy in proxies.values():
                proxy.__enter__()
            attempts = [Attempt(name, folder, proxies[name]) for name in TROUBLES]
            threads = [threading.Thread(target=attempt.follow) for attempt in attempts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            report(attempts, server)
            for proxy in proxies.values():
                proxy.__exit__()


def report(attempts: list[Attempt], server: RestartingServer) -> None:
    """Print the table."""
    calm = attempts[0]
    numbers = content(calm.folder)
    titles = {"exit": 4, "over s": 7, "ratio": 6, "command s": 10, "ratio ": 6, "complete": 9}
    words = " ".join(f"{title.strip():>{width}}" for title, width in titles.items())
    print(f"{'MLflow':18} {words}  what does not hold")
    for one in attempts:
        is_complete = (one.folder / "recorded.json").exists()
        if not is_complete:
            command = [sys.executable, "-m", "search_service", "sync", one.folder.name, "--home", str(one.home)]
            environment = os.environ | {"MLFLOW_TRACKING_URI": server.url}
            subprocess.run(command, env=environment, check=True, capture_output=True)
        found = violations(one.home, server.url, numbers, one.name)
        print(
            f"{one.name:18} {one.process.returncode:4d} {one.over_s:7.0f} {one.over_s / calm.over_s:6.3f} "
            f"{one.command_s:10.0f} {one.command_s / calm.command_s:6.3f} {'yes' if is_complete else 'by sync':>9}  "
            f"{'; '.join(found[:3]) or 'nothing: same numbers, whole record'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
