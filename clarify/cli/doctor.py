"""The commands that look after a home: doctor, relocate."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING

from clarify.cli.shell import Commands, Shell
from clarify.errors import ClarifyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.track.mlflow import TrackingStore
    from clarify.workflow.home.doctor import Finding

__all__ = ["add_doctor", "add_relocate", "findings"]

WIDTH = 100
MARKS = {"ok": "ok", "note": "note", "wrong": "WRONG"}


def _doctor(shell: Shell) -> None:
    """Look over the installation, the home and the tracking store; change nothing."""
    from clarify.workflow.home.doctor import examine
    from clarify.workflow.home.settling import Settled

    settings = shell.settings

    def open_store() -> TrackingStore:
        from clarify.track.mlflow import TrackingStore

        return TrackingStore(settings.home, uri=settings.tracking_uri)

    named = Settled(encoder=settings.encoder, backbone=settings.backbone)
    found = examine(
        settings.home, named=named, usual=settings.usual_encoder, open_store=open_store, deep=shell.args.deep
    )
    wrong = [each.what for each in found if each.state == "wrong"]
    result = {"ok": not wrong, "findings": [dataclasses.asdict(each) for each in found]}
    shell.answer(result, findings(found))
    if wrong:
        raise ClarifyError(f"{len(wrong)} wrong: {', '.join(wrong)}; see what is said of each")


def findings(found: Sequence[Finding]) -> str:
    """Return one aligned line each, the remedy below it, and how many are wrong."""
    names = min(30, max(len(each.what) for each in found))
    indent = " " * (names + 9)
    lines: list[str] = []
    for each in found:
        lines += textwrap.wrap(
            each.seen,
            WIDTH,
            initial_indent=f"{MARKS[each.state]:<5}  {each.what:<{names}}  ",
            subsequent_indent=indent,
            break_on_hyphens=False,
            break_long_words=False,
        )
        if each.remedy:
            lines += textwrap.wrap(
                each.remedy,
                WIDTH,
                initial_indent=f"{indent}> ",
                subsequent_indent=f"{indent}  ",
                break_on_hyphens=False,
                break_long_words=False,
            )
    wrong = sum(each.state == "wrong" for each in found)
    return "\n".join([*lines, f"{wrong} wrong" if wrong else "nothing is wrong"])


def _relocate(shell: Shell) -> None:
    """Adopt a home that was moved or copied: its runs point to their old place."""
    from clarify.track.mlflow import TrackingStore

    settings = shell.settings
    changed = TrackingStore(settings.home, uri=settings.tracking_uri).relocate()
    shell.answer(
        {"home": str(shell.settings.home), "changed": changed},
        f"{changed} places in the tracking store now point to {shell.settings.home}",
    )


def add_doctor(commands: Commands) -> None:
    """Add ``doctor``."""
    command = commands.add("doctor", _doctor, "doctor", data_set=False)
    command.takes("--deep", "read all features and compare them with their hashes", flag=True)


def add_relocate(commands: Commands) -> None:
    """Add ``relocate``."""
    commands.add("relocate", _relocate, "relocate --home /data/birds", data_set=False)
