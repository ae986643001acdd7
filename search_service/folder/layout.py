"""The name of every file in a study's folder, and in the folder of one of its rounds; ``Settings`` names what is above.

docs/architecture.md, "Where things are kept", says what each holds.
"""

from __future__ import annotations

from pathlib import Path

# Of a study.
SPEC = "spec.json"
PRIVATE_ADDRESSES = "addresses.json"
BEGINNING = "study.json"
ELAPSED = "elapsed.json"
DONE = "done"
ENDING = "ended.json"
RECORDED = "recorded.json"
LOCK = "study.lock"
# What an ended study was given more of, in the folder of the study that goes on from there.
EXTENSIONS = "extensions.json"
EVENTS = "events.jsonl"
REPORT = "report.txt"
PAGE = "report.html"
RESULT = "result.json"
WINNER = "winner.pt"
REFIT = "refit.pt"
MODEL = "model"
# What was trained of finalists, until all of it is.
NETWORKS = "networks"
TEST_PREDICTIONS = "test_predictions.npz"
# Whoever wants the study to end makes one of them: well, with finalists, or now, as by Ctrl-C.
STOP = "stop"
CANCEL = "cancel"

# Of a round.
PLAN = "plan.json"
SUGGESTED = "asked.jsonl"
ENDED_TRIALS = "told.jsonl"
PAUSED = "paused"
PAUSES = "paused.jsonl"
# Checkpoints of cohorts under way; of no use to another process, since what had not finished begins again.
CHECKPOINTS = "checkpoints"
MERGES = "merged.jsonl"
ROUND_ENDING = "ended.json"


def round_folder(study: Path, number: int) -> Path:
    """Folder of a round, from 1."""
    return study / f"round-{number}"


def average(number: int) -> str:
    """Networks of one population that are part of the model's average, from 1."""
    return f"average-{number}.pt"


def rungs(bracket: int) -> str:
    """Journal of a bracket's rungs in the folder of a round."""
    return f"rungs-{bracket}.jsonl" if bracket else "rungs.jsonl"
