"""What small files that unpack to gigabytes do to the service: its memory, the time to an answer, and everybody else's.

    python bench/service_bombs.py           # about a minute

A service in a process of its own with its default limits, and a client that uploads each file and has a config checked
with it, while another asks /healthz every 20 ms. Promise: at most 100 MB more of memory, an answer within 5 s, /healthz
within 1 s meanwhile.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
from bombs import hidden_in_a_dictionary, lying_npz, npz, parquet, wide_csv

# An archive of the largest size that 2 MB can hold: 1.6 GB once unpacked.
LARGE_ROWS = 2_000_000
BOMBS = {
    "Parquet, 50 M rows × 2": (parquet, "parquet"),
    "NPZ, 1.6 GB unpacked": (lambda: npz(LARGE_ROWS), "npz"),
    "NPZ, a shape of 10⁹ × 1000": (lying_npz, "npz"),
    "CSV, 20 000 columns": (wide_csv, "csv"),
    "Parquet, 10 GB of one text": (hidden_in_a_dictionary, "parquet"),
}


class Watch:
    """How long /healthz takes at worst while the body runs."""

    def __init__(self, url: str) -> None:
        self._url, self._ended = url, threading.Event()
        self.worst_s = 0.0

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._ended.wait(0.02):
                began = time.perf_counter()
                client.get("/healthz").raise_for_status()
                self.worst_s = max(self.worst_s, time.perf_counter() - began)


def main() -> None:
    """Throw each bomb, and print what became of it."""
    with tempfile.TemporaryDirectory() as home:
        log = Path(home) / "log"
        command = [sys.executable, "-m", "search_service", "serve", "--port", "0", "--home", home]
        with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file, env=os.environ) as process:
            try:
                while "Press CTRL+C" not in log.read_text():
                    time.sleep(0.1)
                throw(re.findall(r"http://127\.0\.0\.1:\d+", log.read_text())[-1], process.pid)
            finally:
                process.terminate()


def throw(url: str, pid: int) -> None:
    """Each bomb once, after a config that is fine: the first reads what all need."""
    with httpx.Client(base_url=url, timeout=400) as client:
        fine = {"name": "digits", "data": {"source": "digits"}}
        client.post("/api/v1/configs:validate", json=fine).raise_for_status()
        first = peak_mb(pid)
        print(f"The service has {first:.0f} MB.\n")
        print(f"{'file':28} {'KB':>6} {'answer':>7} {'s':>6} {'MB more':>8} {'healthz, worst s':>17}  in words")
        for name, (make, suffix) in BOMBS.items():
            content = make()
            before = peak_mb(pid)
            with Watch(url) as watch:
                began = time.perf_counter()
                uploaded = client.post("/api/v1/datasets", params={"name": f"bomb.{suffix}"}, content=content).json()
                config = {"name": "bomb", "data": {"source": uploaded["source"], "target": "y"}}
                answer = client.post("/api/v1/configs:validate", json=config)
                seconds = time.perf_counter() - began
            said = answer.json()["problems"][0]["message"] if answer.status_code == 422 else answer.text[:80]
            print(
                f"{name:28} {len(content) / 1024:6.0f} {answer.status_code:7d} {seconds:6.2f} "
                f"{peak_mb(pid) - before:8.1f} {watch.worst_s:17.3f}  {said[:80]}",
                flush=True,
            )
        print(f"\nIn all {peak_mb(pid) - first:.0f} MB more than before the first.")


def peak_mb(pid: int) -> float:
    """The most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
