"""How networks learn: populations of multilayer perceptrons, their data, and what can be measured on them.

Everything trained here is a population: K networks of one shape whose parameters carry a leading axis K.
This package knows torch and the table libraries (in ``data/``), and nothing of Ray, MLflow, Optuna or the
search service. Axes are named K (population), B (batch), D (features), H (units of a layer), C (outputs),
P (parameters of one network) throughout.
"""
