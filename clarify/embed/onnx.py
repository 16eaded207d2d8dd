"""A model as one ONNX file: pictures in, logits and probabilities out, for programs without Python.

The input is RGB in [0, 1], already at the model's size; what is subtracted and divided is in the
file, and so are the names of the classes and how pictures are brought to size.
"""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.data.files import write_atomically, writing
from clarify.embed.deferred import loaded
from clarify.embed.image_model import ImageModel, quiet
from clarify.errors import FeatureError, InputError, one_line

if TYPE_CHECKING:
    from clarify.embed.identity import ImageEncoder
    from clarify.method.fit.head import Head

__all__ = ["AGREE", "write_onnx"]

AGREE = 1e-4
"""How far the file's logits may be from the model's own."""

CHECKED = 3


def write_onnx(encoder: ImageEncoder, head: Head, path: Path) -> float:
    """Write a model, and return how far its logits are from the model's own, at most.

    Parameters
    ----------
    head : Head
        On the encoder's features.

    Raises
    ------
    InputError
        If onnx and onnxruntime are not installed, the encoder has no network, or the network
        cannot be written so.
    FeatureError
        If the file does not agree with the model; it is not written then.
    StoreError
        If it cannot be written.
    """
    encoder = loaded(encoder)
    if not isinstance(encoder, ImageModel):
        raise InputError(f"encoder {encoder.name} was imported: there is no network to write")
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"{error.name} is not installed; install it: pip install 'clarify[onnx]'") from None
    content = _exported(encoder, head)
    apart = _apart(content, encoder, head)
    if not apart <= AGREE:
        raise FeatureError(
            f"the ONNX file's logits are up to {apart:.2g} from those of {encoder.name}; at most "
            f"{AGREE:g} is legal, so it is not written"
        )
    with writing(path.parent, hint="then give the same command again"):
        write_atomically(path, [content])
    return apart


def _exported(encoder: ImageModel, head: Head) -> bytes:
    import onnx
    import torch

    side = encoder.preprocessing.size
    file = io.BytesIO()
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    try:
        with quiet():
            program = torch.onnx.export(
                _module(encoder, head),
                (torch.zeros(2, 3, side, side),),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=["logits", "probabilities"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            )
        assert program is not None
        model = program.model_proto
    except Exception as error:  # whatever an architecture provokes
        raise InputError(f"{encoder.name} cannot be written as ONNX ({one_line(error)})") from None
    told = {
        "class_names": json.dumps(list(head.class_names), ensure_ascii=False),
        "preprocessing": json.dumps(encoder.preprocessing.to_dict()),
        "input": "RGB in [0, 1], float32 (batch, 3, size, size)",
    }
    onnx.helper.set_model_props(model, told)
    onnx.save_model(model, file)
    return file.getvalue()


def _module(encoder: ImageModel, head: Head) -> Any:
    """Return body and head as one module that takes RGB in [0, 1]."""
    import torch

    def constant(values: Any) -> torch.Tensor:
        return torch.tensor(np.array(values), dtype=torch.float32)

    pictures = encoder.preprocessing
    picture_mean, picture_std = (constant(each)[:, None, None] for each in (pictures.mean, pictures.std))
    weight, bias = constant(head.weight), constant(head.bias)
    mean, scale = constant(head.mean), constant(head.scale)

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = encoder.tower

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features = encoder.forward((images - picture_mean) / picture_std)
            if encoder.unit or head.unit:
                features = torch.nn.functional.normalize(features, dim=-1)
            logits = ((features - mean) / scale) @ weight.T + bias
            return logits, torch.softmax(logits, dim=-1)

    return Whole().eval()


def _apart(content: bytes, encoder: ImageModel, head: Head) -> float:
    """Run the file and the model on the same noise; return the largest difference of logits."""
    import onnxruntime
    import torch

    side = encoder.preprocessing.size
    images = np.random.default_rng(0).random((CHECKED, 3, side, side), dtype=np.float32)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found = session.run(["logits"], {"images": images})[0]
    mean, std = (
        np.array(getattr(encoder.preprocessing, name), np.float32)[:, None, None] for name in ("mean", "std")
    )
    features = encoder.encode_images(torch.from_numpy((images - mean) / std))
    return float(np.abs(found - head.logits(features)).max())
