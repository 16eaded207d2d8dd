"""The demonstration data sets by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clarify.demo.dataset import DemoDataset, DemoGroup, DemoRow, write_images
from clarify.demo.sprites import SPRITES
from clarify.demo.waterbirds import EASIER, WATERBIRDS

__all__ = ["DATASETS", "DemoDataset", "DemoGroup", "DemoRow", "write_images"]

DATASETS: Mapping[str, DemoDataset] = MappingProxyType(
    {dataset.name: dataset for dataset in (WATERBIRDS, *EASIER, SPRITES)}
)
"""Every data set that can be made on any machine, by its name."""
