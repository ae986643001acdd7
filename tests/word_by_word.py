"""Follow the README word by word, as someone does who has just found it (`make stranger`).

Clones what is committed into an empty folder, with an environment in which nothing of the project is set, and runs
every command that the README names in its order: its shell blocks, config and Python, the sentences about `predict`,
`make docs` and `make help`; then, where a Docker engine is, `make up` and the verbs of the service. The commands are
read from the README, so one that changes there is tried as it stands. Prints a line and the seconds for each, and exits
with 1 at the first that does something else than the README says. It takes some ten minutes, most of which pip and the
image need.

    python tests/word_by_word.py                          # all but `make test`, which CI runs
    python tests/word_by_word.py --build-network host     # where a build's own network reaches no package registry
    python tests/word_by_word.py --without-containers
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
# Of the environment of whoever runs this, so that nobody's service, record or packages are met.
_FOREIGN = ("SEARCH_SERVICE", "MLFLOW", "PYTHON", "VIRTUAL_ENV", "RAY_")
_KEPT = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
# Seconds for any one command: against hanging only.
PATIENCE_S = 1_800.0


class Stranger:
    """Types commands in a clone and looks at what they say."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone
        self.readme = (clone / "README.md").read_text(encoding="utf-8")
        self.environment = dict(_KEPT)

    def blocks(self, language: str) -> list[str]:
        """Code blocks of the README, in their order."""
        return re.findall(rf"```{language}\n(.*?)```", self.readme, re.DOTALL)

    def named(self, text: str) -> str:
        """`text`, which the README has to have word by word."""
        if text not in self.readme:
            raise SystemExit(f"The README no longer says {text!r}; this script has to follow it.")
        return text

    def types(self, command: str, *, exits: int = 0, says: str = "", **variables: str) -> str:
        """What a command prints; everything ends where it exits otherwise, or does not say `says` (a pattern)."""
        started = time.perf_counter()
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.clone,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        shown = " ".join(command.split())
        wrong = [] if done.returncode == exits else [f"exits with {done.returncode}, not {exits}"]
        wrong += [] if re.search(says, in_one_line(done.stdout)) else [f"does not say {says!r}"]
        if wrong:
            raise SystemExit(f"{shown}\n{', '.join(wrong)}:\n{done.stdout[-6_000:]}")
        print(f"{time.perf_counter() - started:6.0f} s  {shown}", flush=True)
        return done.stdout


def in_one_line(text: str) -> str:
    """Without the breaks that a terminal's width makes."""
    return " ".join(text.split())


def first_study_and_own_table(stranger: Stranger, *, tests: bool) -> None:
    """From "Two commands" to "Your own table"."""
    for line in stranger.blocks("sh")[0].splitlines():
        command = line.split("#")[0].strip()
        if command != "make test" or tests:
            stranger.types(command, says="Worth it" if command == "make run" else "")
    # The table of whoever reads it: numbers and words, a target called y.
    rows = (stranger.clone / "configs/iris.csv").read_text(encoding="utf-8").splitlines()
    (stranger.clone / "table.csv").write_text(
        "\n".join([rows[0].replace("species", "y"), *rows[1:]]) + "\n", encoding="utf-8"
    )
    (stranger.clone / "rows.csv").write_text("\n".join(rows[:4]) + "\n", encoding="utf-8")
    said = stranger.types(stranger.blocks("sh")[1], says="Worth it")
    study = re.search(r"table-\d{8}-\d{6}-\w+", said)
    assert study is not None, said
    (stranger.clone / "my-table.yaml").write_text(stranger.blocks("yaml")[0], encoding="utf-8")
    stranger.types(".venv/bin/search-service validate my-table.yaml")
    predict = stranger.named("search-service predict STUDY rows.csv")
    stranger.types(f".venv/bin/{predict.replace('STUDY', study[0])}", says="setosa")


