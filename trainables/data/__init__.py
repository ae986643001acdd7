"""Tables into tensors: ``sources`` read, ``splits`` divide, ``preparation`` scales, ``dataset`` puts it together.

Tables are read and prepared here only.
"""
