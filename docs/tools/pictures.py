"""Makes every picture of the README and the docs from real runs: the terminal, pages in Chromium, the record's figures.

    python docs/tools/pictures.py            # all of them, some ten minutes
    python docs/tools/pictures.py screens running      # or some: terminal report running recipe screens

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
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
import mlflow
from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright
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
PATIENCE_S = 900
# Milliseconds for what is drawn late: pages of MLflow and Optuna never stop asking, and do not say when they are done.
SETTLING_MS = 5_000
# What docs/screens.md shows beside report.png and running.png.
SCREENS = (
    "screen_failed.png",
    "screen_report_phone.png",
    "screen_report_dark.png",
    "screen_mlflow_study.png",
    "screen_mlflow_trials.png",
    "screen_mlflow_model.png",
    "screen_service_list.png",
    "screen_service_phone.png",
    "screen_service_cancelled.png",
    "screen_optuna.png",
)
PHONE = (390, 844)
# Studies of the service's list: changes of the first config each.
LISTED: tuple[Mapping[str, str], ...] = (
    {"name": "digits"},
    {"name": "wide", "trial.network.hidden_sizes": "[256,256]"},
    {
        "name": "deep-sigmoid",
        "trial.network.activation": "sigmoid",
        "trial.network.hidden_sizes": "[64,64,64,64,64,64]",
    },
)
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
        if not wanted or {"terminal", "report", "recipe", "screens"} & set(wanted):
            printed = _run(FIRST, place)
            _terminal(printed, place / "first_study.svg")
            (study,) = (place / "runs" / "studies").iterdir()
            with _browser() as page:
                page.goto((study / "report.html").as_uri())
                page.wait_for_selector("#again")
                _shoot(page, place / "report.png")
            with _browser(PHONE) as page:
                page.goto((study / "report.html").as_uri())
                _shoot(page, place / "screen_report_phone.png")
            with _browser(scheme="dark") as page:
                page.goto((study / "report.html").as_uri())
                page.wait_for_timeout(SETTLING_MS)
                page.locator("#search").evaluate("part => part.scrollIntoView()")
                page.wait_for_timeout(SETTLING_MS)
                _shoot(page, place / "screen_report_dark.png")
            _run(DEEP_SIGMOID, place)
            failed = max((place / "runs" / "studies").iterdir(), key=lambda folder: folder.stat().st_ctime)
            with _browser() as page:
                page.goto((failed / "report.html").as_uri())
                _shoot(page, place / "screen_failed.png")
            if not wanted or "screens" in wanted:
                _record_pages(place, study.name)
            for name, (whose, run, figure) in RECIPE.items():
                _from_record(place, whose, run, figure, place / name)
        if not wanted or {"running", "screens"} & set(wanted):
            _service_pages(place)
        kept = {
            "terminal": ["first_study.svg"],
            "report": ["report.png"],
            "running": ["running.png"],
            "recipe": [*RECIPE],
            "screens": [*SCREENS],
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


def _service_pages(place: Path) -> None:
    """Pages of a service that is started for it: a study in the middle of its search, one cancelled there, the list."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = _environment(SEARCH_SERVICE_RUNNER="inline", SEARCH_SERVICE_URL=url)
    command = ["search-service", "serve", "--port", str(port), "--home", str(place / "service")]
    with _server(command, place, environment):
        _until(lambda: httpx.get(f"{url}/readyz").is_success)
        running = _submit(url, {"name": "night", **LONG}, place, environment)
        _until(lambda: _trials(url, running) >= SHOWN_AFTER_TRIALS)
        with _browser() as page:
            page.goto(f"{url}/studies/{running}")
            page.get_by_text("Step 3").first.wait_for()
            _shoot(page, place / "running.png")
        # The others wait in the queue behind it, so the list has one of each kind.
        others = [_submit(url, changes, place, environment) for changes in LISTED]
        subprocess.run(
            ["search-service", "cancel", running], cwd=place, env=environment, stdout=subprocess.DEVNULL, check=True
        )
        _until(lambda: _state(url, running) == "cancelled")
        _until(lambda: all(_state(url, study) in ("completed", "failed") for study in others))
        waiting = _submit(url, {"name": "again", **LONG}, place, environment)
        _until(lambda: _trials(url, waiting) > 0)
        for name, size in (("screen_service_list.png", (WIDTH, HEIGHT)), ("screen_service_phone.png", PHONE)):
            with _browser(size) as page:
                page.goto(url)
                page.get_by_text("deep").first.wait_for()
                _shoot(page, place / name)
        with _browser() as page:
            page.goto(f"{url}/studies/{running}")
            page.get_by_text("Step 3").first.wait_for()
            _shoot(page, place / "screen_service_cancelled.png")
        subprocess.run(
            ["search-service", "cancel", waiting], cwd=place, env=environment, stdout=subprocess.DEVNULL, check=True
        )
        _until(lambda: _state(url, waiting) == "cancelled")


