"""Was it worth it: whether the model beats simpler models on the same test rows, as an answer and as a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search_service.records.finalists import FinalistsResult
from search_service.records.numbers import score_text, spread_text
from trainables.metrics import METRICS, MetricName
from trainables.records import Advantage, Baseline

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


def not_compared(final: FinalistsResult) -> str:
    """What is said where there is nothing to compare with: whether it was worth it is not known, and why."""
    if final.baselines_left_out:
        return "Not known: there was no time for simpler models; with more, the study says whether a network is needed"
    return "Not known: there is no simpler model to compare with, so nothing says whether a network was needed"


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
    # In the order of the list the simplest comes first.
    worse = [baseline for baseline in scored if baseline.lead is not None and baseline.lead.sign < 0]
    alike = [baseline for baseline in scored if baseline.lead is not None and baseline.lead.sign == 0]
    model = f"the model's test {final.metric} {score_text(final.model_test_score)}"
    # What is said of another metric goes on where this one is behind, too.
    ahead = [baseline for baseline in alike if baseline.lead is not None and baseline.lead.difference < 0]
    but = _but(final, scored, "and" if ahead else "but")
    but += _of_its_probabilities(final, "and" if but else "but")
    if not worse and not alike:
        assert best.lead is not None
        than = f"better than the best baseline, {_with_score(best, final.metric)}, by {_by(best.lead)}"
        return Worth("better", f"{model} is {than} on the same {best.lead.rows:,} rows{but}")
    # The best of them is what it is held against; the simplest is named beside it, since it would be enough.
    first = min(worse or alike, key=lambda baseline: metric.rank(baseline.test[final.metric]))
    simplest = (worse or alike)[0]
    assert first.lead is not None
    rows = f"{first.lead.rows:,} rows"
    other = "" if first is best else f"; {_with_score(best, final.metric)} is the best baseline"
    if worse:
        too = "" if simplest is first else f", and also than {_with_score(simplest, final.metric)}, which is simpler"
        than = f"worse than {_with_score(first, final.metric)}, by {_by(first.lead)} on the same {rows}"
        return Worth("not better", f"{model} is {than}{too}{other}")
    too = ""
    if simplest is not first:
        too = f"; nor can it be told from {_with_score(simplest, final.metric)}, which is simpler"
    left = f", which {rows} leave to chance" if first.lead.difference else f" on these {rows}"
    reason = f"{model} is {_against(first, final.metric)}{left}{too}{other}{but}"
    return Worth("cannot be told", reason)


def _against(baseline: Baseline, metric: MetricName) -> str:
    """Which of the two is ahead, by how much."""
    lead, named = baseline.lead, _with_score(baseline, metric)
    assert lead is not None
    if lead.difference == 0:
        return f"as good as {named}"
    return f"{'better' if lead.difference > 0 else 'worse'} than {named} by {_by(lead)}"


def _by(lead: Advantage) -> str:
    return f"{spread_text(abs(lead.difference))} ± {spread_text(lead.error)}"


def _but(final: FinalistsResult, scored: Sequence[Baseline], word: str) -> str:
    """By which other metrics the model clearly loses against a baseline, and against which most; empty if by none."""
    losses: dict[str, list[str]] = {}
    chosen_by = None if final.threshold is None else final.threshold.chosen_by
    for name in dict.fromkeys(name for baseline in scored for name in baseline.leads if name != final.metric):
        if chosen_by is not None and METRICS[name].of_named_classes and name != chosen_by:
            # Each has a threshold that is best by another score, and what this one is there says nothing of the models.
            continue
        clear = [baseline for baseline in scored if name in baseline.leads and baseline.leads[name].sign < 0]
        if clear:
            worst = min(clear, key=lambda baseline: METRICS[name].rank(baseline.test[name]))
            behind = worst.leads[name].difference if METRICS[name].mode == "max" else -worst.leads[name].difference
            scores = f"{score_text(worst.test[name])} against {score_text(worst.test[name] + behind)}"
            losses.setdefault(worst.model, []).append(f"{name} ({scores})")
    ahead = [f"{model} is ahead by {' and '.join(names)}" for model, names in losses.items()]
    return f"; {word} {', and '.join(ahead)}" if ahead else ""


def _of_its_probabilities(final: FinalistsResult, word: str) -> str:
    """That the model's probabilities say less than how frequent the classes are, where they do; else empty.

    Weighted classes do that: a rare class is named more often, and as more probable than it is.
    """
    whose, of_model = "its", final.model_test_metrics
    if of_model is None:
        # One of the winner's networks: what is known is their mean.
        whose, of_model = "its networks'", final.test_metrics
    own, trivial = (found.get("log_loss", math.nan) for found in (of_model, final.trivial_test_metrics))
    if final.metric == "log_loss" or not own > trivial:
        return ""
    weighted = ", as weighted classes make them" if final.finalists[0].config.class_weights != "none" else ""
    scores = f"log_loss {score_text(own)} against {score_text(trivial)}"
    return f"; {word} {whose} probabilities are further off than the classes' frequencies ({scores}){weighted}"


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
