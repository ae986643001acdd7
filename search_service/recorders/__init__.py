"""Who writes down what happens: ``mlflow`` for people and programs, ``memory`` for tests and notebooks."""
