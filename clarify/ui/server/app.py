"""The dashboard's server: Streamlit's application, with the pictures beside it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.errors import ClarifyError
from clarify.ui.server.entry import entry_routes
from clarify.ui.server.guard import Guard
from clarify.ui.server.pictures import picture_route
from clarify.ui.server.shared import shared
from clarify.ui.server.visitors import name_route

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.routing import BaseRoute

__all__ = ["NAMES", "SCRIPT", "lifespan", "middleware", "routes"]

SCRIPT = Path(__file__).parents[1] / "pieces" / "script.py"
NAMES = ("describe", "retrain", "compare", "registry", "tutorial")
"""Of the pages, as they stand in addresses; Classes is the first, and has none."""


@contextlib.asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """Get ready for the first visit; record what was tried before the server ends."""
    found = shared()
    found.background.once("warm up", lambda say: warm_up())
    yield
    found.background.stop()
    found.desks.close()


def warm_up() -> None:
    """Load what every page needs: libraries, the first data set, what its model gets wrong.

    Python's collector is then told to leave all of it alone. It would look through a million
    objects at a time, several times a minute, while everybody waits a third of a second.
    """
    import plotly.graph_objects  # noqa: F401 - the slowest import of the pages
    import scipy.stats  # noqa: F401 - the next, for a score's p-value

    desks = shared().desks
    with contextlib.suppress(ClarifyError):  # the page that needs it says what is wrong
        for name in desks.names()[:1]:
            desk = desks.desk(name)
            desk.failures()
            desk.split("train")
            desk.project.encoder.encode_phrases(["warm"])
    gc.collect()
    gc.freeze()


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
        name_route(found.name_tags),
        *entry_routes(found.addresses.prefix, NAMES),
    ]


def middleware() -> list[Middleware]:
    """Return what stands before all that the server answers."""
    from starlette.middleware import Middleware

    return [Middleware(Guard)]
