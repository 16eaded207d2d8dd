"""What the dashboard's process has once: settings, data sets, addresses, thumbnails.

This is a composition root: adapters are built here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import secrets
from pathlib import Path

from clarify.config import Settings, read_settings
from clarify.data.files import writing
from clarify.data.thumbnails import Thumbnails
from clarify.ui.server.background import Background
from clarify.ui.server.desk import Desks
from clarify.ui.server.pictures import PictureAddresses
from clarify.ui.server.visitors import NameTags

__all__ = ["Shared", "read_secret", "shared"]

SECRET_BYTES = 32


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Everything that all sessions use."""

    settings: Settings
    desks: Desks
    addresses: PictureAddresses
    name_tags: NameTags
    thumbnails: Thumbnails
    background: Background


@functools.cache
def shared() -> Shared:
    """Read the settings of the environment and the current folder, and open the home.

    Raises
    ------
    InputError, StoreError
        If a setting is not legal, or the home cannot be written.
    """
    from clarify.assembly import open_project

    settings = read_settings({}, os.environ, Path.cwd())
    secret = read_secret(settings.home)
    return Shared(
        settings=settings,
        desks=Desks(settings.home, functools.partial(open_project, settings)),
        addresses=PictureAddresses(secret),
        name_tags=NameTags(secret),
        thumbnails=Thumbnails(settings.home),
        background=Background(),
    )


def read_secret(home: Path) -> str:
    """Return what the home's dashboard signs with, made at the first call; only the owner may read it.

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
            file.write(secrets.token_hex(SECRET_BYTES))
        with contextlib.suppress(FileExistsError):  # another process was faster: its secret counts
            os.link(own, path)
        own.unlink()
        return path.read_text(encoding="ascii")
