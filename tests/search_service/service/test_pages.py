"""The service's pages over HTTP: who gets which, and what a browser is told that they may do."""

from __future__ import annotations

import re

import httpx
import pytest

from search_service.folder import layout
from search_service.folder.study_folder import StudyFolder
from search_service.report.page.render import render
from search_service.service.routes.pages import COOKIE, FOLDER, SERVICE
from tests import pages
from tests.contracts.test_stores import ROUND, STARTED, trial
from tests.services import ADMIN, ScriptedJobs, serving, until, write_events

DIGITS = {"name": "digits", "data": {"source": "digits"}}
LIVE = (FOLDER / "study.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """The report of a study that failed at its first step, as its job writes it."""
    return render(pages.page_of(pages.tell(pages.ZERO_WEIGHTS, tmp_path_factory.mktemp("study"))))


@pytest.fixture
def jobs():
    return ScriptedJobs()


def begun(service, jobs, home) -> tuple:
    study = service.post("/api/v1/studies", json=DIGITS).json()["id"]
    until(lambda: jobs.submitted)
    return study, home / "studies" / study


def end(service, jobs, study, folder, report: str | None, status: str = "failed") -> dict:
    if report is not None:
        (folder / layout.PAGE).write_text(report, encoding="utf-8")
    StudyFolder(folder).end(status, "a check failed")
    jobs.end(f"{study}-1")
    until(lambda: service.get(f"/api/v1/studies/{study}").json()["state"] == status)
    return service.get(f"/api/v1/studies/{study}").json()


def test_a_study_s_page_follows_it_and_is_its_report_once_it_is_over(tmp_path, jobs, report):
    with serving(tmp_path, jobs) as service:
        study, folder = begun(service, jobs, tmp_path)
        shown = service.get(f"/api/v1/studies/{study}").json()
        assert (shown["links"]["page"], shown["links"]["report"]) == (f"/studies/{study}", None)
        assert service.get(f"/studies/{study}").text == LIVE
        assert service.get(f"/studies/{study}/report").status_code == 404
        ended = end(service, jobs, study, folder, report)
        assert ended["links"]["report"] == f"/studies/{study}/report"
        for path in (f"/studies/{study}", f"/studies/{study}/report"):
            answer = service.get(path)
            # Beside its links to the other studies it is the file.
            assert SERVICE in answer.text
            assert answer.text.replace(SERVICE, "") == report
            assert answer.headers["Cache-Control"] == "no-store"


def test_a_study_that_can_be_resumed_or_has_no_report_keeps_its_live_page(tmp_path, jobs, report):
    with serving(tmp_path, jobs) as service:
        study, folder = begun(service, jobs, tmp_path)
        (folder / layout.PAGE).write_text(report, encoding="utf-8")
        service.post(f"/api/v1/studies/{study}/cancel")
        until(lambda: jobs.cancelled)
        jobs.end(f"{study}-1", 130)
        until(lambda: service.get(f"/api/v1/studies/{study}").json()["state"] == "cancelled")
        assert service.get(f"/studies/{study}").text == LIVE
        assert service.get(f"/studies/{study}/report").text.replace(SERVICE, "") == report
        service.post(f"/api/v1/studies/{study}/resume")
        until(lambda: len(jobs.submitted) == 2)
        (folder / layout.PAGE).unlink()
        StudyFolder(folder).end("failed", "no report")
        jobs.end(f"{study}-2")
        until(lambda: service.get(f"/api/v1/studies/{study}").json()["state"] == "failed")
        assert service.get(f"/studies/{study}").text == LIVE
        unknown = service.get("/studies/none-such")
        assert (unknown.status_code, unknown.text) == (404, LIVE)


def test_d7_a_report_is_for_those_with_a_token_by_header_or_by_cookie(tmp_path, jobs, report):
    with serving(tmp_path, jobs, admin_token=ADMIN) as service:
        study, folder = begun(service, jobs, tmp_path)
        end(service, jobs, study, folder, report)
        reader = service.post("/api/v1/tokens", json={"name": "ann", "role": "read"}).json()["token"]
        path = f"{service.base_url}/studies/{study}"

        def seen(**headers: str) -> str:
            return httpx.get(path, headers=headers).text

        assert seen(Authorization=f"Bearer {reader}").replace(SERVICE, "") == report
        assert seen(Cookie=f"{COOKIE}={reader}").replace(SERVICE, "") == report
        for headers in ({}, {"Cookie": f"{COOKIE}=sst_wrong"}, {"Authorization": "Bearer sst_wrong"}):
            assert seen(**headers) == LIVE
            assert httpx.get(f"{path}/report", headers=headers).text == LIVE
            # Nor is it told which studies there are.
            assert httpx.get(f"{service.base_url}/studies/none-such", headers=headers).status_code == 200
        # The cookie opens pages and nothing else: no other site's page can use it to call.
        api = httpx.get(f"{service.base_url}/api/v1/studies", headers={"Cookie": f"{COOKIE}={reader}"})
        assert api.status_code == 401
        service.delete("/api/v1/tokens/ann")
        assert seen(Cookie=f"{COOKIE}={reader}") == LIVE


def test_pages_may_do_what_they_need_and_nothing_else(tmp_path, jobs, report):
    with serving(tmp_path, jobs) as service:
        study, folder = begun(service, jobs, tmp_path)
        strict = {
            "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
            "img-src": "'self' data:", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
        }  # fmt: skip
        for path in ("/", f"/studies/{study}", "/studies/none-such"):
            answer = service.get(path)
            assert policy_of(answer) == strict
            assert answer.headers["Content-Type"].startswith("text/html")
            # Nothing inline, which such a policy would keep from working.
            assert re.findall(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", answer.text) == []
        end(service, jobs, study, folder, report)
        answer = service.get(f"/studies/{study}")
        own = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', answer.text)[1]
        assert answer.headers["Content-Security-Policy"] == f"{own}; frame-ancestors 'none'"
        assert "sha256-" in policy_of(answer)["script-src"]


def test_a_report_that_asks_for_more_than_its_own_hashes_gets_the_strict_policy(tmp_path, jobs, report):
    with serving(tmp_path, jobs) as service:
        study, folder = begun(service, jobs, tmp_path)
        loose = re.sub(r"script-src '[^']+'", "script-src 'unsafe-inline'", report)
        assert loose != report
        end(service, jobs, study, folder, loose)
        assert policy_of(service.get(f"/studies/{study}"))["script-src"] == "'self'"


def policy_of(answer: httpx.Response) -> dict[str, str]:
    """Directives of an answer's policy."""
    parts = answer.headers["Content-Security-Policy"].split(";")
    return {name: value for name, _, value in (part.strip().partition(" ") for part in parts)}


def test_files_of_the_pages_are_served_and_no_others(tmp_path, jobs):
    with serving(tmp_path, jobs) as service:
        for file in FOLDER.iterdir():
            assert service.get(f"/page/{file.name}").status_code == 200, file.name
        for path in ("/page/../reconciler.py", "/page/..%2Freconciler.py", "/studies/..%2F..%2Fservice.db"):
            assert service.get(path).status_code in (404, 422), path


def test_what_is_planned_is_told_of_the_rounds_that_have_begun(tmp_path, jobs):
    with serving(tmp_path, jobs) as service:
        _, folder = begun(service, jobs, tmp_path)

        def seen() -> tuple:
            shown = service.get("/api/v1/studies").json()["items"][0]
            return shown["trials"], shown["planned"], shown["larger_is_better"]

        assert seen() == (0, 0, True)
        write_events(folder, STARTED, ROUND, trial(0, 0.5))
        until(lambda: seen() == (1, 24, True))
        write_events(folder, ROUND | {"round": 2, "step": 5, "max_trials": 16})
        until(lambda: seen() == (1, 40, True))
