"""The size of a network as a second objective of a search: known before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from search_service.records.round_plan import RoundPlan
from search_service.space.layers import in_config
from trainables.network import count_parameters


def size_objective(plan: RoundPlan) -> Callable[[Mapping[str, Any]], float] | None:
    """The second objective of a round whose networks are to be small as well, by the leaves of a configuration.

    Returns:
        log10 of the number of parameters, so that doubling it costs the same at any size; None where the score is the
        only objective.
    """
    ends = plan.sampling.ends
    if ends is None:
        return None

    def cost(values: Mapping[str, Any]) -> float:
        network = plan.base.replace(in_config(values, plan.base)).network
        orders: float = math.log10(count_parameters(network, *ends))
        return orders

    return cost
