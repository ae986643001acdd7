"""Makes every picture of the README and the docs from real runs: the terminal, pages in Chromium, the record's figures.

    python docs/tools/pictures.py            # all of them, four to six minutes; or: terminal report running recipe

Nothing is drawn by hand: a study is run as a reader would run it, its output is written as SVG, its report and the page
of a service are opened in a browser without a window, and the figures are those that the study left in MLflow. What a
run prints differs from one to the next in its last digits, so pictures are made again only where something has changed.
It takes Chromium (or CHROMIUM=/path/to/it), as `make test-browser` does.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import mlflow
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURES = REPOSITORY / "docs" / "pictures"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH, HEIGHT = 1400, 900
# Columns of the terminal: as many as a line of the report takes without being broken, more would be too small to read.
COLUMNS = 112
# Colours of a picture: as many as its anti-aliased text needs; a page of them takes a tenth of the bytes.
COLOURS = 128
FIRST = "search-service run configs/01_digits.yaml"
DEEP_SIGMOID = (
    "search-service run configs/01_digits.yaml --runner inline "
    "--set trial.network.activation=sigmoid --set trial.network.hidden_sizes=[64,64,64,64,64,64]"
)
# Enough trials that the page shows a search in its middle.
LONG = {"search.coarse.max_trials": "240"}
SHOWN_AFTER_TRIALS = 90
PATIENCE_S = 300
# Picture of the docs -> whose (the first study, or the one with deep sigmoids), run of the record, figure there.
RECIPE = {
    "step1.png": ("first", "1 initial loss", "activations.png"),
    "step2.png": ("first", "2 overfit a small sample", "small_sample_loss.png"),
    "step3.png": ("first", "3 learning rates", "learning_rates.png"),
    "step4.png": ("first", "4 coarse search", "rungs.png"),
    "step5.png": ("first", "5 refined search", "search_map.png"),
    "step6.png": ("first", "5 refined search", "history.png"),
    "finalists.png": ("first", "finalists", "finalists.png"),
    "step2_failing.png": ("deep sigmoid", "2 overfit a small sample", "small_sample_loss.png"),
    "gradients_failing.png": ("deep sigmoid", "2 overfit a small sample", "gradient_health.png"),
}


def main(wanted: Sequence[str]) -> None:
    """Make the pictures that are asked for; without a name, all."""
    PICTURES.mkdir(exist_ok=True)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "search-service"
        place.mkdir()
        (place / "configs").symlink_to(REPOSITORY / "configs")
        if not wanted or {"terminal", "report", "recipe"} & set(wanted):
            printed = _run(FIRST, place)
            _terminal(printed, place / "first_study.svg")
            (study,) = (place / "runs" / "studies").iterdir()
            with _browser() as page:
                page.goto((study / "report.html").as_uri())
                page.wait_for_selector("#again")
                _shoot(page, place / "report.png")
            _run(DEEP_SIGMOID, place)
            for name, (whose, run, figure) in RECIPE.items():
                _from_record(place, whose, run, figure, place / name)
        if not wanted or "running" in wanted:
            _running(place)
        kept = {
            "terminal": ["first_study.svg"],
            "report": ["report.png"],
            "running": ["running.png"],
            "recipe": [*RECIPE],
        }
        for kind in wanted or kept:
            for name in kept[kind]:
                shutil.copy(place / name, PICTURES / name)


def _environment(**more: str) -> dict[str, str]:
    """Of a command that a reader types, in a terminal of ours that shows no bars that move."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "COLUMNS": str(COLUMNS), "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "0", **more}


def _run(command: str, place: Path) -> str:
    """What a command prints, errors among it."""
    done = subprocess.run(
        shlex.split(command),
        cwd=place,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return f"$ {command}\n{done.stdout.decode()}"


def _terminal(printed: str, target: Path) -> None:
    """Write what was printed as a picture of a terminal."""
    # Hiding and showing the cursor, which leave an empty line each.
    text = re.sub(r"(\x1b\[\?25[lh])+\n?", "", printed)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in text.splitlines():
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=False, highlight=False)
    # rich's own template asks a server for its font.
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace")
    svg = console.export_svg(title="search-service", theme=MONOKAI, code_format=template, unique_id="first-study")
    target.write_text(svg, encoding="utf-8")


def _running(place: Path) -> None:
    """The page of a study in the middle of its search, at a service that is started for it and ended after."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = _environment(SEARCH_SERVICE_RUNNER="inline", SEARCH_SERVICE_URL=url)
    command = ["search-service", "serve", "--port", str(port), "--home", str(place / "service")]
    service = subprocess.Popen(
        command, cwd=place, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _until(lambda: httpx.get(f"{url}/readyz").is_success)
        changes = [part for key, value in LONG.items() for part in ("--set", f"{key}={value}")]
        submit = ["search-service", "submit", "configs/01_digits.yaml", *changes]
        subprocess.run(submit, cwd=place, env=environment, stdout=subprocess.DEVNULL, check=True)
        study = httpx.get(f"{url}/api/v1/studies").json()["items"][0]["id"]
        _until(lambda: _trials(url, study) >= SHOWN_AFTER_TRIALS)
        with _browser() as page:
            page.goto(f"{url}/studies/{study}")
            page.get_by_text("Step 3").first.wait_for()
            _shoot(page, place / "running.png")
        subprocess.run(
            ["search-service", "cancel", study], cwd=place, env=environment, stdout=subprocess.DEVNULL, check=True
        )
        _until(lambda: httpx.get(f"{url}/api/v1/studies/{study}").json()["state"] == "cancelled")
    finally:
        service.terminate()
        service.wait(timeout=60)


def _trials(url: str, study: str) -> int:
    return int(httpx.get(f"{url}/api/v1/studies/{study}").json()["trials"])


def _until(holds: Callable[[], bool]) -> None:
    """Wait for a service; one that does not answer yet is waited for, too."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise TimeoutError("the service did not come to that")


@contextmanager
def _browser() -> Iterator[Page]:
    """An empty page in Chromium."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        browser.close()


def _shoot(page: Page, target: Path) -> None:
    _small(page.screenshot(), target)


def _small(picture: bytes, target: Path) -> None:
    """Write a PNG with few colours, which takes a tenth of the bytes."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(target, optimize=True)


def _from_record(place: Path, whose: str, run: str, figure: str, target: Path) -> None:
    """A figure of the record: of the first study, or of the one after it."""
    mlflow.set_tracking_uri(f"sqlite:///{place / 'runs' / 'mlflow.db'}")
    client = mlflow.MlflowClient()
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    of_name = sorted((one for one in runs if one.info.run_name == run), key=lambda one: one.info.start_time)
    found: Mapping[str, int] = {"first": 0, "deep sigmoid": -1}
    with tempfile.TemporaryDirectory() as folder:
        client.download_artifacts(of_name[found[whose]].info.run_id, "", folder)
        _small(next(Path(folder).rglob(figure)).read_bytes(), target)


if __name__ == "__main__":
    main(sys.argv[1:])
