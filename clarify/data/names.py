"""Which texts may be names in a manifest."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from clarify.errors import ManifestError, is_name, shown

__all__ = ["SAFE_NAME", "alike_notes", "check_name", "check_names", "check_text"]

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names that may be names of folders."""


def check_name(name: str) -> None:
    """Raise ManifestError unless a text may be the name of a data set."""
    if not SAFE_NAME.fullmatch(name):
        raise ManifestError(
            f"name is {shown(name)}; legal are 1 to 64 letters, digits, '.', '_' or '-', "
            "a letter or digit first"
        )


def check_names(what: str, names: tuple[str, ...], *, least: int) -> None:
    """Raise ManifestError unless there are at least `least` names, all legal and different."""
    for name in names:
        check_text(f"a name in {what}", name, most=100)
    composed = [unicodedata.normalize("NFC", name) for name in names]
    if len(set(composed)) < len(names):
        twice = next(name for name in composed if composed.count(name) > 1)
        raise ManifestError(f"{what} has {twice!r} twice; names must differ, in more than their Unicode form")
    if len(names) < least:
        raise ManifestError(f"{what} has {len(names)} names; at least {least} are needed")


def check_text(what: str, text: object, *, most: int) -> None:
    """Raise ManifestError unless a text is one line of 1 to `most` printable characters."""
    if not is_name(text, most=most):
        raise ManifestError(f"{what} is {shown(text)}; legal is one line of 1 to {most} printable characters")


def alike_notes(names: Iterable[str]) -> tuple[str, ...]:
    """Say which names of classes a person may not tell apart: but for case or blanks they are one."""
    of_key: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        of_key["".join(name.casefold().split())].append(name)
    return tuple(
        f"classes {', '.join(map(shown, twins))} differ in case or blanks only; if they are one, give them "
        "one name and import again"
        for twins in of_key.values()
        if len(twins) > 1
    )
