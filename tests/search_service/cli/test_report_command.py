"""``search-service report``: from the study's folder, and from its record alone once that is deleted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
from mlflow import MlflowClient

from search_service import wiring
from search_service.folder import layout
from search_service.report.page.figures_in_short import short
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from tests import pages

# Without what the page would only name.
SPEC = pages.SPEC | {"finalists": pages.SPEC["finalists"] | {"baselines": False}, "model": {"refit": False}}


@pytest.fixture(autouse=True)
def _no_service(monkeypatch):
    monkeypatch.delenv("SEARCH_SERVICE_URL", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A home with one study, its id, and the page that lay in its folder, which is gone."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    done = wiring.run(wiring.prepare(parse(SPEC), settings=settings), settings=settings, runner="inline")
    folder = settings.studies / done.result.study_id
    page, text = ((folder / name).read_text(encoding="utf-8") for name in (layout.PAGE, layout.REPORT))
    shutil.rmtree(folder)
    return settings, done.result, page, text


def document_of(page: str) -> dict:
    return json.loads(re.search(r'<script id="document" type="application/json">(.*?)</script>', page, re.DOTALL)[1])


def test_c8_the_record_alone_gives_the_page_that_lay_in_the_folder(finished, called, tmp_path):
    settings, result, page, _ = finished
    answer = called("report", result.study_id, "--html", "-o", tmp_path / "page.html", "--home", settings.home)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert called("report", result.study_id, "--html", "--home", settings.home).stdout == f"{result.study_id}.html\n"
    assert (tmp_path / f"{result.study_id}.html").read_text(encoding="utf-8") == page


def test_c8_a_page_that_cannot_be_written_says_where(finished, called, tmp_path):
    settings, result, *_ = finished
    answer = called("report", result.study_id, "--html", "-o", tmp_path / "no" / "page.html", "--home", settings.home)
    assert answer.returncode == 2 and "choose another place (No such file or directory)" in answer.stderr


def test_c8_its_numbers_are_those_of_the_database(finished):
    settings, result, page, _ = finished
    shown = document_of(page)
    client = MlflowClient(settings.record_uri)
    experiment = client.get_experiment_by_name("pages")
    runs = client.search_runs([experiment.experiment_id], f"tags.study_id = '{result.study_id}'", max_results=1_000)
    by_kind = {kind: [r for r in runs if r.data.tags["kind"] == kind] for kind in ("study", "trial", "finalist")}
    trials = {run.info.run_name: run for run in by_kind["trial"]}
    assert {trial["id"] for trial in shown["trials"]} == set(trials)
    for trial in shown["trials"]:
        run = trials[trial["id"]]
        assert trial["score"] == short(run.data.metrics["score"])
        assert trial["status"] == run.data.tags["status"]
        assert trial["values"]["optimizer.lr"] == short(float(run.data.params["optimizer.lr"]), 6)
        history = client.get_metric_history(run.info.run_id, "validation_accuracy")
        scores = {metric.step: short(metric.value) for metric in history}
        assert dict(zip(trial["curve"]["epochs"], trial["curve"]["score"], strict=True)) == scores
    finalists = {run.info.run_name: run for run in by_kind["finalist"]}
    for finalist in shown["finalists"]:
        metrics = finalists[f"finalist {finalist['trial_id']}"].data.metrics
        assert finalist["mean"] == short(metrics["score_mean"])
    (study,) = by_kind["study"]
    assert shown["study"]["best"]["test_mean"] in study.data.metrics.values()
    assert {file.path for file in client.list_artifacts(study.info.run_id)} >= {"report.html", "report.json"}


def test_c8_the_text_needs_no_service_and_no_folder(finished, called):
    settings, result, _, text = finished
    answer = called("report", result.study_id, "--home", settings.home)
    assert (answer.returncode, answer.stdout) == (0, text + "\n")


def test_c8_a_study_that_was_interrupted_has_its_page(called, tmp_path):
    settings = Settings(home=tmp_path / "home")
    ended = []

    def hear(event):
        ended.extend([event] if type(event).__name__ == "TrialFinished" else [])
        if len(ended) >= 2 and type(event).__name__ == "TrialFinished":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wiring.run(wiring.prepare(parse(SPEC), settings=settings), settings=settings, runner="inline", listeners=[hear])
    (folder,) = settings.studies.iterdir()
    answer = called("report", folder.name, "--html", "-o", tmp_path / "page.html", "--home", settings.home)
    assert answer.returncode == 0
    shown = document_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "interrupted" in shown["headline"]["title"]
    assert len(shown["trials"]) >= 2


def test_c8_what_has_no_report_says_why_and_what_to_do(called, tmp_path):
    home = tmp_path / "home"
    assert called("report", "nothing-1", "--html", "--home", home).returncode == 2
    # Neither is a home made, nor a record in it.
    assert not home.exists()
    killed = home / "studies" / "killed-1"
    killed.mkdir(parents=True)
    (killed / layout.SPEC).write_text("{}")
    answer = called("report", "killed-1", "--html", "--home", home)
    assert answer.returncode == 2
    assert "cut short" in answer.stderr
    assert "search-service run --study killed-1" in answer.stderr
    (killed / layout.ENDING).write_text('{"status": "completed", "reason": "done"}')
    assert "search-service sync killed-1" in called("report", "killed-1", "--html", "--home", home).stderr


def test_c8_a_damaged_document_is_refused(finished, called, tmp_path):
    settings, result, _, _ = finished
    client = MlflowClient(settings.record_uri)
    (run,) = client.search_runs(
        [client.get_experiment_by_name("pages").experiment_id],
        f"tags.study_id = '{result.study_id}' and tags.kind = 'study'",
    )
    document = client.download_artifacts(run.info.run_id, "report.json", str(tmp_path))
    whole = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert document
    try:
        client.log_text(run.info.run_id, whole[:1_000], "report.json")
        answer = called("report", result.study_id, "--html", "--home", settings.home)
    finally:
        client.log_text(run.info.run_id, whole, "report.json")
    assert answer.returncode == 2
    assert "report.json" in answer.stderr


def test_c8_a_report_that_is_kept_is_printed_without_what_trains_and_records(finished, tmp_path):
    """MLflow and torch take seconds to import, and a report lies in the study's folder."""
    _, result, page, text = finished
    folder = tmp_path / "studies" / result.study_id
    folder.mkdir(parents=True)
    for name, content in ((layout.SPEC, "{}"), (layout.PAGE, page), (layout.REPORT, text)):
        (folder / name).write_text(content, encoding="utf-8")
    code = (
        "import sys; from search_service.cli import commands; sys.argv = ['s', *sys.argv[1:]]\n"
        "try: commands.main()\n"
        "finally: print({'torch', 'mlflow', 'numpy', 'pandas'} & set(sys.modules), file=sys.stderr)"
    )
    html = tmp_path / "page.html"
    for more in ((), ("--html", "--to", html)):
        asked = [sys.executable, "-c", code, "report", result.study_id, "--home", tmp_path, *more]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.strip()) == (0, "set()")
        assert more or done.stdout.strip() == text.strip()
    assert html.read_text(encoding="utf-8") == page
