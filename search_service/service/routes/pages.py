"""What people look at: the list of studies, and the page of each.

The service's own pages are the same for everybody and hold nothing that is secret: what they show, their scripts ask of
the API, with the token that their reader has given. The report of a study is a file with its data in it, so whoever
opens it has to show who it is: by the header that programs send, or by a cookie, since a browser that opens an address
sends no such header. The page of a study sets that cookie, for addresses of pages only and for a few seconds.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse

from search_service.folder import layout
from search_service.report.page.render import policy_of
from search_service.service.access import Access, Caller, ForbiddenError, UnknownCallerError
from search_service.service.parts import Parts, Service
from search_service.service.routes.studies import StudyId
from search_service.service.states import ENDED, RESUMABLE
from search_service.service.store import NotFoundError

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent.parent / "page"
# Their own files and calls, nothing of anybody else's, and no place in anybody else's page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Has the reader's token while a report is opened.
COOKIE = "search-service-token"
# Where a report's own page begins (report/page/page.html).
TOP = '<header id="header">'
# What a page of the service begins with, as study.html does.
SERVICE = '<nav aria-label="Service"><a href="/">All studies</a> <a href="/docs">API</a></nav>'
# A report is another's answer to whoever has no token: no cache may keep it.
_HEADERS = {"Cache-Control": "no-store"}


@router.get("/")
async def studies() -> FileResponse:
    """The list of studies."""
    return FileResponse(FOLDER / "index.html")


@router.get("/studies/{study_id}")
def study(request: Request, service: Service, study_id: StudyId) -> Response:
    """The page of a study: its report once it is over, and before that a page that follows it.

    One that can be resumed is not over: the page that follows it has the button for that, and a link to the report.
    """
    if _caller(request) is None:
        return _live()
    try:
        row = service.store.study(study_id)
    except NotFoundError:
        # The page says so: the API tells it.
        return _live(status=404)
    if row.state not in ENDED or row.state in RESUMABLE:
        return _live()
    found = _report(service, study_id)
    return _live() if found is None else found


@router.get("/studies/{study_id}/report")
def report(request: Request, service: Service, study_id: StudyId) -> Response:
    """The report of a study that has one, also of one that can be resumed."""
    if _caller(request) is None:
        return _live()
    service.store.study(study_id)
    found = _report(service, study_id)
    if found is None:
        raise NotFoundError(f"study {study_id} has no report")
    return found


def _live(status: int = 200) -> FileResponse:
    return FileResponse(FOLDER / "study.html", status, headers=_HEADERS)


def _report(service: Parts, study_id: str) -> HTMLResponse | None:
    try:
        text = (service.settings.study_folder(study_id) / layout.PAGE).read_text(encoding="utf-8")
    except OSError:
        return None
    policy = policy_of(text)
    # The file knows of no other studies.
    text = text.replace(TOP, f"{SERVICE}{TOP}", 1)
    # Without a policy of its own it is shown as it is, and nothing in it runs.
    headers = {"Content-Security-Policy": POLICY if policy is None else f"{policy}; frame-ancestors 'none'"}
    return HTMLResponse(text, headers=headers | _HEADERS)


def _caller(request: Request) -> Caller | None:
    """Who opens a page; None for whoever has shown nothing that is valid, who is asked by the page itself."""
    access: Access = request.app.state.access
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        token = unquote(request.cookies.get(COOKIE, ""))
    try:
        return access.caller(request, token.strip() or None)
    except (UnknownCallerError, ForbiddenError):
        return None
