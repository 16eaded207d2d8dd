"""The model that MLflow serves: images in, labels and probabilities out.

MLflow runs this file from the model's folder, where a copy of Clarify's code lies beside it, so
that it works where Clarify is not installed.

The column ``image`` holds one image a row:

- text: base64 of an image file, or a ``data:`` URL of one;
- text ``path:NAME``: a file below the folder that the environment variable `FOLDER_VARIABLE`
  names. Without that variable no text is a path: whoever can send a request must not read the
  server's files;
- bytes: the image file itself (Python only, as JSON has no bytes);
- `pathlib.Path`: any file (Python only, so no request can hold one).
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel
from safetensors.numpy import load_file

from clarify.data.images import MAX_PIXELS, BadImage, TooLarge, decode_image, load_image
from clarify.embed.answering import AT_ONCE, probabilities
from clarify.embed.encoders import ImageEncoder, load_backbone
from clarify.embed.packing import unpack
from clarify.errors import ClarifyError, FeatureError, shown
from clarify.method.fit.head import Head

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

__all__ = ["ServedImages"]

COLUMN = "image"
FOLDER_VARIABLE = "SERVED_IMAGES_FOLDER"
PATH = "path:"
MOST_IMAGES = 1024
MOST_PIXELS = 4 * MAX_PIXELS
"""Of all images of a request together: each may have `MAX_PIXELS`, and decoding that many takes seconds."""

MOST_BYTES = 32 * 1024**2
MOST_TEXT = 4 * MOST_BYTES // 3 + 1024
"""Characters of base64 that MOST_BYTES become, with room for a ``data:`` URL's beginning."""


class RefusedRequest(MlflowException):
    """A request that is not legal: status 400, and one line.

    MLflow's server puts the whole table of the request before the message; this one keeps its own.
    """

    def __init__(self, line: str) -> None:
        self._line = " ".join(line.split())
        super().__init__(self._line, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """The line."""
        return self._line

    @message.setter
    def message(self, text: str) -> None:
        """Keep the line, whatever is put around it."""


class ServedImages(PythonModel):
    """An encoder with a linear head."""

    def load_context(self, context: Any) -> None:
        """Read head and encoder from the model's own files, or find the encoder by its name."""
        described = json.loads(Path(context.artifacts["description"]).read_text(encoding="utf-8"))
        self.head = Head.from_arrays(
            load_file(context.artifacts["weights"]), class_names=described["class_names"]
        )
        if "encoder" in context.artifacts:
            self.encoder = unpack(Path(context.artifacts["encoder"]))
        else:
            self.encoder = _found(described["spec"], described["encoder"])

    # Of all type hints MLflow takes this one without a warning: it leaves the check to the schema.
    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> pd.DataFrame:
        """Return a label and one probability a class for each row of the column ``image``.

        Raises
        ------
        RefusedRequest
            If the column is missing, there are no images or more than 1,024, they have more pixels than
            `MOST_PIXELS` together, or one cannot be used: then nothing is answered, and the message names
            its row, counted from 0.
        """
        cells = _cells(model_input)
        found = np.concatenate([probabilities(self.encoder, self.head, part) for part in self._inputs(cells)])
        names = self.head.class_names
        answer = pd.DataFrame(found, columns=list(names))
        answer.insert(0, "label", [names[k] for k in found.argmax(axis=1)])
        return answer

    def _inputs(self, cells: list[Any]) -> Iterator[list[torch.Tensor]]:
        """Prepare so many images at once as the encoder takes."""
        left = MOST_PIXELS
        for start in range(0, len(cells), AT_ONCE):
            ready = []
            for row, cell in enumerate(cells[start : start + AT_ONCE], start):
                image = _image(row, cell, left)
                left -= image.width * image.height
                ready.append(self.encoder.preprocess(image))
            yield ready


def _found(spec: str, identity: dict[str, Any]) -> ImageEncoder:
    """Load the encoder that the model was registered with, and no other."""
    encoder = load_backbone(spec)
    seen = encoder.identity.to_dict()
    for part in ("weights", "architecture", "preprocessing"):
        if seen[part] != identity[part]:
            raise FeatureError(
                f"encoder {spec} has {part} {shown(seen[part], most=80)}, the model was registered "
                f"with {shown(identity[part], most=80)}; put the same file of weights there, or "
                "promote again without --encoder-by-hash"
            )
    return encoder


def _cells(table: Any) -> list[Any]:
    if not isinstance(table, pd.DataFrame) or COLUMN not in table.columns:
        raise RefusedRequest(f"give a table with the column {COLUMN!r}, one image a row")
    if not 1 <= len(table) <= MOST_IMAGES:
        raise RefusedRequest(
            f"the request has {len(table)} images; legal are 1 to {MOST_IMAGES}: send several"
        )
    return list(table[COLUMN])


def _image(row: int, cell: Any, left: int) -> Image:
    """Decode an image of at most so many pixels; their number is known before they are decoded."""
    most = min(left, MAX_PIXELS)
    try:
        if isinstance(cell, Path):
            return load_image(cell, max_pixels=most)
        if isinstance(cell, str) and cell.startswith(PATH):
            return _below_folder(cell.removeprefix(PATH), most)
        return _decoded(cell if isinstance(cell, bytes) else _bytes_of(cell), most)
    except TooLarge as bad:
        together = f"; the images of a request may have {MOST_PIXELS:,} together: send several"
        why = bad.reason + (together if most < MAX_PIXELS else "")
        raise RefusedRequest(f"row {row}: the image cannot be used: {why}") from None
    except BadImage as bad:
        raise RefusedRequest(f"row {row}: the image cannot be used: {bad.reason}") from None
    except (ClarifyError, ValueError) as error:
        raise RefusedRequest(f"row {row}: {error}") from None


def _bytes_of(cell: Any) -> bytes:
    if not isinstance(cell, str):
        raise ValueError(f"an image is text (base64) or bytes, not {type(cell).__name__}")
    if len(cell) > MOST_TEXT:
        raise ValueError(f"{len(cell)} characters of base64; legal are {MOST_BYTES} bytes")
    text = cell.partition(",")[2] if cell.startswith("data:") else cell
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(
            f"{shown(cell[:40])} is not base64; a path is given as pathlib.Path from Python, or "
            f"as {PATH}NAME below the folder of {FOLDER_VARIABLE}"
        ) from None


def _decoded(content: bytes, most: int) -> Image:
    if len(content) > MOST_BYTES:
        raise ValueError(f"the image file has {len(content)} bytes; legal are {MOST_BYTES}")
    if not content:
        raise ValueError("the image file is empty")
    # The name is only for a message that is not shown.
    return decode_image(io.BufferedReader(io.BytesIO(content)), Path("image"), max_pixels=most)


def _below_folder(name: str, most: int) -> Image:
    folder = os.environ.get(FOLDER_VARIABLE, "")
    if not folder:
        raise ValueError(f"paths are not taken: the server's {FOLDER_VARIABLE} names no folder; send base64")
    path = Path(folder) / name
    try:
        return load_image(path, max_pixels=most, inside=Path(folder))
    except BadImage as bad:
        # Where a link leads, or what else is on the server, is nobody's business.
        away = "leads out" in bad.reason or "cannot be opened" in bad.reason
        raise ValueError(
            f"{shown(name)} cannot be used: "
            + (f"not a file below the folder of {FOLDER_VARIABLE}" if away else bad.reason)
        ) from None


set_model(ServedImages())
