#!/usr/bin/env python3
"""Health check: exit code 0 if an address answers 200. Python, since slim images have no curl.

    healthy.py URL                      with Ray's token, if the environment has one
    healthy.py URL --restart-after 6    the sixth failure in a row ends the container, and Docker starts it again

Docker marks a container as unhealthy and leaves it at that; Ray's dashboard, which answers the Jobs API, can hang while
the head goes on.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import urllib.request
from pathlib import Path

# Seconds: less than the health check's own timeout, so that a failure is counted here.
TIMEOUT_S = 8.0
FAILURES = Path("/tmp/failed-health-checks")


def answers(url: str) -> bool:
    """Whether the address answers with success."""
    request = urllib.request.Request(url)
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):
            return True
    except OSError as error:
        print(f"{url}: {error}", file=sys.stderr)
        return False


def main() -> None:
    """Ask once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--restart-after", type=int, metavar="FAILURES")
    asked = parser.parse_args()
    if answers(asked.url):
        FAILURES.unlink(missing_ok=True)
        return
    failures = int(FAILURES.read_text()) + 1 if FAILURES.exists() else 1
    FAILURES.write_text(str(failures))
    if asked.restart_after is not None and failures >= asked.restart_after:
        FAILURES.unlink()
        # The first process of the container.
        os.kill(1, signal.SIGTERM)
    sys.exit(1)


if __name__ == "__main__":
    main()
