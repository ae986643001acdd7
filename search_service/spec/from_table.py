"""The config that a table alone stands for: what ``search-service run table.csv --target y`` runs.

    table = wiring.inspect(parse(least(source)), ...)             # looked at, once its target is known
    config = starting_config(source, target, Found(...))
    config.plain                                                  # what parse takes
    config.text                                                   # YAML with the reason of each line

What it says depends on the table in three things: networks are smaller where rows are few, finalists are
cross-validated there and where a class has few, and a metric that sees a rare class takes the place of accuracy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from search_service.spec import config_file
from trainables.data.locations import BUNDLED, OPENML, is_url
from trainables.metrics import MetricName, balanced_rows

# Suffixes of what is a config and no table; the others are a table's, or nobody's.
CONFIG_SUFFIXES = (".yaml", ".yml", ".json")
# Of tables in formats that are not read, and no configs: who gives one is told which are.
UNREAD_SUFFIXES = (
    ".dat", ".zip", ".7z", ".tar", ".tgz", ".arff", ".xml", ".html", ".h5", ".hdf5", ".orc", ".avro",
    ".pkl", ".pickle", ".sav", ".dta", ".sas7bdat", ".rds", ".db", ".sqlite",
)  # fmt: skip
# Share of the rows below which accuracy says next to nothing of a class, and part of an equal share of all classes
# below which that is what sets it apart: of ten equal classes each has a tenth.
RARE_SHARE, RARE_PART = 0.1, 0.5
# Training rows below which wide networks memorise.
FEW_ROWS = 1_000
# Training rows of equally frequent classes below which the validation rows are too few to choose by. Of 7 200 rows with
# 3.8 % positives (1 050) there are 90 positives among the validation rows: the best of 56 trials by these was worse
# than logistic regression by up to 0.07 of ROC AUC.
FEW_TO_CHOOSE, FOLDS = 2_000, 5
# Beside a linear model: up to twice and half as wide as the networks that steps 1 to 3 run.
_SMALL_NETWORK, _SMALL_NETWORKS = [32, 32], [[], [16], [64], [32, 32], [64, 64]]
_NETWORK, _NETWORKS = [128, 128, 128], [[], [128], [128, 128], [128, 128, 128], [256, 256], [256, 256, 256]]
_ASKED = "as asked"
# Column of the YAML in which reasons begin; what is longer has its reason behind it.
_REASONS_AT = 58


@dataclass(frozen=True)
class Found:
    """What a config follows from.

    Attributes:
        task: classification or regression.
        task_reason: Why, in words.
        rows: Training rows.
        classes: Share of each class among the training rows; none for numbers.
        lines: What else a person should know of the table, a sentence each.
        folds: Whether its rows can be divided into ``FOLDS`` folds, each with what there is to learn and to judge by.
    """

    task: str
    task_reason: str
    rows: int
    classes: Mapping[str, float] = field(default_factory=dict)
    lines: Sequence[str] = ()
    folds: bool = True

    @property
    def rarest(self) -> tuple[str, float]:
        """The least class and its share."""
        name = min(self.classes, key=lambda key: self.classes[key])
        return name, self.classes[name]


@dataclass(frozen=True)
class Line:
    """A key of the config with its value, and why it says that.

    Attributes:
        key: Dotted path; leaves of the search space have dots of their own.
        value: As JSON has it.
        why: A reason, or what the key is for.
    """

    key: str
    value: Any
    why: str


@dataclass(frozen=True)
class StartingConfig:
    """A config that a table stands for.

    Attributes:
        lines: Its keys.
        found: What it follows from.
    """

    lines: tuple[Line, ...]
    found: Found

    @property
    def plain(self) -> dict[str, Any]:
        """Plain data, as a config file has it, and the caller's to change."""
        config: dict[str, Any] = {}
        for line in self.lines:
            section, _, key = line.key.partition(".")
            if key:
                config.setdefault(section, {})[key] = deepcopy(line.value)
            else:
                config[section] = deepcopy(line.value)
        return config

    def changed(self, plain: Mapping[str, Any]) -> StartingConfig:
        """With the keys and values of ``plain``, which the user has changed; what is new stands behind its section."""
        left = {
            f"{section}.{key}" if key else section: value
            for section, entries in plain.items()
            # A section without keys says something, too: search_space: {}.
            for key, value in (entries.items() if isinstance(entries, dict) and entries else [("", entries)])
        }
        lines: list[Line] = []
        for line, following in zip(self.lines, [*self.lines[1:], None], strict=True):
            if line.key in left:
                value = left.pop(line.key)
                lines.append(line if value == line.value else Line(line.key, value, _ASKED))
            section = line.key.partition(".")[0]
            if following is None or following.key.partition(".")[0] != section:
                mine = [key for key in left if key.partition(".")[0] == section]
                lines += [Line(key, left.pop(key), _ASKED) for key in mine]
        return StartingConfig((*lines, *(Line(key, value, _ASKED) for key, value in left.items())), self.found)

    @property
    def text(self) -> str:
        """YAML that reads as ``plain``, with the reasons."""
        written, section = [f"# {_one_line(line)}" for line in self.found.lines], ""
        for line in self.lines:
            head, _, key = line.key.partition(".")
            if key and head != section:
                written.append(f"\n{head}:")
            section = head if key else ""
            entry = f"{'  ' if key else ''}{key or head}: {config_file.written(line.value)}"
            written.append(f"{entry:<{_REASONS_AT - 2}}  # {_one_line(line.why)}")
        return "\n".join(written) + "\n"


