"""The dashboard's server: Streamlit's application, with the pictures beside it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.ui.pictures import picture_route
from clarify.ui.shared import shared
from clarify.ui.visitors import name_route

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["SCRIPT", "lifespan", "routes"]

SCRIPT = Path(__file__).with_name("script.py")


@contextlib.asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """Record what was tried before the server ends."""
    yield
    shared().desks.close()


def routes() -> list[BaseRoute]:
    """Return what the server answers beside Streamlit's own.

    Raises
    ------
    InputError, StoreError
        If a setting is not legal, or the home cannot be written.
    """
    found = shared()
    return [
        picture_route(found.addresses, found.desks.manifest, found.thumbnails),
        name_route(found.tags),
    ]
