"""D6, C9: a study as Optuna has it: cut short and taken up it is the same, and Optuna's tools take it."""

from __future__ import annotations

import warnings

import optuna
import pytest
from matplotlib import pyplot
from optuna.trial import TrialState

from search_service.errors import DataError
from search_service.export import optuna_storage
from search_service.folder.study_folder import StudyFolder
from search_service.records.events import TrialFinished, TrialProgressed
from search_service.runners.inline import InlineRunner
from search_service.space.ranges import Choices, NumericRange
from tests.plans import make_plan

SPACE = {
    "optimizer.name": Choices(("sgd", "momentum")),
    "optimizer.lr": NumericRange(1e-3, 1e12, log=True),
    "optimizer.momentum": NumericRange(0.1, 0.9, step=0.1),
    "batch_size": NumericRange(8, 32, integer=True),
}


class Cut(BaseException):
    """Ends the process's work in the middle of a round."""


def plan_in(home):
    return make_plan(home / "round-1", space=SPACE, max_trials=16, metric="log_loss")


def exported(home, name) -> optuna.Study:
    (study_name,) = optuna_storage.export(StudyFolder(home), home.parent / name)
    return optuna.load_study(study_name=study_name, storage=f"sqlite:///{home.parent / name}")


def facts(study: optuna.Study) -> list[tuple]:
    return [
        (t.number, t.params, t.distributions, t.state, t.values, t.intermediate_values, t.user_attrs, t.constraints)
        for t in study.trials
    ]


def test_d6_a_round_cut_short_and_taken_up_is_exported_as_one_that_nobody_disturbed(tmp_path, wine):
    calm, cut = (tmp_path / name / "a-study" for name in ("calm", "cut"))
    result = InlineRunner().run_round(plan_in(calm), wine[0], lambda event: None)

    def die(event):
        if isinstance(event, TrialFinished) and event.trial.trial_id == "r1-006":
            raise Cut

    with pytest.raises(Cut):
        InlineRunner().run_round(plan_in(cut), wine[0], die)
    running = exported(cut, "running.db")
    assert 1 <= sum(trial.state.is_finished() for trial in running.trials) < 16
    InlineRunner().run_round(plan_in(cut), wine[0], lambda event: None)
    one, two = exported(calm, "study.db"), exported(cut, "study.db")
    assert facts(one) == facts(two)
    assert facts(running)[:3] == facts(one)[:3]
    for trial, told in zip(one.trials, result.trials, strict=True):
        scores = {point.epoch: point.validation_score for point in told.curve}
        assert trial.intermediate_values.items() <= scores.items()
        assert trial.user_attrs["trial_id"] == told.trial_id
        assert trial.user_attrs["status"] == told.status
        assert trial.params.keys() == told.values.keys()
        if trial.state is TrialState.COMPLETE:
            assert trial.value == told.score
    assert {trial.state for trial in one.trials} == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = optuna.visualization.matplotlib.plot_intermediate_values(one)
        pyplot.close(drawn.figure)
        assert len(drawn.get_lines()) == sum(trial.state is not TrialState.FAIL for trial in one.trials)
        assert "optimizer.lr" in optuna.importance.get_param_importances(one)


def test_d6_a_file_that_exists_is_not_written_over(tmp_path):
    (tmp_path / "mine.db").write_text("mine")
    with pytest.raises(DataError, match="a file that does not exist"):
        optuna_storage.export(StudyFolder(tmp_path), tmp_path / "mine.db")
    with pytest.raises(DataError, match="a study with a round"):
        optuna_storage.export(StudyFolder(tmp_path), tmp_path / "other.db")
    assert (tmp_path / "mine.db").read_text() == "mine"


def test_d3_a_mirror_follows_a_round_and_ends_as_what_is_exported(tmp_path, wine):
    home = tmp_path / "a-study"
    mirror = optuna_storage.Mirror(StudyFolder(home))
    assert mirror.update() == 0
    seen = []

    def look(event):
        if isinstance(event, TrialFinished | TrialProgressed):
            mirror.update()
            seen.append(sum(not trial.state.is_finished() for trial in mirrored().trials))

    def mirrored() -> optuna.Study:
        return optuna.load_study(study_name="a-study round-1", storage=mirror.storage)

    InlineRunner().run_round(plan_in(home), wine[0], look)
    assert mirror.update() == 16
    assert max(seen) > 0, "trials were seen while they were trained"
    assert facts(mirrored()) == facts(exported(home, "study.db"))