def is_table(given: str) -> bool:
    """Whether what stands where a config is expected is a table's path, address or name."""
    path = Path(given)
    if given in BUNDLED:
        return not path.exists()
    if given.startswith(OPENML) or path.is_dir():
        return True
    place = urlsplit(given).path if is_url(given) else given
    suffix = PurePosixPath(place).suffix.lower()
    if suffix == ".json":
        # A config may be one, too.
        from search_service.spec.study_spec import StudySpec
        from trainables.data.json_documents import holds_table

        return is_url(given) or holds_table(path, StudySpec.model_fields)
    return suffix not in CONFIG_SUFFIXES and (is_url(given) or _has_known_suffix(place) or suffix in UNREAD_SUFFIXES)


def least(source: str) -> dict[str, Any]:
    """Plain data of the shortest config of a table, by which it can be looked at; its target is the user's to add.

    Args:
        source: As ``data.source``.
    """
    return {"name": _name(source), "data": {"source": source}}


def starting_config(source: str, target: str | None, found: Found, minutes: float | None = None) -> StartingConfig:
    """The config that a table stands for.

    Args:
        source: As ``data.source``.
        target: Name of the target column; None for tables that bring their own.
        found: What the table is like.
        minutes: That the study is to take; None for rounds of a fixed size.
    """
    few = found.rows < FEW_ROWS
    rows = f"{found.rows:,} training rows"
    lines = [
        Line("schema_version", 1, "version of this format"),
        Line("name", _name(source), "names the study and its record"),
        Line("seed", 0, "decides everything random"),
        Line("data.source", source, "the table; a path is relative to this file"),
    ]
    if target is not None:
        lines.append(Line("data.target", target, f"{found.task}: {found.task_reason}"))
    metric, why = _metric(found)
    lines += [
        Line("objective.metric", metric, why),
        Line("trial.network", {"hidden_sizes": _SMALL_NETWORK if few else _NETWORK}, "steps 1 to 3 run this network"),
        Line(
            "search_space.network.hidden_sizes",
            {"choices": _SMALL_NETWORKS if few else _NETWORKS},
            f"[] is a linear model; as large as {rows} bear",
        ),
        Line("search_space.network.activation", {"choices": ["relu", "silu"]}, "silu is smooth: better on some tables"),
        Line("search_space.network.dropout", {"low": 0.0, "high": 0.4}, "share of hidden units left out in training"),
        Line(
            "search_space.optimizer.weight_decay",
            {"low": 1e-4, "high": 1.0, "log": True},
            "how hard weights are pulled to 0",
        ),
    ]
    if metric == "macro_f1" and found.rarest[1] < RARE_SHARE:
        # Not for roc_auc: weights hardly change an order, and spoil the probabilities.
        weights = {"choices": ["none", "balanced"]}
        lines.append(
            Line("search_space.class_weights", weights, "balanced: each class counts for as much as the others")
        )
    if minutes is None:
        lines += [
            Line("search.coarse", {"max_trials": 32, "max_epochs": 9}, "step 4: many configurations, few epochs"),
            Line("search.refined", {"max_trials": 24, "max_epochs": 45}, "step 5: narrower ranges, more epochs"),
            Line("finalists.top", 3, "configurations trained again from fresh seeds"),
        ]
    else:
        lines.append(Line("search.minutes", minutes, "trials, epochs, finalists and seeds: as many as fit in"))
    # Each class must be on both sides of each division, several times.
    has_enough = all(share * found.rows >= 2 * FOLDS for share in found.classes.values())
    if found.folds and has_enough and _few_to_choose(found, minutes):
        which = rows if found.rows < FEW_TO_CHOOSE else f"{found.rarest[1]:.1%} of {rows}"
        lines.append(Line("finalists.folds", FOLDS, f"cross-validation: {which} are few to choose by"))
    return StartingConfig(tuple(lines), found)


