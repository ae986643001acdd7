"""What leaves the project: a model in formats that others read, and predictions."""
