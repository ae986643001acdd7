"""The six steps of a study, one file each, then the finalists.

Every file has the same four parts: the question, why it is asked and when it passes; constants with units and
reasons; ``run``; private helpers. Steps take values and return values: they neither log nor print, and know neither
Ray nor MLflow nor each other. ``study.py`` puts them in order.
"""
