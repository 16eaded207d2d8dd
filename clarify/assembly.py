"""Adapters built from settings: the one place where the parts are put together.

The command line and the dashboard begin here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clarify.config import Settings
    from clarify.embed.encoders import Encoder, ImageEncoder
    from clarify.workflow.model.project import Workspace

__all__ = ["open_project"]


def open_project(
    settings: Settings, name: str, *, say: Callable[[str], None] | None = None, embeds: bool = True
) -> Workspace:
    """Build the adapters for one data set of a home.

    Parameters
    ----------
    say : callable, optional
        Is told what takes long.
    embeds : bool
        Whether its encoder is needed; without it, a damaged one does not matter.
    """
    from clarify.data.manifest import open_manifest
    from clarify.data.thumbnails import Thumbnails
    from clarify.embed.store import FeatureStore
    from clarify.track.mlflow import TrackingStore
    from clarify.track.promotion import Gate
    from clarify.workflow.home.settling import Settled, UnsettledEncoder, encoders_of
    from clarify.workflow.model.project import Workspace

    manifest = open_manifest(settings.home, name)
    tracking = TrackingStore(settings.home, uri=settings.tracking_uri, say=say)
    encoder: Encoder = UnsettledEncoder(data_set=name)
    backbone: ImageEncoder = encoder
    if embeds:
        encoder, backbone = encoders_of(
            settings.home,
            manifest,
            tracking,
            named=Settled(encoder=settings.encoder, backbone=settings.backbone),
            usual=settings.usual_encoder,
        )
    return Workspace(
        home=settings.home,
        manifest=manifest,
        encoder=encoder,
        backbone=backbone,
        store=FeatureStore(settings.home),
        tracking=tracking,
        thumbnails=Thumbnails(settings.home),
        reviewer=settings.reviewer,
        gate=Gate.of_limits(settings.gate),
        leads=settings.leads,
    )
