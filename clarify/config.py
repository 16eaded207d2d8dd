"""Settings: flag > environment > `clarify.toml` in the current folder > that in the home > default.

The environment's names are `CLARIFY_*`; only the tracking store's address keeps the name that
MLflow gave it.
"""

from __future__ import annotations

import dataclasses
import getpass
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from clarify.errors import InputError, is_name, nearest, one_spelling, shown

__all__ = ["Settings", "read_settings"]

FILE_NAME = "clarify.toml"
PREFIX = "CLARIFY_"
VARIABLES = {"tracking_uri": "MLFLOW_TRACKING_URI"}
"""Settings whose variable in the environment is another's."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a command needs to know before it starts.

    Parameters
    ----------
    home : Path
        Absolute folder that holds data_manifests, images, features and mlruns.
    encoder : str
        What embeds images and phrases, where it was named by a flag or the environment:
        ``small-clip``, ``open_clip:ARCHITECTURE:TAG_OR_FILE``, ``imported:LABEL`` or
        ``bridge:LABEL``; empty is the data set's own.
    backbone : str
        What embeds images for the models, where it was named: ``timm:MODEL[:PATH]`` or an encoder's
        name; empty is the data set's own.
    usual_encoder : str
        What ``clarify.toml`` calls ``encoder``: it embeds data sets that have none of their own yet.
    reviewer : str
        Who writes the descriptions; goes into every record.
    workers : int
        Threads that decode images, and processes that draw the demo's; at least 1.
    leads : tuple of str
        Who may promote in the dashboard; empty is everybody.
    trusted_issuer : str
        The login's provider, as its claim ``iss``, whose addresses count as verified though it does not say
        so of them.
    tracking_uri : str
        Where runs are kept; empty is the SQLite store in the home. May hold a password.
    gate : mapping of name to number
        Limits of the gate, the table ``[gate]`` of ``clarify.toml``; what is not given is as usual.
    """

    home: Path
    encoder: str = ""
    backbone: str = ""
    usual_encoder: str = ""
    reviewer: str = "unknown"
    workers: int = 2
    leads: tuple[str, ...] = ()
    trusted_issuer: str = ""
    tracking_uri: str = dataclasses.field(default="", repr=False)
    gate: Mapping[str, object] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError(f"workers is {self.workers}; legal is 1 or more")
        if not is_name(self.reviewer):
            raise InputError(
                f"reviewer is {shown(self.reviewer)}; legal is a printable name of 1 to 100 "
                "characters: give --reviewer NAME"
            )
        object.__setattr__(self, "reviewer", one_spelling(self.reviewer))


def read_settings(
    flags: Mapping[str, str | int | None], environ: Mapping[str, str], folder: Path
) -> Settings:
    """Join the five sources, the first that knows a setting wins.

    Parameters
    ----------
    flags : mapping
        Settings from the command line; None means not given.
    environ : mapping
        The environment: ``MLFLOW_TRACKING_URI``, and ``CLARIFY_*``, each of which must be a
        setting.
    folder : Path
        Where ``clarify.toml`` is looked for first; relative homes are relative to it. The home that is
        found by then may have another.

    Raises
    ------
    InputError
        On an unknown setting, a value of the wrong type, or a broken ``clarify.toml``.
    """
    said = _from_environment(environ) | {key: value for key, value in flags.items() if value is not None}
    from_file = _from_file(folder / FILE_NAME)
    home = (folder / str((from_file | said).get("home", "."))).expanduser().resolve()
    from_file = _from_file(home / FILE_NAME) | from_file
    usual = str(from_file.pop("encoder", ""))
    gate = from_file.pop("gate", {})
    chosen = {"reviewer": _user()} | from_file | said
    return Settings(
        home=home,
        encoder=str(chosen.get("encoder", "")),
        backbone=str(chosen.get("backbone", "")),
        usual_encoder=usual,
        reviewer=str(chosen["reviewer"]),
        workers=_whole_number(chosen.get("workers", 2)),
        leads=_names(str(chosen.get("leads", ""))),
        trusted_issuer=str(chosen.get("trusted_issuer", "")),
        tracking_uri=str(chosen.get("tracking_uri", "")),
        gate=gate if isinstance(gate, dict) else {},
    )


def _known() -> list[str]:
    return [field.name for field in dataclasses.fields(Settings) if field.name != "usual_encoder"]


def _from_file(path: Path) -> dict[str, object]:
    if not os.path.isfile(path):
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not readable as TOML: {error}; mend or remove it") from None
    for key, value in found.items():
        if key not in _known():
            raise InputError(f"{path}: unknown setting {shown(key)}; {nearest(key, _known())}")
        if key == "gate":
            if not isinstance(value, dict):
                raise InputError(f"{path}: gate is {shown(value)}; legal is a table [gate] of limits")
            continue
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise InputError(f"{path}: {key} is {shown(value)}; legal is a text or a whole number")
    return found


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    settings = {VARIABLES.get(key, PREFIX + key.upper()): key for key in _known() if key != "gate"}
    found: dict[str, object] = {}
    for name, value in environ.items():
        if not value or not (name in settings or name.startswith(PREFIX)):
            continue
        if name not in settings:
            near = nearest(name, settings)
            raise InputError(f"unknown variable {name} in the environment; {near}")
        found[settings[name]] = value
    return found


def _whole_number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise InputError(f"workers is {shown(value)}; legal is a whole number from 1") from None


def _names(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas."""
    return tuple(one_spelling(name) for name in text.split(",") if name.strip())


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user of that number
        return "unknown"
