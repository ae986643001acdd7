"""Which configurations are tried: random, quasi-random, grid, TPE, GP and CMA-ES."""
