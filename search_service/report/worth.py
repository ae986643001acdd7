"""Was it worth it: whether the model beats simpler models on the same test rows, as an answer and as a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search_service.records.finalists import FinalistsResult
from search_service.records.numbers import score_text, spread_text
from trainables.metrics import METRICS, MetricName
from trainables.records import Baseline

Answer = Literal["better", "cannot be told", "not better"]
# The first words of the sentence.
_SAID: dict[Answer, str] = {"better": "Yes", "cannot be told": "It cannot be told", "not better": "No"}


@dataclass(frozen=True)
class Worth:
    """Whether the model beats the simpler models.

    Attributes:
        answer: Better than all of them, worse than one, or not to be told apart from one.
        reason: By how much than which, on how many rows.
    """

    answer: Answer
    reason: str

    @property
    def sentence(self) -> str:
        """Answer and reason."""
        return f"{_SAID[self.answer]}: {self.reason}"


def worth(final: FinalistsResult) -> str | None:
    """The sentence of ``judge``; None if there is none to compare with."""
    found = judge(final)
    return None if found is None else found.sentence


def judge(final: FinalistsResult) -> Worth | None:
    """Whether the model beats the simpler models on test rows; None if there is none to compare with.

    It is better or worse, or cannot be told apart from another on so many rows, by a comparison row by row
    (``trainables/advantage.py``). The simplest of all ignores the inputs: what is no better is worth nothing.
    """
    if final.shortfall:
        return Worth("not better", final.shortfall)
    metric = METRICS[final.metric]
    scored = [b for b in final.baselines if math.isfinite(b.test.get(final.metric, math.nan))]
    if not scored:
        return None
    best = min(scored, key=lambda baseline: metric.rank(baseline.test[final.metric]))
    if any(baseline.lead is None for baseline in scored):
        return _worth_by_seeds(final, scored, best)
    # The simplest first: it is named where it is enough.
    worse = [baseline for baseline in scored if baseline.lead is not None and baseline.lead.sign < 0]
    alike = [baseline for baseline in scored if baseline.lead is not None and baseline.lead.sign == 0]
    named = (worse or alike or [best])[0]
    other = "" if named is best else f"; {_with_score(best, final.metric)} is the best baseline"
    assert named.lead is not None
    by, rows = (
        f"{spread_text(abs(named.lead.difference))} ± {spread_text(named.lead.error)}",
        f"{named.lead.rows:,} rows",
    )
    model, score = (
        f"the model's test {final.metric} {score_text(final.model_test_score)}",
        _with_score(named, final.metric),
    )
    but = _but(final, scored)
    if worse:
        return Worth("not better", f"{model} is worse than {score}, by {by} on the same {rows}{other}")
    if alike:
        than = "better" if named.lead.difference > 0 else "worse"
        reason = f"{model} is {than} than {score} by {by}, which {rows} leave to chance{other}{but}"
        return Worth("cannot be told", reason)
    return Worth("better", f"{model} is better than the best baseline, {score}, by {by} on the same {rows}{but}")


def _but(final: FinalistsResult, scored: Sequence[Baseline]) -> str:
    """By which other metrics the model clearly loses against a baseline, and against which most; empty if by none."""
    losses, chosen_by = [], None if final.threshold is None else final.threshold.chosen_by
    for name in dict.fromkeys(name for baseline in scored for name in baseline.leads if name != final.metric):
        if chosen_by is not None and METRICS[name].of_named_classes and name != chosen_by:
            # Each has a threshold that is best by another score, and what this one is there says nothing of the models.
            continue
        clear = [baseline for baseline in scored if name in baseline.leads and baseline.leads[name].sign < 0]
        if clear:
            worst = min(clear, key=lambda baseline: METRICS[name].rank(baseline.test[name]))
            behind = worst.leads[name].difference if METRICS[name].mode == "max" else -worst.leads[name].difference
            model, other = worst.test[name] + behind, worst.test[name]
            losses.append(f"its {name} {score_text(model)} is worse than the {score_text(other)} of {worst.model}")
    return f"; but {', and '.join(losses)}" if losses else ""


def _worth_by_seeds(final: FinalistsResult, scored: Sequence[Baseline], best: Baseline) -> Worth:
    """The same of studies of earlier versions, which did not compare row by row.

    The network has to be better by more than one standard deviation over its seeds; of the models that it does not beat
    so, the simplest is named, and the best where that is another.
    """
    metric, mean, noise = METRICS[final.metric], final.test_mean, final.test_std
    lead = noise if metric.mode == "max" else -noise
    as_good = [b for b in scored if not metric.better(mean - lead, b.test[final.metric])]
    network = f"test {final.metric} {score_text(mean)} ± {spread_text(noise)}"
    if not as_good:
        return Worth("better", f"{network} is better than the best baseline, {_with_score(best, final.metric)}")
    simplest = as_good[0]
    others = "" if simplest is best else f", and {_with_score(best, final.metric)} is the best baseline"
    if not metric.better(simplest.test[final.metric], mean + lead):
        named = f"{_with_score(simplest, final.metric)}, which is simpler"
        return Worth("not better", f"{network} is not better, within its seeds' noise, than {named}{others}")
    reason = f"{network} is worse than {_with_score(simplest, final.metric)}, which is simpler{others}"
    return Worth("not better", reason)


def _with_score(baseline: Baseline, metric: MetricName) -> str:
    return f"{baseline.model} ({score_text(baseline.test[metric])})"
