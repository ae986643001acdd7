"""What a release is tried with (`make wheels`): wheel and sdist in empty environments, on each Python that is here.

Builds both, then, for each Python: installs the client alone (timed and weighed), and from the sdist all of it; runs a
study of a table, starts a service, and has the client submit another one and follow it to its end. Prints a line per
Python, and exits with 1 where something is not as it should be. It takes minutes, most of which pip needs.

    python tests/wheels.py                     # the Pythons of PATH
    python tests/wheels.py python3.11 --clients /opt/python3.13/bin/python3    # of some the client alone
    python tests/wheels.py python3.11 --sbom sbom.json      # and a list of all that an installation consists of
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
CONSTRAINTS = REPOSITORY / "constraints.txt"
PYTHONS = ("python3.11", "python3.12", "python3.13")
# What the client may take: seconds, and bytes without pip itself.
MOST_SECONDS, MOST_BYTES = 15.0, 100e6
# Seconds until a service answers, and until a small study has ended: against hanging only.
PATIENCE_S = 300.0
# Of the environment of whoever runs this, so that nobody's service is met.
_FOREIGN = ("SEARCH_SERVICE", "MLFLOW", "PYTHON")
_KEPT = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def call(*command: str | Path, where: Path, **variables: str) -> str:
    """What a command prints; it ends everything where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=where,
        env={**_KEPT, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\nends with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """Wheel and sdist of what is committed and of what is not: a copy of the tree, without what is ignored."""
    tree = folder / "tree"
    tree.mkdir()
    listed = call("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", where=REPOSITORY)
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, tree / name)
    call(sys.executable, "-m", "venv", folder / "builder", where=folder)
    python = folder / "builder/bin/python"
    call(python, "-m", "pip", "install", "--quiet", "build", where=folder)
    call(python, "-m", "build", "--outdir", folder / "dist", tree, where=folder)
    (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


def weight(site: Path) -> int:
    """Bytes of what was installed, without pip itself."""
    return sum(
        path.stat().st_size
        for path in site.rglob("*")
        if path.is_file() and not path.relative_to(site).parts[0].startswith(("pip", "setuptools"))
    )


def install_client(python: str, wheel: Path, folder: Path) -> tuple[Path, float, int]:
    """The client's command, the seconds that installing it took, and its bytes."""
    call(python, "-m", "venv", folder, where=folder.parent)
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "-c", CONSTRAINTS]
    started = time.perf_counter()
    call(*pip, f"search-service[client] @ {wheel.as_uri()}", where=folder)
    seconds = time.perf_counter() - started
    (site,) = (folder / "lib").glob("python*/site-packages")
    return folder / "bin/search-service", seconds, weight(site)


def install_all(python: str, sdist: Path, folder: Path) -> Path:
    """The command of a whole installation."""
    call(python, "-m", "venv", folder, where=folder.parent)
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "-c", CONSTRAINTS]
    call(*pip, f"search-service[all] @ {sdist.as_uri()}", where=folder)
    return folder / "bin/search-service"


def write_sbom(environment: Path, to: Path, folder: Path) -> int:
    """Software bill of materials of a whole installation, CycloneDX as JSON; how many packages it names."""
    call(sys.executable, "-m", "venv", folder / "cyclonedx", where=folder)
    python = folder / "cyclonedx/bin/python"
    call(python, "-m", "pip", "install", "--quiet", "cyclonedx-bom", where=folder)
    listed = folder / "sbom.json"
    describe = [folder / "cyclonedx/bin/cyclonedx-py", "environment", "--output-reproducible", "--output-file", listed]
    call(*describe, "--pyproject", REPOSITORY / "pyproject.toml", environment / "bin/python", where=folder)
    shutil.copy(listed, to)
    packages = [component["name"] for component in json.loads(listed.read_text())["components"]]
    assert {"torch", "ray", "mlflow", "optuna"} <= set(packages), packages
    return len(packages)


def follow_a_study(client: Path, service: Path, folder: Path) -> str:
    """Serve from one installation, submit from another; the study's score."""
    with (folder / "serve.log").open("w+") as log:
        serving = subprocess.Popen(
            [str(service), "serve", "--port", "0", "--home", str(folder / "served")],
            cwd=folder,
            env=_KEPT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            address = _address(folder / "serve.log", serving)
            config = folder / "iris.yaml"
            table = json.dumps({"source": str(REPOSITORY / "configs/iris.csv"), "target": "species"})
            config.write_text(
                f"name: iris\ndata: {table}\nsearch: {{coarse: {{max_trials: 4, max_epochs: 3}}, "
                "refined: {max_trials: 4, max_epochs: 6}, max_cycles: 1}\nfinalists: {top: 1, seeds: 1}\n"
            )
            said = call(client, "submit", config, "--follow", where=folder, SEARCH_SERVICE_URL=address)
            study = re.search(r"iris-\d{8}-\d{6}-\w+", said)
            assert study is not None, said
            shown = call(client, "show", study[0], where=folder, SEARCH_SERVICE_URL=address)
            assert "completed" in shown, shown
            return study[0]
        finally:
            serving.terminate()
            serving.wait(PATIENCE_S)


def _address(log: Path, serving: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and serving.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            try:
                urllib.request.urlopen(f"{found[0]}/readyz", timeout=5).close()
                return found[0]
            except (urllib.error.URLError, OSError):
                pass
        time.sleep(0.2)
    raise SystemExit(f"the service does not answer:\n{log.read_text()}")


def main() -> None:
    """Every Python that was named, or is here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="*", help="default: those of PATH")
    parser.add_argument("--clients", nargs="*", default=[], metavar="PYTHON", help="the client alone, with the others'")
    parser.add_argument("--sbom", type=Path, metavar="FILE", help="of the first whole installation, as CycloneDX")
    asked = parser.parse_args()
    pythons = asked.pythons or [python for python in PYTHONS if shutil.which(python)]
    fine = bool(pythons)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel, sdist = build(folder)
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB; {sdist.name}: {sdist.stat().st_size / 1e6:.2f} MB")
        service: Path | None = None
        for number, python in enumerate([*pythons, *asked.clients]):
            own = folder / str(number)
            own.mkdir()
            client, seconds, size = install_client(python, wheel, own / "client")
            within = seconds <= MOST_SECONDS and size <= MOST_BYTES
            fine &= within
            said = f"client in {seconds:.0f} s and {size / 1e6:.0f} MB ({'as asked' if within else 'TOO MUCH'})"
            if number < len(pythons):
                started = time.perf_counter()
                service = install_all(python, sdist, own / "all")
                said += f"; all of it in {time.perf_counter() - started:.0f} s, and a study was run"
                call(service, "run", REPOSITORY / "configs/06_raw_table.yaml", "--home", own / "home", where=own)
                if asked.sbom is not None and number == 0:
                    said += f"; {write_sbom(own / 'all', asked.sbom.resolve(), own)} packages in {asked.sbom.name}"
            assert service is not None
            follow_a_study(client, service, own)
            version = call(client.parent / "python", "--version", where=own).strip()
            print(f"{version}: {said}; another was submitted by the client and followed to its end", flush=True)
    raise SystemExit(not fine)


if __name__ == "__main__":
    main()
