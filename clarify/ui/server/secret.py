"""What the dashboard signs with: addresses of pictures, and who somebody said they are."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from clarify.data.files import writing

__all__ = ["read_secret"]

BYTES = 32


def read_secret(home: Path) -> str:
    """Return the home's secret, made at the first call; only the owner may read its file.

    Raises
    ------
    StoreError
        If the home cannot be written.
    """
    path = Path(home) / "cache" / "dashboard.key"
    with writing(path.parent, hint="then start the dashboard again"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            return path.read_text(encoding="ascii")
        own = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(BYTES))
        with contextlib.suppress(FileExistsError):  # another process was faster: its secret counts
            os.link(own, path)
        own.unlink()
        return path.read_text(encoding="ascii")
