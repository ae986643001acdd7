"""``search-service ui``: MLflow's UI, or Optuna's dashboard, on what this home has, and the browser on a study's page.

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
import threading
import time
import urllib.request
import webbrowser
from socketserver import ThreadingMixIn
from typing import Annotated
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer

from search_service.cli.options import Home, settings_for
from search_service.errors import DataError, Problem, RecorderError
from search_service.settings import UI_PORT, Settings

app = typer.Typer()

# Seconds for MLflow to answer: it takes five on a quiet machine and was seen to take 43 on a busy one.
START_S = 180.0
# Seconds between two looks at what a running study has written: the page asks every ten.
FOLLOW_S = 5.0


@app.command()
def ui(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="A study's id [the newest].")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the UI; another one if it is taken.")] = UI_PORT,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    optuna: Annotated[bool, typer.Option("--optuna", help="Optuna's dashboard instead, on a study's trials.")] = False,
    home: Home = None,
) -> None:
    """Open MLflow's UI on a study's page, or Optuna's dashboard on its trials; Ctrl-C ends it."""
    settings = settings_for(home)
    if optuna:
        _serve_dashboard(settings, study, _free(port), open_it=browser)
        return
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


def _serve_dashboard(settings: Settings, study: str | None, port: int, *, open_it: bool) -> None:
    """Optuna's dashboard on a study of this home, which is followed while it runs."""
    try:
        import optuna_dashboard
    except ImportError as error:
        rule, fix = "a dashboard that is installed", "pip install 'search-service[dashboard]'"
        raise DataError([Problem("--optuna", "optuna-dashboard", rule, fix)]) from error
    from search_service.export.optuna_storage import Mirror
    from search_service.folder import study_folder

    folder = study_folder.newest(settings.studies) if study is None else study_folder.find(settings.studies, study)
    if folder is None:
        rule, fix = "a home with a study", "run a study first, or name its home with --home"
        raise DataError([Problem("--home", str(settings.home), rule, fix)])
    mirror = Mirror(folder)
    if not mirror.update():
        raise DataError([Problem("STUDY", folder.path.name, "a study with a round", "wait until its search has begun")])
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(FOLLOW_S):
            # The study's folder may be removed under our feet; what was seen of it stays.
            with contextlib.suppress(OSError):
                mirror.update()

    with make_server("127.0.0.1", port, optuna_dashboard.wsgi(mirror.storage), _Threads, _Quiet) as server:
        threading.Thread(target=follow, daemon=True).start()
        _show(f"http://127.0.0.1:{server.server_port}/dashboard/", open_it=open_it)
        typer.echo("Ctrl-C ends it.", err=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
        ended.set()


class _Threads(ThreadingMixIn, WSGIServer):
    """A page asks for several things at once."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Says nothing of each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Nothing."""


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