def _submit(url: str, changes: Mapping[str, str], place: Path, environment: Mapping[str, str]) -> str:
    """Id of a study of the first config, changed so."""
    options = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    command = ["search-service", "submit", "configs/01_digits.yaml", *options]
    subprocess.run(command, cwd=place, env=environment, stdout=subprocess.DEVNULL, check=True)
    newest = max(httpx.get(f"{url}/api/v1/studies").json()["items"], key=lambda item: str(item["submitted_at"]))
    return str(newest["id"])


def _record_pages(place: Path, study: str) -> None:
    """The first study in MLflow (its run, its trials by score, its registered model) and in Optuna's dashboard."""
    ui, environment = ["search-service", "ui", study, "--no-browser", "--port", "0"], _environment()
    with _server(ui, place, environment) as said, _browser() as page:
        run = _address(said)
        page.goto(run)
        page.get_by_text("worth it").first.wait_for()
        # An assistant that opens by itself takes a third of the page.
        page.get_by_role("button", name="Close").first.click()
        page.get_by_role("button", name="Expand description").click()
        page.get_by_role("button", name="Edit description").evaluate("button => button.scrollIntoView()")
        _settled(page)
        _shoot(page, place / "screen_mlflow_study.png")
        page.goto(str(page.get_by_role("link", name="trials by score").first.evaluate("link => link.href")))
        page.get_by_text("training_seconds").first.wait_for()
        _settled(page)
        _shoot(page, place / "screen_mlflow_trials.png")
        page.goto(f"{run.split('/#/')[0]}/#/models/digits/versions/1")
        page.get_by_text("Version 1").first.wait_for()
        _settled(page)
        _shoot(page, place / "screen_mlflow_model.png")
    with _server([*ui, "--optuna"], place, environment) as said, _browser() as page:
        page.goto(_address(said))
        page.get_by_text(study).first.click()
        page.get_by_text("Hyperparameter Importance").first.wait_for()
        _settled(page)
        _shoot(page, place / "screen_optuna.png")


@contextmanager
def _server(command: Sequence[str], place: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """A command that serves pages until it is ended here; the file with what it says."""
    said = place / "said.txt"
    with said.open("w", encoding="utf-8") as file:
        serving = subprocess.Popen(command, cwd=place, env=environment, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield said
        finally:
            serving.send_signal(signal.SIGINT)
            serving.wait(timeout=60)


def _address(said: Path) -> str:
    """The address that a server prints once it answers."""
    _until(lambda: re.search(r"http://\S+", said.read_text(encoding="utf-8")) is not None)
    found = re.search(r"http://\S+", said.read_text(encoding="utf-8"))
    assert found is not None
    return found[0]


def _settled(page: Page) -> None:
    """Wait for what a page draws after its data have come: pictures in notes, charts."""
    page.wait_for_timeout(SETTLING_MS)


def _state(url: str, study: str) -> str:
    return str(httpx.get(f"{url}/api/v1/studies/{study}").json()["state"])


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
def _browser(size: tuple[int, int] = (WIDTH, HEIGHT), scheme: Literal["dark", "light"] = "light") -> Iterator[Page]:
    """An empty page in Chromium."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        # As sharp as a phone's own screen is.
        sharpness = 3 if size == PHONE else 1
        viewport: ViewportSize = {"width": size[0], "height": size[1]}
        yield browser.new_page(viewport=viewport, color_scheme=scheme, device_scale_factor=sharpness)
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
