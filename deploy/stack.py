"""What `make up` does beside docker compose: write .env, check it, wait for the service, say where things are.

    python3 deploy/stack.py secrets     make .env where there is none, and check its secrets
    python3 deploy/stack.py ready       wait, then print addresses

Needs Python 3.9 and nothing else.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
import urllib.request
from pathlib import Path

import entrypoint

REPOSITORY = Path(__file__).resolve().parent.parent
# Bytes of a secret.
SECRET_BYTES = 32
# Seconds that the service may take after its containers were started.
PATIENCE_S = 180


def read(path: Path) -> dict[str, str]:
    """The variables of an env file; what is commented out is not there."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def required(folder: Path) -> list[str]:
    """The secrets: what .env.example leaves empty."""
    return [name for name, value in read(folder / ".env.example").items() if not value]


def write_secrets(folder: Path) -> bool:
    """Make .env of .env.example with random secrets, readable by its owner; whether there was none."""
    names = required(folder)
    lines = (folder / ".env.example").read_text(encoding="utf-8").splitlines()
    filled = [
        line + secrets.token_urlsafe(SECRET_BYTES) if line.rstrip("=") in names and line.endswith("=") else line
        for line in lines
    ]
    try:
        # Made with its mode, and never over an existing file.
        descriptor = os.open(folder / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(filled) + "\n")
    return True


def problems(folder: Path) -> list[str]:
    """What is wrong with the secrets of .env, a sentence each."""
    given = read(folder / ".env")
    found = {name: entrypoint.problem(given.get(name, "")) for name in required(folder)}
    return [f"{name} {what}" for name, what in found.items() if what]


def ready(folder: Path) -> int:
    """Wait until the service answers and say where everything is; an exit code."""
    # What the shell has wins over .env, as it does in docker compose.
    given = {**read(folder / ".env"), **os.environ}
    service, mlflow, ray = (
        f"http://127.0.0.1:{given.get(name) or port}"
        for name, port in {"SERVICE_PORT": 8000, "MLFLOW_PORT": 5000, "RAY_DASHBOARD_PORT": 8265}.items()
    )
    if not _answers(f"{service}/healthz"):
        print(
            f"{service} does not answer after {PATIENCE_S} s. Look at: docker compose ps; docker compose logs service"
        )
        return 1
    print(
        f"\n  service       {service}    (API: {service}/docs)"
        f"\n  MLflow        {mlflow}"
        f"\n  Ray           {ray}    (asks for RAY_AUTH_TOKEN)"
        "\n  admin token   grep SEARCH_SERVICE_ADMIN_TOKEN .env"
        "\n  stop          make down    (studies and records stay)\n"
    )
    return 0


def _answers(url: str) -> bool:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except OSError:
            time.sleep(1)
    return False


def main() -> int:
    """Do what was asked for."""
    if sys.argv[1:] == ["ready"]:
        return ready(REPOSITORY)
    if sys.argv[1:] != ["secrets"]:
        print(__doc__)
        return 2
    if write_secrets(REPOSITORY):
        print("Wrote .env with new secrets.")
    wrong = problems(REPOSITORY)
    for line in wrong:
        print(f".env: {line}")
    if wrong:
        print("Fix: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'")
    return 2 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
