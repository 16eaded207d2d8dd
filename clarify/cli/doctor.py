"""The command `clarify doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify.cli.shell import Commands, Shell
from clarify.errors import ClarifyError

if TYPE_CHECKING:
    from clarify.track.mlflow import TrackingStore

__all__ = ["add_commands"]


def _doctor(shell: Shell) -> None:
    from clarify.report.doctor import findings
    from clarify.workflow.home.doctor import examine

    settings = shell.settings

    def open_store() -> TrackingStore:
        from clarify.track.mlflow import TrackingStore

        return TrackingStore(settings.home, uri=settings.tracking_uri)

    found = examine(
        settings.home, encoder=settings.encoder, backbone=settings.backbone, open_store=open_store
    )
    wrong = [each.what for each in found if each.state == "wrong"]
    result = {"ok": not wrong, "findings": [each.to_dict() for each in found]}
    shell.answer(result, findings(found))
    if wrong:
        raise ClarifyError(f"{len(wrong)} wrong: {', '.join(wrong)}; see what is said of each")


def add_commands(commands: Commands) -> None:
    """Add it."""
    commands.add(
        "doctor",
        _doctor,
        "Look over the installation, the home and the tracking store; change nothing.",
        "doctor",
        data_set=False,
    )
