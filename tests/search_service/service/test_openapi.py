"""D4: whatever is sent, the API answers as its own document says, and never with a mistake of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.contracts.test_stores import STARTED, trial
from tests.services import ADMIN, ScriptedJobs, serving, write_events

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# Requests of each kind for each route.
EXAMPLES = 4


def test_d4_no_request_gets_a_500_or_an_answer_that_is_not_documented(tmp_path):
    limits = {"requests_per_minute": 10**6, "submissions_per_minute": 10**6}
    with serving(tmp_path, ScriptedJobs(), admin_token=ADMIN, **limits) as service:
        study = service.post("/api/v1/studies", json={"name": "digits", "data": {"source": "digits"}}).json()["id"]
        folder = tmp_path / "studies" / study
        folder.mkdir(parents=True, exist_ok=True)
        write_events(folder, STARTED, trial(0, 0.5), trial(1, None))
        command = [Path(sys.executable).with_name("schemathesis"), "run", f"{service.base_url}/openapi.json"]
        command += ["--header", f"Authorization: Bearer {ADMIN}", "--checks", CHECKS]
        # A stream of a study that waits has no end.
        command += ["--max-examples", str(EXAMPLES), "--request-timeout", "20", "--exclude-path-regex", "/events$"]
        command += ["--generation-database", "none", "--seed", "1", "--no-color"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
