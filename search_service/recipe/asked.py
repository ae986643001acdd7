"""What a config says of how large a study is, where time decides the rest: as it is, or as the most (budgeting.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search_service.recipe import averaging
from search_service.recipe.costs import AVERAGED, LastActSize
from search_service.spec.sections import SearchSpec
from search_service.spec.study_spec import StudySpec

# Lengths of the refined round's trainings, longest first; beyond the usual one only where many trials of it fit.
LENGTHS, USUAL_LENGTH = (90, 60, 45, 36, 27, 18, 12, 9, 6, 4, 3), 45
# Coarse trials are trained for a fifth of that, and for no less than what says something (early_stopping/defaults.py).
COARSE_PART, LEAST_COARSE_EPOCHS = 5, 3
# Trials of any round at least.
FEWEST_TRIALS = 4
# Finalists and seeds, the best first: who has fewer seeds than 2 cannot say anything of noise.
LAST_ACTS = ((3, 5), (3, 4), (3, 3), (3, 2), (2, 2), (1, 2))
# A cycle with fewer trials in one of its rounds is not worth its overhead: the last act takes more seeds instead.
LEAST_OF_CYCLE = 8
# Beyond so many seeds the mean of a finalist hardly moves.
MOST_SEEDS = 10


@dataclass(frozen=True)
class AskedSize:
    """What the config says that time does not decide; None where it says nothing.

    Attributes:
        search: Rules of early stopping, and how many points the coarse round has to try.
        coarse_epochs: Of a coarse trial.
        refined_epochs: Of a refined trial.
        top: Finalists.
        seeds: Of each finalist.
        folds: Of a cross-validation.
        refit: Whether a refit is wanted.
        baselines: Whether simpler models are.
        averaged: Networks that the model may be made of.
        least_epochs: Of a refined trial: those of later cycles are trained for no less than those before.
        most_coarse: Trials of a coarse round at most; None: as is worth it.
        most_refined: Trials of a refined round at most.
        most_epochs: Of a coarse and of a refined trial; None: as is worth it.
        acts: Finalists and seeds of the last act, the best first.
        most_seeds: That a finalist may have where there is time.
    """

    search: SearchSpec
    coarse_epochs: int | None = None
    refined_epochs: int | None = None
    top: int | None = None
    seeds: int | None = None
    folds: int = 0
    refit: bool = True
    baselines: bool = True
    averaged: int = 1
    least_epochs: int = 1
    most_coarse: int | None = None
    most_refined: int | None = None
    most_epochs: tuple[int, int] | None = None
    acts: tuple[tuple[int, int], ...] = LAST_ACTS
    most_seeds: int = MOST_SEEDS

    @classmethod
    def of(cls, spec: StudySpec) -> AskedSize:
        """What stands in a config; defaults are nothing that was asked for."""
        search, finalists, model = spec.search, spec.finalists, spec.model
        coarse, refined = (
            round_.max_epochs if "max_epochs" in round_.model_fields_set else None
            for round_ in (search.coarse, search.refined)
        )
        top, seeds = (
            getattr(finalists, key) if key in finalists.model_fields_set else None for key in ("top", "seeds")
        )
        averaged = averaging.at_most(spec)
        if model.average == "auto":
            averaged = min(averaged, AVERAGED)
        return cls(
            search, coarse, refined, top, seeds, finalists.folds or 0, model.refit, finalists.baselines, averaged
        )

    @classmethod
    def at_most(cls, spec: StudySpec) -> AskedSize:
        """All that a config says, defaults included, where there may be time for less of each."""
        search, (top, seeds) = spec.search, (spec.finalists.top, spec.finalists.seeds)
        fewer = ((min(top, each[0]), min(seeds, each[1])) for each in LAST_ACTS)
        return replace(
            cls.of(spec).of_shorter(),
            top=None,
            seeds=None,
            most_coarse=search.coarse.max_trials,
            most_refined=search.refined.max_trials,
            acts=tuple(dict.fromkeys([(top, seeds), *fewer])),
            most_seeds=seeds,
        )

    def of_shorter(self) -> AskedSize:
        """The same where trainings may be shorter than the config says."""
        search = self.search
        most = (search.coarse.max_epochs, search.refined.max_epochs)
        return replace(self, coarse_epochs=None, refined_epochs=None, most_epochs=most)

    @property
    def lengths(self) -> Sequence[int]:
        """Epochs that a refined training may have, longest first."""
        if self.refined_epochs is not None:
            return (self.refined_epochs,)
        least = max(self.coarse_epochs or 1, self.least_epochs)
        if self.most_epochs is not None:
            _, most = self.most_epochs
            return [most, *(epochs for epochs in LENGTHS if least <= epochs < most)]
        return [epochs for epochs in LENGTHS if epochs >= least] or [least]

    @property
    def fewest_coarse(self) -> int:
        """Trials of a coarse round at least: the config's own, and every point to try."""
        fewest = max(FEWEST_TRIALS, len(self.search.points_to_evaluate) + 2)
        return fewest if self.most_coarse is None else min(fewest, self.most_coarse)

    @property
    def fewest_refined(self) -> int:
        """Trials of a refined round at least."""
        return FEWEST_TRIALS if self.most_refined is None else min(FEWEST_TRIALS, self.most_refined)

    @property
    def fewest_of_cycle(self) -> int:
        """Trials in each of its rounds that another cycle is worth its overhead for."""
        most = [each for each in (self.most_coarse, self.most_refined) if each is not None]
        return max(min([LEAST_OF_CYCLE, *most]), self.fewest_coarse)

    def coarse_length(self, epochs: int) -> int:
        """Epochs of a coarse trial beside refined ones of ``epochs``."""
        if self.most_epochs is not None:
            coarse, refined = self.most_epochs
            return min(coarse, epochs, max(LEAST_COARSE_EPOCHS, round(epochs * coarse / refined)))
        return self.coarse_epochs or min(epochs, max(LEAST_COARSE_EPOCHS, round(epochs / COARSE_PART)))

    def last_acts(self, epochs: int) -> list[LastActSize]:
        """Last acts with trainings of ``epochs``, the best first; the last of them is the least."""
        pairs = dict.fromkeys((self.top or top, self.seeds or seeds) for top, seeds in self.acts)
        most = [
            LastActSize(*pair, self.folds, epochs, self.refit, self.refit, self.baselines, self.averaged)
            for pair in pairs
        ]
        least = most[-1]
        cut = [
            replace(least, length=False),
            replace(least, length=False, baselines=False),
            replace(least, length=False, baselines=False, refit=False),
        ]
        return list(dict.fromkeys([*most, *cut]))
