"""The address of a tracking store: which are legal, and how one is shown without its password."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from clarify.errors import InputError

__all__ = ["Address", "read_address"]

Kind = Literal["sqlite", "postgresql", "server"]
SQLITE = "sqlite:///"
LEGAL = (
    "legal are postgresql://USER@HOST/DATABASE, http://HOST:PORT or https://HOST of an MLflow "
    "server, sqlite:////ABSOLUTE/PATH.db, or nothing for the store in the home"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the runs are kept.

    Parameters
    ----------
    uri : str
        As MLflow takes it; may hold a password.
    shown : str
        The same for people and records, the password as ``***``.
    database : Path or None
        The file, of SQLite.
    """

    kind: Kind
    uri: str
    shown: str
    database: Path | None = None

    def hide(self, text: str) -> str:
        """Return a text that others wrote about this store, on one line, without its passwords."""
        found = text.replace(self.uri, self.shown)
        for secret in _secrets(self.uri):
            found = found.replace(secret, "***")
        return " ".join(found.split())


def read_address(uri: str, home: Path) -> Address:
    """Understand the setting ``tracking_uri``; empty is the SQLite store of the home.

    Parameters
    ----------
    home : Path
        Absolute.

    Raises
    ------
    InputError
        If it is none of the legal kinds; the message names no password.
    """
    uri = uri.strip()
    if not uri:
        return _sqlite(home / "mlruns" / "mlflow.db")
    if uri.startswith(f"{SQLITE}/"):
        return _sqlite(Path(uri.removeprefix(SQLITE)))
    hidden = _shown(uri)
    scheme = uri.partition(":")[0].lower()
    if scheme.partition("+")[0] == "postgresql" and _has(uri, database=True):
        return Address(kind="postgresql", uri=_with_driver(uri), shown=hidden)
    if scheme in {"http", "https"} and _has(uri, database=False):
        return Address(kind="server", uri=uri.rstrip("/"), shown=hidden.rstrip("/"))
    raise InputError(f"the tracking store's address (MLFLOW_TRACKING_URI) is {hidden!r}; {LEGAL}")


def _with_driver(uri: str) -> str:
    """Name the driver that is installed: which one a bare address means differs by version."""
    scheme, mark, rest = uri.partition("://")
    if "+" in scheme:
        return uri
    only_three = find_spec("psycopg2") is None and find_spec("psycopg") is not None
    return f"{scheme}+{'psycopg' if only_three else 'psycopg2'}{mark}{rest}"


def _sqlite(database: Path) -> Address:
    uri = f"{SQLITE}{database}"
    return Address(kind="sqlite", uri=uri, shown=uri, database=database)


def _has(uri: str, *, database: bool) -> bool:
    """Whether an address has the parts that its kind needs."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return False
    return len(parts.path) > 1 if database else bool(parts.hostname)


def _secrets(uri: str) -> list[str]:
    """Return the passwords in an address, as written and as meant, longest first."""
    user, query, _ = _parts(uri)
    written = {user.partition(":")[2], *(value for _, value in _asked(query))}
    return sorted((written | {unquote(each) for each in written}) - {""}, key=len, reverse=True)


def _shown(uri: str) -> str:
    """Return an address without passwords, whatever else is wrong with it."""
    user, query, (start, rest) = _parts(uri)
    name, colon, _ = user.partition(":")
    hidden = f"{name}{':***' if colon else ''}@" if user else ""
    pairs = [f"{key}=***" if "password" in key.lower() else f"{key}={value}" for key, value in _pairs(query)]
    return f"{start}{hidden}{rest}" + (f"?{'&'.join(pairs)}" if query else "")


def _parts(uri: str) -> tuple[str, str, tuple[str, str]]:
    """Return user with password, query, and what is before and between them.

    A password may hold a / that should have been written %2F: it must not be shown either.
    """
    start, mark, rest = uri.partition("://") if "://" in uri else ("", "", uri)
    before, _, query = rest.partition("?")
    user, _, after = before.rpartition("@")
    return user, query, (f"{start}{mark}", after)


def _pairs(query: str) -> list[tuple[str, str]]:
    cut = [pair.partition("=") for pair in query.split("&") if pair]
    return [(key, value) for key, _, value in cut]


def _asked(query: str) -> list[tuple[str, str]]:
    return [pair for pair in _pairs(query) if "password" in pair[0].lower()]
