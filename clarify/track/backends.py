"""Which kind of tracking store an address leads to."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from clarify.track.address import Address
from clarify.track.postgresql import PostgresqlBackend
from clarify.track.server import ServerBackend
from clarify.track.sqlite import SqliteBackend

__all__ = ["Backend", "backend_of"]

Backend: TypeAlias = SqliteBackend | PostgresqlBackend | ServerBackend


def backend_of(address: Address, home: Path) -> Backend:
    """Return the adapter of an address; files that no server takes go to the home."""
    if address.kind == "postgresql":
        return PostgresqlBackend(address, home)
    if address.kind == "server":
        return ServerBackend(address)
    return SqliteBackend(address)
