"""Adapters built from settings: the one place where the parts are put together.

The command line and the dashboard begin here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clarify.config import Settings
    from clarify.workflow.model.project import Workspace

__all__ = ["open_project"]


def open_project(settings: Settings, name: str, *, say: Callable[[str], None] | None = None) -> Workspace:
    """Build the adapters for one data set of a home; `say` is told what takes long."""
    from clarify.data.manifest import open_manifest
    from clarify.data.thumbnails import Thumbnails
    from clarify.embed.encoders import load_backbone, load_encoder
    from clarify.embed.imported import imported_folder
    from clarify.embed.store import FeatureStore
    from clarify.track.mlflow import TrackingStore
    from clarify.workflow.model.project import Workspace

    manifest = open_manifest(settings.home, name)
    imported = imported_folder(settings.home, name)
    encoder = load_encoder(settings.encoder, imported=imported)
    own = settings.backbone in ("", settings.encoder)
    return Workspace(
        home=settings.home,
        manifest=manifest,
        encoder=encoder,
        backbone=encoder if own else load_backbone(settings.backbone, imported=imported),
        store=FeatureStore(settings.home),
        tracking=TrackingStore(settings.home, uri=settings.tracking_uri, say=say),
        thumbnails=Thumbnails(settings.home),
        reviewer=settings.reviewer,
    )