def settled(plain: Mapping[str, Any], overrides: Sequence[str]) -> list[str]:
    """Leaves that a table's config searches of itself, and that are not to be searched by what somebody has changed.

    Args:
        plain: The config that the table stands for.
        overrides: ``key=value`` each.
    """
    keys = [config_file.assigned(override).partition("=")[0].strip() for override in overrides]
    if "search_space" in keys:
        # All of it is somebody's own.
        return []
    fixed = [key.removeprefix("trial.") for key in keys if key.startswith("trial.")]
    asked = [key.removeprefix("search_space.") for key in keys if key.startswith("search_space.")]
    # Another optimiser may know no weight decay apart from its gradient.
    others = [leaf for leaf in plain["search_space"] if leaf.startswith("optimizer.") and "optimizer.name" in fixed]
    return [
        leaf
        for leaf in plain["search_space"]
        if not any(key == leaf or key.startswith(f"{leaf}.") for key in asked)
        and (leaf in others or any(leaf == key or leaf.startswith(f"{key}.") for key in fixed))
    ]


def _few_to_choose(found: Found, minutes: float | None) -> bool:
    """Whether a validation part is too few rows to tell networks apart.

    Of many rows with few of a class the folds take so long that hardly any search would be left of some minutes.
    """
    informative = balanced_rows(list(found.classes.values()), found.rows) if minutes is None else found.rows
    return informative < FEW_TO_CHOOSE


def _metric(found: Found) -> tuple[MetricName, str]:
    """What is optimised, and why."""
    if found.task == "regression":
        return "rmse", "root mean squared error, in the target's units; or mae, r2"
    rarest, share = found.rarest
    if share >= min(RARE_SHARE, RARE_PART / len(found.classes)):
        return "accuracy", "share of rows that are right; or balanced_accuracy, macro_f1, roc_auc, log_loss"
    why = f"the class {rarest!r} has {share:.1%} of the rows, which accuracy would hardly see"
    return ("roc_auc", why) if len(found.classes) == 2 else ("macro_f1", why)


def _name(source: str) -> str:
    """A study's name, of its table's."""
    place = urlsplit(source).path if is_url(source) else source.removeprefix(OPENML)
    # Of t.csv.gz, t.
    stem = re.sub(
        r"(?<=.)\.(csv|tsv|json|jsonl|ndjson)$", "", PurePosixPath(place.rstrip("/")).stem, flags=re.IGNORECASE
    )
    # Of accented letters the letter is left.
    letters = unicodedata.normalize("NFKD", stem.replace("ß", "ss"))
    stem = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-._")[:64] or "table"


def _one_line(text: str) -> str:
    """Titles and labels of a table may hold anything."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))


def _has_known_suffix(name: str) -> bool:
    # pyarrow takes a tenth of a second, which --help need not wait for.
    from trainables.data.formats import SUFFIXES, suffix_of

    suffix = suffix_of(PurePosixPath(name).name)
    return suffix in SUFFIXES or suffix.count(".") > 1
