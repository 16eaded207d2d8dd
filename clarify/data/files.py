"""Files that are either whole or absent, and what the system says when it refuses."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from clarify.errors import StoreError

__all__ = ["locked", "sync_folder", "why", "write_atomically", "writing"]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def writing(folder: Path, *, hint: str) -> Iterator[None]:
    """Turn the system's refusals to write under `folder` into one clear error.

    Parameters
    ----------
    folder : Path
        Where is written; named in the message.
    hint : str
        What is kept and which command goes on; ends the message when the disk is full.

    Raises
    ------
    StoreError
        If the disk (or quota, or allowed file size) is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StoreError(f"no room left to write in {folder} ({why(error)}): make room; {hint}") from None
        raise StoreError(
            f"cannot write in {folder} ({why(error)}): make it writable or give another --home"
        ) from None


def why(error: OSError) -> str:
    """Return what the system says; of no room in words that everybody knows."""
    said = error.strerror or str(error)
    return f"the disk is full: {said}" if error.errno in FULL else said


@contextlib.contextmanager
def locked(folder: Path, *, hint: str, taken: str) -> Iterator[None]:
    """Keep other processes out of a folder, which is made if absent.

    Raises
    ------
    StoreError
        Saying `taken` if another is at work in it; as `writing` if it cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock", timeout=0)
    with writing(folder, hint=hint):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise StoreError(taken) from None
    try:
        yield
    finally:
        lock.release()


def write_atomically(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write `parts` to `path` so that a reader, or a crash, sees all of them or the old file.

    Parameters
    ----------
    path : Path
        The file; its folder exists. A temporary neighbour is written, flushed to the disk
        and renamed.
    parts : iterable of bytes-like
        The content, one after the other.

    Raises OSError as the system reports it; no temporary file is left behind.
    """
    # By chance, not by process: threads share a number, and so do processes of two containers.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
