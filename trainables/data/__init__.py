"""Tables into tensors: ``sources`` read, ``splits`` divide, ``preparation`` scales, ``dataset`` puts it together.

The only package of the project that knows the table libraries (pyarrow, scikit-learn).
"""
