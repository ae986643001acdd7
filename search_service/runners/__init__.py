"""Where a round is run: here (``inline``) or by Ray Tune over CPUs, GPUs and nodes (``ray_tune``).

Both use the same ``cohort`` (training between rungs) and ``book`` (who was asked, who ended how), so that the same
trials with the same scores come out; they differ in who calls whom, and when.
"""
