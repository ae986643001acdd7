"""Pictures for the record, one file per kind. Each function takes a result and returns a matplotlib Figure."""
