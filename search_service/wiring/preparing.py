"""Everything that can find a mistake of the user's, before anything is started or written."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from search_service.errors import InvalidSpecError, Problem
from search_service.folder import private_addresses, study_folder
from search_service.folder.study_folder import StudyFolder
from search_service.recipe import warm_start
from search_service.records.earlier import EarlierStudy
from search_service.settings import Settings
from search_service.spec.against_table import problems_against_table
from search_service.spec.study_spec import StudySpec, for_task, parse
from search_service.wiring import from_table, tables
from trainables.data.dataset import Dataset, Loaded, TestRows
from trainables.data.preparation import RULES
from trainables.errors import DataError
from trainables.redaction import shown

_OPEN = "The config says neither trial nor search_space: searched is what the table stands for (search-service init)"


@dataclass(frozen=True)
class PreparedStudy:
    """A valid spec with its table read: nothing can be wrong with what the user gave any more.

    Attributes:
        spec: The spec with the loss that follows from the table; of its tables' addresses what others may see: it is
            what is recorded.
        table: Rows and their preparation.
        addresses: The tables' whole addresses by config key, where something of one is secret.
        folder: The folder of a study which is to go on; None for a new one.
        earlier: The study that ``search.warm_start`` names.
    """

    spec: StudySpec
    table: Loaded
    folder: StudyFolder | None = None
    earlier: EarlierStudy | None = None
    addresses: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def dataset(self) -> Dataset:
        """Training and validation rows."""
        return self.table.dataset

    @property
    def test_rows(self) -> TestRows:
        """For the winner only."""
        return self.table.test_rows


def prepare(spec: StudySpec, *, settings: Settings | None = None) -> PreparedStudy:
    """Read the table and check the spec against it.

    Args:
        spec: What was asked. A loss that it leaves open follows from the target column.
        settings: They say which folders may be read; by default all.

    Raises:
        InvalidSpecError: The table cannot be used, or does not fit the spec, or the study of a warm start does not.
        RecorderError: That study cannot be read.
    """
    study = _read_table(spec, settings)
    return replace(study, earlier=earlier_of(study.spec, settings or Settings()))


def _read_table(
    spec: StudySpec, settings: Settings | None, *, rules: int = RULES, begun: bool = False
) -> PreparedStudy:
    table = _read(spec, settings, rules)
    # A study that has begun goes on as it was begun, whatever its config left open then.
    if not begun and spec.leaves_networks_open:
        asked, spec = spec, from_table.completed(spec, table)
        if spec.finalists.folds != asked.finalists.folds:
            table, spec = _divided(spec, table, settings, rules)
        table = replace(table, notes=(*table.notes, _OPEN))
    spec = for_task(spec, table.dataset.task, table.task_reason)
    problems = problems_against_table(spec, table.dataset, len(table.test_rows), table.folds)
    if problems:
        raise InvalidSpecError(problems)
    public, addresses = private_addresses.taken_out(spec)
    return PreparedStudy(public, table, addresses=addresses)


def _read(spec: StudySpec, settings: Settings | None, rules: int) -> Loaded:
    allowed = settings.allowed_sources if settings else None
    return tables.read(spec, folds=spec.finalists.folds, allowed=allowed, rules=rules)


def _divided(spec: StudySpec, table: Loaded, settings: Settings | None, rules: int) -> tuple[Loaded, StudySpec]:
    """The table with the folds that nobody but the table has asked for; without them where it cannot be divided so."""
    with contextlib.suppress(InvalidSpecError):
        divided = _read(spec, settings, rules)
        if divided.has_whole_folds:
            return divided, spec
    return table, spec.model_copy(update={"finalists": spec.finalists.model_copy(update={"folds": None})})


def earlier_of(spec: StudySpec, settings: Settings) -> EarlierStudy | None:
    """The study of a warm start, if one is asked for and can teach this one.

    Raises:
        InvalidSpecError: There is no such study, or it cannot.
        RecorderError: The record cannot be read.
    """
    study_id = spec.search.warm_start
    if study_id is None:
        return None
    from search_service.recorders.mlflow import history as mlflow_history

    earlier = mlflow_history.read_study(settings.record_uri, study_id)
    if earlier is None:
        where = settings.shown_record
        rule, fix = f"the id of a study in the record at {where}", "check the id, --home or the server"
        raise InvalidSpecError([Problem(warm_start.KEY, study_id, rule, fix)])
    if problems := warm_start.problems(earlier, space=spec.space(), base=spec.trial, metric=spec.metric):
        raise InvalidSpecError(problems)
    return earlier


def prepare_again(study_id: str, *, settings: Settings) -> PreparedStudy:
    """Read a study that has been begun, or whose folder holds its spec only, to go on with it.

    Args:
        study_id: Id of a study under ``settings.home``.
        settings: Where studies are.

    Raises:
        DataError: There is no such study, it has ended, or its table is not what it was.
        InvalidSpecError: The table cannot be used any more.
    """
    folder = study_folder.find(settings.studies, study_id, named=study_folder.OPTION)
    require_unfinished(folder)
    study = read_again(folder, settings)
    return replace(study, earlier=taught(folder, study.spec, settings))


def taught(folder: StudyFolder, spec: StudySpec, settings: Settings) -> EarlierStudy | None:
    """The study of a warm start, as it was taken over, whatever has become of it since; else as ``earlier_of``."""
    return folder.read("warm-start", EarlierStudy) or earlier_of(spec, settings)


def read_again(folder: StudyFolder, settings: Settings) -> PreparedStudy:
    """A study's spec and the table that it began with."""
    raw = private_addresses.put_back(study_folder.load_spec(folder), folder.path, settings.whole_addresses)
    began = folder.beginning
    rules = began.rules if began is not None else RULES
    study = _read_table(parse(raw), settings, rules=rules, begun=began is not None)
    if began is not None and began.fingerprint != study.dataset.fingerprint:
        source = shown(str(study.spec.data.source or study.spec.data.train))
        rule = f"the table that study {began.study_id} began with (fingerprint {began.fingerprint}, now "
        rule += f"{study.dataset.fingerprint})"
        raise DataError([Problem("data.source", source, rule, "bring the old file back, or start a new study")])
    if began is not None and began.notes:
        # Whoever goes on knows no more what the config had left open.
        study = replace(study, table=replace(study.table, notes=tuple(began.notes)))
    return replace(study, folder=folder)


def require_unfinished(folder: StudyFolder) -> None:
    """See to it that a study has not ended.

    Raises:
        DataError: It has.
    """
    if folder.ending is not None:
        rule = f"a study that has not ended; this one has {folder.ending}"
        fix = "mend its config as the reason says, and run that"
        if folder.ending.startswith("completed"):
            fix = f"give it more: search-service extend {folder.path.name} --trials 20"
        raise DataError([Problem(study_folder.OPTION, folder.path.name, rule, fix)])
