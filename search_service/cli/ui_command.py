"""``search-service ui``: MLflow's UI on the record of this home, and the browser on a study's page.

MLflow's own ``mlflow ui`` starts four workers and seven processes for jobs that nobody here has; this one starts one,
and ends it with the command.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import webbrowser
from typing import Annotated

import typer

from search_service.cli.options import Home, settings_for
from search_service.errors import DataError, Problem, RecorderError
from search_service.settings import UI_PORT, Settings

app = typer.Typer()

# Seconds for MLflow to answer: it takes five on a quiet machine and was seen to take 43 on a busy one.
START_S = 180.0


@app.command()
def ui(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="A study's id [the newest].")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the UI; another one if it is taken.")] = UI_PORT,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    home: Home = None,
) -> None:
    """Open MLflow's UI on a study's page; Ctrl-C ends it."""
    settings = settings_for(home)
    if settings.tracking_uri is None and not settings.record_file.exists():
        rule, fix = "a home with a record", "run a study first, or name its home with --home"
        raise DataError([Problem("--home", str(settings.home), rule, fix)])
    from search_service.recorders.mlflow.page import address_of

    page = address_of(settings.record_uri, study)
    if page is None and study is not None:
        rule, fix = "a study of this record", f"choose one of the folders in {settings.studies}"
        raise DataError([Problem("STUDY", study, rule, fix)])
    if settings.tracking_uri is not None:
        _show(settings.ui_address + (page or ""), open_it=browser)
        return
    _serve(settings, _free(port), page or "", open_it=browser)


def _serve(settings: Settings, port: int, page: str, *, open_it: bool) -> None:
    command = [
        sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}", "--workers=1",
        f"--backend-store-uri={settings.record_uri}",
    ]  # fmt: skip
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    typer.echo("Starting MLflow ...", err=True)
    with tempfile.TemporaryFile("w+") as said:
        # A session of its own: its processes are ended together, here.
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{port}"
            if not _answers(server, f"{address}/health"):
                said.seek(0)
                last = said.read().strip().splitlines()[-1:]
                raise RecorderError(f"MLflow's server does not answer on port {port}: {''.join(last) or 'no word'}")
            _show(address + page, open_it=open_it)
            typer.echo("Ctrl-C ends it.", err=True)
            server.wait()
        except KeyboardInterrupt:
            pass
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
                server.wait()


def _answers(server: subprocess.Popen[bytes], health: str) -> bool:
    """Wait until a server answers; False if it ends before, or takes too long."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=5):
            return True
        time.sleep(0.2)
    return False


def _show(page: str, *, open_it: bool) -> None:
    typer.echo(page)
    if open_it:
        # False where there is none: the address is on the screen.
        webbrowser.open(page)


def _free(port: int) -> int:
    """The port, or another one if somebody listens there."""
    for wanted in (port, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RecorderError("no port is free on this machine")
