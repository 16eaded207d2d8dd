"""Pictures of a data set by signed addresses: only pages that somebody was let into hold them.

``/pictures/DATA_SET/ROW/small`` is a thumbnail, ``/whole`` the image upright and at most 1,600
pixels wide. The signature names data set, row, size and day, so that nobody can ask for a row that
no page showed, an address that is passed on ends with the next day, and browsers keep a picture
for as long. Nothing outside the manifest has an address at all.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.data.images import BadImage, load_image
from clarify.errors import ClarifyError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from clarify.data.manifest import Manifest
    from clarify.data.thumbnails import Thumbnails

__all__ = ["DAYS", "PictureAddresses", "picture_route"]

DAYS = 2
"""On how many days an address is good: the day that it was made, and the next."""

SECONDS_A_DAY = 86_400
WHOLE_SIDE = 1_600
SIZES = ("small", "whole")


class PictureAddresses:
    """Makes addresses of pictures, and tells whether one is its own.

    Parameters
    ----------
    secret : str
        See `read_secret`.
    clock : callable
        Seconds since 1970.
    prefix : str
        What all addresses of this server begin with, as ``/team``; empty where it is alone.
    """

    def __init__(self, secret: str, clock: Callable[[], float] = time.time, *, prefix: str = "") -> None:
        from itsdangerous import Signer

        self.prefix = prefix
        self._signer = Signer(secret, salt="clarify.pictures")
        self._clock = clock

    def of(self, data_set: str, row: int, size: str = "small") -> str:
        """Return the address of a picture: a path on this server."""
        day = int(self._clock() // SECONDS_A_DAY)
        return f"{self.prefix}/pictures/{data_set}/{row}/{size}?{day}.{self._sign(data_set, row, size, day)}"

    def is_good(self, data_set: str, row: int | str, size: str, query: str) -> bool:
        """Whether the part after ``?`` was made by `of`, not too long ago."""
        day, _, signature = query.partition(".")
        today = int(self._clock() // SECONDS_A_DAY)
        if day not in [str(today - since) for since in range(DAYS)]:
            return False
        signed = f"{data_set}/{row}/{size}/{day}".encode()
        return self._signer.verify_signature(signed, signature)

    def _sign(self, data_set: str, row: int, size: str, day: int) -> str:
        return self._signer.get_signature(f"{data_set}/{row}/{size}/{day}").decode()


def picture_route(
    addresses: PictureAddresses, open_manifest: Callable[[str], Manifest], thumbnails: Thumbnails
) -> BaseRoute:
    """Return the route that answers the addresses."""
    from starlette.routing import Route

    def picture(request: Request) -> Response:
        from starlette.responses import Response

        asked = request.path_params
        name, row, size = str(asked["name"]), str(asked["row"]), str(asked["size"])
        if size not in SIZES or not addresses.is_good(name, row, size, request.url.query):
            return Response("This picture is not open to you.", 403)
        try:
            manifest = open_manifest(name)
            path = manifest.root / manifest.table["path"][int(row)]
            content = _content(path, manifest.root, size, thumbnails)
        except (ClarifyError, IndexError):
            return Response("This picture cannot be shown.", 404)
        kept = f"private, max-age={SECONDS_A_DAY}, immutable"
        headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type="image/webp", headers=headers)

    return Route(addresses.prefix + "/pictures/{name}/{row}/{size}", picture)


def _content(path: Path, root: Path, size: str, thumbnails: Thumbnails) -> bytes:
    if size == "small":
        return thumbnails.of(path, inside=root)
    image = load_image(path, inside=root)
    image.thumbnail((WHOLE_SIDE, WHOLE_SIDE))
    content = io.BytesIO()
    try:
        image.save(content, "WEBP", quality=85)
    except OSError as error:
        raise BadImage(path, f"cannot be shown: {error}") from None
    return content.getvalue()
