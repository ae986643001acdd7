"""Results in words and numbers, for people and for programs."""
