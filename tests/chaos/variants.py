"""The studies that are disturbed: small, with everything in them that a kill may catch in the middle."""

from __future__ import annotations

from dataclasses import dataclass

SPEC = """
name: chaos
data: {{source: wine}}
trial: {{network: {{hidden_sizes: [8], dropout: 0.2}}, optimizer: {{lr: 1e-2}}, batch_size: 16}}
search_space:
  optimizer.weight_decay: {{low: 1e-3, high: 1.0, log: true}}
  network.dropout: {{low: 0.1, high: 0.4}}
search:
  sampler: {sampler}
  coarse: {{max_trials: {coarse}, max_epochs: 6}}
  refined: {{max_trials: {refined}, max_epochs: 9}}
  grace_period: 2
  max_cycles: 1
  population_size: {population}
finalists: {{top: 2, seeds: 2, baselines: false}}
"""
TRIALS = (24, 16)


@dataclass(frozen=True)
class Variant:
    """One kind of study.

    Attributes:
        name: Of it.
        runner: ``inline`` or ``ray``.
        sampler: Of its rounds.
        population: Trials that are trained together; from 2 on, cohorts are paused and merged.
        server: Whether its record is kept by an MLflow server, which may be killed, too.
        is_repeatable: Whether a disturbed study must end with the very numbers of an undisturbed one.
        trials: Of its coarse and its refined round.
    """

    name: str
    runner: str = "inline"
    sampler: str = "random"
    population: int = 1
    server: bool = False
    is_repeatable: bool = True
    trials: tuple[int, int] = TRIALS

    @property
    def spec(self) -> str:
        """Its config."""
        coarse, refined = self.trials
        return SPEC.format(sampler=self.sampler, population=self.population, coarse=coarse, refined=refined)


# On Ray the order in which trials are judged is that of the workers, disturbed or not. A sampler that is asked ahead
# and learns knows less after a kill, since it is asked again; one without a memory, or a fixed sequence, does not.
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("inline-random-1"),
        Variant("inline-random-4", population=4),
        Variant("inline-quasi-random-4", sampler="quasi_random", population=4),
        Variant("inline-tpe-4", sampler="tpe", population=4, is_repeatable=False),
        Variant("inline-gp-1", sampler="gp", is_repeatable=False),
        Variant("inline-cma-es-1", sampler="cma_es", is_repeatable=False),
        Variant("inline-server-4", population=4, server=True),
        Variant("ray-random-1", runner="ray", is_repeatable=False),
        Variant("ray-tpe-4", runner="ray", sampler="tpe", population=4, is_repeatable=False),
    )
}
