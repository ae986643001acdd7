"""What to train next, where, and what we learnt: a hyperparameter search that follows the six-step recipe.

Begin with ``study.py``, which reads like the recipe itself; docs/architecture.md has the map.
"""

__version__ = "0.1.0"
