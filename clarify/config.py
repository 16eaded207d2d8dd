"""Settings: flag > `CLARIFY_*` > `clarify.toml` in the current folder > default."""

from __future__ import annotations

import dataclasses
import getpass
import tomllib
from collections.abc import Mapping
from pathlib import Path

from clarify.errors import InputError, nearest, shown

__all__ = ["Settings", "read_settings"]

FILE_NAME = "clarify.toml"
PREFIX = "CLARIFY_"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a command needs to know before it starts.

    Parameters
    ----------
    home : Path
        Absolute folder that holds data_manifests, images, features and mlruns.
    encoder : str
        The encoder's name: ``small-clip`` or ``open_clip:ARCHITECTURE:TAG_OR_FILE``.
    reviewer : str
        Who writes the descriptions; goes into every record.
    workers : int
        Threads that decode images, and processes that draw the demo's; at least 1.
    """

    home: Path
    encoder: str = "small-clip"
    reviewer: str = "unknown"
    workers: int = 2

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError(f"workers is {self.workers}; legal is 1 or more")
        if not self.reviewer.strip() or not self.reviewer.isprintable() or len(self.reviewer) > 100:
            raise InputError(
                f"reviewer is {shown(self.reviewer)}; legal is a printable name of 1 to 100 "
                "characters: give --reviewer NAME"
            )


def read_settings(
    flags: Mapping[str, str | int | None], environ: Mapping[str, str], folder: Path
) -> Settings:
    """Join the four sources, the first that knows a setting wins.

    Parameters
    ----------
    flags : mapping
        Settings from the command line; None means not given.
    environ : mapping
        The environment; every name that begins with ``CLARIFY_`` must be a setting.
    folder : Path
        Where ``clarify.toml`` is looked for; relative homes are relative to it.

    Raises
    ------
    InputError
        On an unknown setting, a value of the wrong type, or a broken ``clarify.toml``.
    """
    chosen: dict[str, object] = {"home": ".", "reviewer": _user()}
    chosen |= _from_file(folder / FILE_NAME)
    chosen |= _from_environment(environ)
    chosen |= {key: value for key, value in flags.items() if value is not None}
    return Settings(
        home=(folder / str(chosen["home"])).expanduser().resolve(),
        encoder=str(chosen.get("encoder", "small-clip")),
        reviewer=str(chosen["reviewer"]),
        workers=_whole_number(chosen.get("workers", 2)),
    )


def _known() -> list[str]:
    return [field.name for field in dataclasses.fields(Settings)]


def _from_file(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not readable as TOML: {error}; mend or remove it") from None
    for key, value in found.items():
        if key not in _known():
            raise InputError(f"{path}: unknown setting {shown(key)}; {nearest(key, _known())}")
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise InputError(f"{path}: {key} is {shown(value)}; legal is a text or a whole number")
    return found


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or not value:
            continue
        key = name.removeprefix(PREFIX).lower()
        if key not in _known():
            legal = [PREFIX + known.upper() for known in _known()]
            raise InputError(f"unknown variable {name} in the environment; {nearest(name, legal)}")
        found[key] = value
    return found


def _whole_number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise InputError(f"workers is {shown(value)}; legal is a whole number from 1") from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user of that number
        return "unknown"
