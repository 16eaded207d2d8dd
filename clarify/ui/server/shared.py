"""What the dashboard's process has once: settings, data sets, addresses, thumbnails.

This is a composition root: adapters are built here.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path

from clarify.config import Settings, read_settings
from clarify.data.thumbnails import Thumbnails
from clarify.ui.server.background import Background
from clarify.ui.server.desk import Desks
from clarify.ui.server.pictures import PictureAddresses
from clarify.ui.server.secret import read_secret
from clarify.ui.server.visitors import NameTags

__all__ = ["Shared", "shared"]


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
