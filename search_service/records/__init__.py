"""What a study knows: results, events and what is computed from them alone."""