def what_others_miss_and_more(stranger: Stranger) -> None:
    """The failing check in the words that stand there, the code, the site, the list of commands."""
    shown = next(block for block in stranger.blocks("text") if "could not memorise" in block)
    # Numbers differ from processor to processor in their last digits.
    pattern = re.sub(r"\d\\\.\d+", r"[\\d.e-]+", re.escape(in_one_line(shown))).replace(r"\ ", " ")
    failing = next(block for block in stranger.blocks("sh") if "sigmoid" in block)
    stranger.types(failing, exits=3, says=pattern)
    (stranger.clone / "example.py").write_text(stranger.blocks("python")[0], encoding="utf-8")
    stranger.types(".venv/bin/python example.py", says=r"0\.\d+")
    stranger.types(stranger.named("make docs"), says="site/index.html")
    stranger.types(stranger.named("make help"), says="make run")


def the_stack(stranger: Stranger, build_network: str) -> None:
    """`make up`, a study through the service from submission to report, `make down`; volumes are removed at the end."""
    if build_network:
        services = ("service", "mlflow", "ray-head", "ray-worker")
        override = {name: {"build": {"network": build_network}} for name in services}
        (stranger.clone / "docker-compose.override.yml").write_text(json.dumps({"services": override}))
    # Nobody's own stack, and free ports: what else differs is what the README says.
    ports = dict(zip(("SERVICE_PORT", "MLFLOW_PORT", "RAY_DASHBOARD_PORT"), map(str, free_ports(3)), strict=True))
    stranger.environment |= {"COMPOSE_PROJECT_NAME": "word-by-word", **ports}
    address = f"http://127.0.0.1:{ports['SERVICE_PORT']}"
    try:
        stranger.types(stranger.named("make up"), says=re.escape(address))
        token = re.search(r"(?m)^SEARCH_SERVICE_ADMIN_TOKEN=(.+)$", (stranger.clone / ".env").read_text())
        assert token is not None
        stranger.environment |= {"SEARCH_SERVICE_URL": address, "SEARCH_SERVICE_TOKEN": token[1]}
        with urllib.request.urlopen(f"{address}/", timeout=30) as page:
            assert "<html" in page.read().decode(), "the page is none"
        for verb in ("submit", "list", "logs", "stop", "resume"):
            stranger.named(f"`{verb}`")
        service = ".venv/bin/search-service"
        said = stranger.types(f"{service} submit table.csv --target y --follow", says="completed|Completed")
        study = re.search(r"table-\d{8}-\d{6}-\w+", said)
        assert study is not None, said
        stranger.types(f"{service} list", says=study[0])
        stranger.types(f"{service} logs {study[0]}", says="step 6|Step 6")
        stranger.types(f"{service} report {study[0]}", says="accuracy")
        # One that is stopped goes on where it was.
        second = json.loads(stranger.types(f"{service} submit table.csv --target y --set seed=1 --json"))["id"]
        stranger.types(f"{service} cancel {second}")
        stranger.types(f"{service} resume {second} --follow", says="completed|Completed")
        stranger.types("make down")
    finally:
        compose = "docker compose" if shutil.which("docker-compose") is None else "docker-compose"
        subprocess.run(
            f"{compose} down --volumes", shell=True, cwd=stranger.clone, env=stranger.environment, check=False
        )


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def main() -> None:
    """Follow it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with-tests", action="store_true", help="`make test` too, a quarter of an hour")
    parser.add_argument("--without-containers", action="store_true")
    parser.add_argument("--build-network", default="", metavar="NAME", help="of the image's build: host, for example")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "search-service"
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
        stranger = Stranger(clone)
        first_study_and_own_table(stranger, tests=asked.with_tests)
        what_others_miss_and_more(stranger)
        if not asked.without_containers:
            the_stack(stranger, asked.build_network)
    print("The README was followed word by word.")


if __name__ == "__main__":
    main()
