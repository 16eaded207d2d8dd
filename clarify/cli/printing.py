"""Printing that decides nothing: what a command did is done, whoever can read of it.

A reader who left (``| head``), a full disk under stdout, letters that a terminal cannot show, a stream that
is closed from the start: none of them ends a command, or changes its exit status.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["never_fail", "takes_every_letter", "what_was_lost"]


class _Output(io.FileIO):
    """Takes everything; what cannot be written is dropped, and `lost` says why."""

    lost: OSError | None = None

    def write(self, content: ReadableBuffer, /) -> int:
        if self.lost is None:
            try:
                return super().write(content)
            except OSError as error:
                self.lost = error
        return memoryview(content).nbytes


def never_fail() -> None:
    """Make the process's own stdout and stderr take whatever is printed; others' are left as they are."""
    if sys.stdout is sys.__stdout__:
        sys.stdout = _patient(sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _patient(sys.stderr, line_buffering=True)


def _patient(stream: TextIO | None, *, line_buffering: bool = False) -> TextIO:
    if stream is None:  # it was closed before Python began
        return open(os.devnull, "w", encoding="utf-8")
    output = _Output(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=line_buffering or stream.isatty(),
    )


def takes_every_letter(stream: TextIO) -> bool:
    """Whether nothing that is printed there needs a replacement."""
    return codecs.lookup(stream.encoding or "utf-8").name == "utf-8"


def what_was_lost(stream: TextIO) -> str:
    """Return why the last of what was printed is lost; empty if it is not, or its reader wanted no more."""
    output = getattr(getattr(stream, "buffer", None), "raw", None)
    lost = output.lost if isinstance(output, _Output) else None
    return "" if lost is None or lost.errno == errno.EPIPE else lost.strerror or str(lost)
