"""Which trials are stopped early: successive halving (ASHA) over one or several brackets."""
