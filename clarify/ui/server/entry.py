"""The page that a browser loads first, at whatever page's address: Streamlit's own, told two things more."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

__all__ = ["entry_routes"]

PLACE_FOR_SIDEBAR = """<style>
section[data-testid="stSidebar"] {
  width: 212px !important; min-width: 212px !important; transition: none !important;
}
@media (min-width: 768px) {
  [data-testid="stAppViewContainer"]:not(:has([data-testid="stSidebar"])) > :has(> [data-testid="stMain"]) {
    margin-left: 212px;
  }
}
</style>"""
"""The sidebar comes with the first run of the script; without this, all that is there then moves aside."""


def entry_routes(prefix: str, pages: tuple[str, ...]) -> list[BaseRoute]:
    """Return the routes of the pages' addresses, behind a prefix as ``/team``."""
    from starlette.routing import Route

    def entry(request: Request) -> Response:
        from starlette.responses import HTMLResponse

        return HTMLResponse(_entry(prefix), headers={"Cache-Control": "no-cache"})

    return [Route(f"{prefix}/{page}", entry) for page in ("", *pages)]


@functools.cache
def _entry(prefix: str) -> str:
    """Return Streamlit's page, told where its server is; else it asks under the page's address first."""
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    address = f"location.origin + {json.dumps(prefix + '/')}"
    server = f"<script>window.__streamlit = {{BACKEND_BASE_URL: {address}}}</script>"
    return page.replace("<head>", f"<head>{server}{PLACE_FOR_SIDEBAR}", 1)
