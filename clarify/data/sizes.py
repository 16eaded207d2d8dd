"""How much memory a stranger's file would take: by its own table of contents, before any of it is read.

A file of one megabyte may say that it holds a hundred million rows; whoever reads it first is killed by the
system, and takes the dashboard along.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np

__all__ = ["free_bytes", "refusal"]

SHARE = 0.5
"""Of the free memory that a file may take: what is read of it stands beside it for a while."""

SUSPICIOUS, SMALL = 300, 1 << 28
"""A file that unpacks to so many times its size, and to more than that, was made to do harm."""

TEXT_BYTES, NUMBER_BYTES = 16, 8


def free_bytes() -> int:
    """Return how much memory is free: what the system and the container allow, whichever is less."""
    free = [_meminfo("MemAvailable")]
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    if limit is not None and used is not None:
        free.append(max(0, limit - used))
    return min(free)


def refusal(path: Path) -> str:
    """Return why a file is not to be read, for the end of a sentence; empty if it may be.

    Parameters
    ----------
    path : Path
        A ``.parquet``, ``.npz``, or anything else, of which nothing is said. What is broken is left to
        whoever reads it.
    """
    try:
        needed = _of_parquet(path) if path.suffix.lower() == ".parquet" else _of_npz(path)
    except Exception:  # whatever a broken file provokes: its reader says what is wrong with it
        return ""
    size, free = path.stat().st_size, free_bytes()
    if needed > SHARE * free:
        return f"it would take {_gib(needed)} of the {_gib(free)} of memory that are free"
    if needed > max(SMALL, SUSPICIOUS * size):
        return f"its {size:,} bytes would unpack to {_gib(needed)}, which no honest file does"
    return ""


def _of_parquet(path: Path) -> int:
    from pyarrow.parquet import read_metadata

    found = read_metadata(path)
    needed = 0
    for group in range(found.num_row_groups):
        for column in range(found.num_columns):
            chunk = found.row_group(group).column(column)
            each = TEXT_BYTES if chunk.physical_type == "BYTE_ARRAY" else NUMBER_BYTES
            needed += chunk.total_uncompressed_size + each * chunk.num_values
    return needed


def _of_npz(path: Path) -> int:
    if path.suffix.lower() != ".npz":
        return 0
    needed = 0
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0
                shape, _, kind = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)
                needed += math.prod(shape) * kind.itemsize
    return needed


def _meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 1 << 62


def _cgroup(name: str) -> int | None:
    try:
        return int(Path("/sys/fs/cgroup", name).read_text().strip())
    except (OSError, ValueError):
        return None


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
