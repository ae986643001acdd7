"""Whether a disk has room. A full one pauses a study: nothing of it has failed, and with room again it goes on."""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path

from search_service.errors import NoRoomError

# Bytes that must be free before a study begins: a fresh record takes 2 MB, the pictures of a study 2 MB, its model and
# checkpoints of the default network 10 MB. A study of larger networks needs more, which only training shows.
LEAST_FREE = 64 * 2**20
# Bytes that are written to see whether there is room: a checkpoint of some networks of the default size.
PROBE = 2**20


def require_room(folder: Path) -> None:
    """See to it that a study is not begun on a disk that is nearly full.

    Args:
        folder: Exists, on that disk.

    Raises:
        NoRoomError: There are fewer.
    """
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise NoRoomError(
            f"{folder} has {free / 2**20:.1f} MB of free space, and a study needs at least "
            f"{LEAST_FREE / 2**20:.0f} MB: free some, or choose another --home"
        )


def has_room(folder: Path) -> bool:
    """Whether something can still be written; quotas count, too."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            left = memoryview(bytes(PROBE))
            while left:
                left = left[file.write(left) :]
    except OSError as error:
        return not is_full(error)
    return True


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or somebody's part of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def paused(folder: Path) -> NoRoomError:
    """What is said of a study on a disk that is full.

    Args:
        folder: The study's folder.
    """
    return NoRoomError(
        f"no space is left on the disk of {folder}: what was finished is kept, nothing has failed. Free some, then go "
        f"on with: search-service run --study {folder.name}"
    )
