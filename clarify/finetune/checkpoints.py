"""Where a training stands, on disk: one file, whole or as it was before.

``<home>/checkpoints/<digest>/`` holds ``checkpoint.safetensors`` (weights, optimiser, running
values; in its header everything else, as JSON) and the lock of the training that writes it. Nothing
is pickled.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.data.files import locked, write_atomically, writing
from clarify.errors import StoreError, one_line

if TYPE_CHECKING:
    import torch

__all__ = ["Checkpoints"]

FILE = "checkpoint.safetensors"
SCHEMA_VERSION = 1


class Checkpoints:
    """The checkpoint of one training.

    Parameters
    ----------
    folder : Path
        Its own; made when first written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / FILE

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep other trainings out of the folder; StoreError if one is at work, or it cannot be written."""
        return locked(
            self.folder,
            hint="then give the same command again",
            taken=f"the same training is at work already, in {self.folder}; wait for it, or choose "
            "another --seed",
        )

    def write(self, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
        """Replace the checkpoint.

        Raises
        ------
        StoreError
            If the disk is full or cannot be written; the one before stays whole.
        """
        from safetensors.torch import save

        header = {"values": json.dumps({"schema_version": SCHEMA_VERSION, **values})}
        content = save({name: each.contiguous() for name, each in tensors.items()}, header)
        hint = "the checkpoint before is whole: give the same command again, and it goes on there"
        with writing(self.folder, hint=hint):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, [content])

    def read(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Return tensors and values of the checkpoint; None if there is none.

        Raises
        ------
        StoreError
            If it is damaged.
        """
        if not self._file.is_file():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._file, framework="pt") as file:
                values = json.loads(file.metadata()["values"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if values.pop("schema_version") != SCHEMA_VERSION:
                raise ValueError("it is of another version of Clarify")
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            why = one_line(error, 120)
            raise StoreError(
                f"the checkpoint {self._file} cannot be read ({why}); remove it to begin anew"
            ) from None
        return tensors, values

    def remove(self) -> None:
        """Remove it: what it led to is recorded."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)
