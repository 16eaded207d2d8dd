"""What the dashboard's process has once: settings, data sets, addresses, thumbnails.

This is a composition root: adapters are built here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import secrets
import stat
from pathlib import Path

from clarify.config import Settings, read_settings
from clarify.data.files import sync_folder, writing
from clarify.data.thumbnails import Thumbnails
from clarify.errors import StoreError
from clarify.ui.server.background import Background
from clarify.ui.server.desk import Desks
from clarify.ui.server.pictures import PictureAddresses
from clarify.ui.server.presence import Presence
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
    presence: Presence


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
    secret, prefix = read_secret(settings.home), _prefix()
    return Shared(
        settings=settings,
        desks=Desks(settings.home, functools.partial(open_project, settings)),
        addresses=PictureAddresses(secret, prefix=prefix),
        name_tags=NameTags(secret, prefix=prefix),
        thumbnails=Thumbnails(settings.home),
        background=Background(),
        presence=Presence(),
    )


def _prefix() -> str:
    """Return what Streamlit's own addresses begin with behind a proxy, as ``/team``; empty without one."""
    from streamlit import config

    parts = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{parts}" if parts else ""


def read_secret(home: Path) -> str:
    """Return what the home's dashboard signs with, made at the first call; only the owner may read it.

    Raises
    ------
    StoreError
        If the home cannot be written, or the secret that is there may be known to others.
    """
    path = Path(home) / "cache" / "dashboard.key"
    with writing(path.parent, hint="then start the dashboard again"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(path):
            _make_secret(path)
        return _own_secret(path)


def _make_secret(path: Path) -> None:
    own = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was faster: its secret counts
            os.link(own, path)
    finally:
        own.unlink()
    sync_folder(path.parent)


def _own_secret(path: Path) -> str:
    """Read a secret that the owner alone may read, of the length that is written here; no other counts."""
    found = path.lstat()
    wrong = "is no file of its own"
    if stat.S_ISREG(found.st_mode):
        text = path.read_bytes()
        wrong = "may be read by others" if found.st_mode & 0o077 else "is not what Clarify wrote"
        if not found.st_mode & 0o077 and re.fullmatch(rb"[0-9a-f]{%d}" % (2 * SECRET_BYTES), text):
            return text.decode("ascii")
    raise StoreError(
        f"{path} {wrong}, so names and pictures could be signed by others; remove it: the next start makes "
        "another, and everybody is asked for their name once more"
    )
