"""Which placement groups Tune has made for its workers, so that they can be given back when it ends.

A placement group holds a worker's CPUs and GPUs until it is removed. Tune removes what it has left when its controller
is deleted, and a controller may be kept for long: an exception with a traceback, in a log handler that keeps its
records, is enough. Whoever came next would wait for CPUs that nobody uses.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import Any

from ray import tune
from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

from search_service.records.round_plan import Resources

# By the owner's name: Tune pickles what it is given and works with copies of it.
_made: defaultdict[str, list[PlacementGroup]] = defaultdict(list)


class Places(tune.PlacementGroupFactory):
    """Places for workers of these resources.

    Args:
        resources: What each worker may use.
    """

    def __init__(self, resources: Resources) -> None:
        super().__init__([{"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}])
        self._owner = uuid.uuid4().hex

    def __eq__(self, other: object) -> bool:
        """Whether it is the same, or a copy of it.

        Tune compares it a dozen times for each trial; comparing what it asks for was a seventh of what a trial costs.
        """
        return isinstance(other, Places) and self._owner == other._owner

    def __hash__(self) -> int:
        return hash(self._owner)

    def __deepcopy__(self, memo: dict[int, Any]) -> Places:
        """Nothing of it changes, and Tune copies it for each trial."""
        return self

    def to_placement_group(self) -> PlacementGroup:
        """Tune asks for a place."""
        place = super().to_placement_group()
        _made[self._owner].append(place)
        return place

    def give_back(self) -> None:
        """Remove those that are still there."""
        made = _made.pop(self._owner, [])
        states = {place_id: place["state"] for place_id, place in placement_group_table().items()}
        for place in made:
            if states.get(place.id.hex()) != "REMOVED":
                remove_placement_group(place)
