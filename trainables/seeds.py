"""Seeds that follow from what they are for, so that nothing depends on the order in which things run.

>>> derive_seed(0, "epoch", 1) == derive_seed(0, "epoch", 1)
True
>>> derive_seed(0, "epoch", 1) == derive_seed(0, "epoch", 2)
False
"""

from __future__ import annotations

import hashlib


def derive_seed(*parts: int | str) -> int:
    """Hash ``parts`` to a seed in [0, 2**63), the same on every machine and in every Python.

    Args:
        parts: What the seed is for, from the general to the particular: ``derive_seed(study, "trial", 7)``.
    """
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    # torch.Generator.manual_seed and numpy both take non-negative 63-bit integers.
    return int.from_bytes(digest[:8], "big") >> 1
