"""Who is at the dashboard, and what they may do.

With OpenID Connect configured (an ``[auth]`` section in Streamlit's secrets) it is the verified address
that they logged in with, or their subject: a name in a profile, and an address that nobody verified, may be
chosen at will, and could be a lead's. Without, they
are asked for a name once, and a signed cookie remembers it: that is a name on the records, not a
proof. Only those in the setting ``leads`` promote; where it is empty, everybody.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from urllib.parse import quote

from clarify.errors import InputError, RefusedError, is_name, one_spelling, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

__all__ = ["COOKIE", "NameTags", "Visitor", "check_name", "logged_in_as", "name_route", "visitor"]

COOKIE = "clarify_reviewer"
SUBJECT = "sub:"
"""Before who somebody is by their provider's own identifier: so it is never a lead's address or name."""

TRUE_AS_TEXT = "true"
"""So some providers write it; whatever else they write, nobody verified."""

YEAR_S = 31_536_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody at the dashboard: their `name` goes into every record of theirs, a `lead` may promote."""

    name: str
    lead: bool


def visitor(name: str, leads: Sequence[str]) -> Visitor:
    """Return who somebody is by the settings."""
    return Visitor(name=name, lead=not leads or name in leads)


def check_name(text: str) -> str:
    """Return a name's one spelling; InputError if it is not 1 to 100 printable characters."""
    name = one_spelling(text)
    if not is_name(name):
        raise InputError(f"the name is {shown(text)}; legal are 1 to 100 printable characters")
    return name


def logged_in_as(claims: Mapping[str, object], trusted_issuer: str = "") -> str:
    """Return who an OpenID Connect provider says that somebody is: an address, or ``sub:SUBJECT``.

    Parameters
    ----------
    claims : mapping
        What the identity token says of them: the address if it says that it is verified, else the
        subject, which the provider alone gives out.
    trusted_issuer : str
        A provider (its claim ``iss``) whose addresses are all verified, though it does not say so of each.

    Raises
    ------
    RefusedError
        If it says neither.
    """
    said = claims.get("email_verified")
    verified = said is True or said == TRUE_AS_TEXT
    trusted = bool(trusted_issuer) and claims.get("iss") == trusted_issuer
    address, subject = claims.get("email"), claims.get("sub")
    if isinstance(address, str) and "@" in address and (verified or trusted):
        return check_name(address)
    if isinstance(subject, str) and subject.strip():
        return check_name(f"{SUBJECT}{subject}")
    raise RefusedError(
        "your login tells neither a verified address nor who you are; ask who runs the login to send "
        "the claims email and email_verified, or sub"
    )


class NameTags:
    """Signs a name for the cookie by `read_secret`'s secret, and reads it back.

    All addresses of the server begin with the prefix, as ``/team``; it is empty where the server is alone.
    """

    def __init__(self, secret: str, *, prefix: str = "") -> None:
        from itsdangerous import URLSafeSerializer

        self.prefix = prefix
        self._serializer = URLSafeSerializer(secret, salt="clarify.reviewer")

    def write(self, name: str) -> str:
        """Return a signed tag of a name, fit for a cookie and an address."""
        return str(self._serializer.dumps(name))

    def read(self, tag: str) -> str | None:
        """Return the name on a tag, or None if it was not written here."""
        from itsdangerous import BadData

        try:
            return check_name(str(self._serializer.loads(tag)))
        except (BadData, InputError):
            return None

    def address(self, name: str) -> str:
        """Return the address that puts the tag into a cookie of whoever loads it."""
        return f"{self.prefix}/remember/{quote(self.write(name))}"


def name_route(tags: NameTags) -> BaseRoute:
    """Return the route that remembers a name in a cookie."""
    from starlette.routing import Route

    def remember(request: Request) -> Response:
        from starlette.responses import Response

        tag = str(request.path_params["tag"])
        if tags.read(tag) is None:
            return Response(status_code=403)
        answer = Response(status_code=204)
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        answer.set_cookie(
            COOKIE, tag, max_age=YEAR_S, path=tags.prefix or "/", httponly=True, samesite="lax", secure=secure
        )
        return answer

    return Route(tags.prefix + "/remember/{tag}", remember)
