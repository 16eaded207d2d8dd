"""A model as MLflow keeps it: a folder with weights, code and signature, and no pickle in it."""

from __future__ import annotations

import base64
import dataclasses
import importlib.metadata
import io
import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.track.artifacts import arrays_artifact, json_artifact

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from clarify.method.fit.head import Head
    from clarify.track.verdict import Verdict

__all__ = ["LABEL", "ModelEncoder", "write_model"]

LABEL = "label"
"""Column of the model's answer that holds the likeliest class."""

OF_FEATURES = ("mlflow", "numpy", "pandas", "safetensors")
OF_IMAGES = (*OF_FEATURES, "open_clip_torch", "pillow", "timm", "torch", "torchvision")
LEFT_OUT = (
    *("__pycache__", "*.pyc", "cli", "discover", "evidence", "face", "finetune", "ui", "workflow"),
    *("sources", "pool.py", "cluster.py"),
)
"""Of this package, in a model: what no answer needs."""
WEIGHTS_IN_PACKAGE = "small-clip"
"""The one encoder whose weights are a file of this package."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelEncoder:
    """What makes the features of a model's head.

    Parameters
    ----------
    spec : str
        The text that names it.
    identity : mapping
        Its identity as plain values, the SHA-256 of its weights among them.
    pack : callable or None
        Writes it into a folder. None leaves it out of the model, which then looks for it by its
        name and refuses other weights.
    """

    spec: str
    identity: Mapping[str, object]
    pack: Callable[[Path], None] | None = None


def write_model(
    folder: Path,
    *,
    head: Head,
    name: str,
    identity: Mapping[str, object],
    encoder: ModelEncoder | None,
    verdict: Verdict,
) -> Path:
    """Write a model into a folder that is there, and return the model's own folder in it.

    Parameters
    ----------
    folder : Path
        Also takes what the model is made of.
    head : Head
        Takes raw features.
    name : str
        The model's.
    identity : mapping
        Of the encoder whose features the head takes.
    encoder : ModelEncoder or None
        Then the model takes images; None makes a model that takes features.
    verdict : Verdict
        Kept beside it.
    """
    target = folder / "model"
    with warnings.catch_warnings():
        # Of MLflow's own type hints, as it is imported, and its own use of pandas; nobody here can
        # heed them.
        warnings.filterwarnings("ignore", ".*[Tt]ype hint", UserWarning)
        warnings.filterwarnings("ignore", "Operation with range is deprecated")
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            target,
            artifacts=_artifacts(folder, head, identity, encoder),
            metadata={"encoder": dict(identity), "model": name},
            **(_takes_features(head) if encoder is None else _takes_images(folder, head, encoder)),
        )
    (target / "verdict.json").write_bytes(json_artifact("", verdict.to_dict()).content)
    return target


def _artifacts(
    folder: Path, head: Head, identity: Mapping[str, object], encoder: ModelEncoder | None
) -> dict[str, str]:
    """Write the model's own files; returns their places by name."""
    weights, description = folder / "head.safetensors", folder / "head.json"
    weights.write_bytes(arrays_artifact("", head.to_arrays()).content)
    described: dict[str, Any] = {"class_names": list(head.class_names), "encoder": dict(identity)}
    found = {"weights": str(weights), "description": str(description)}
    if encoder is not None:
        described["spec"] = encoder.spec
        if encoder.pack is not None:
            packed = folder / "encoder"
            packed.mkdir()
            encoder.pack(packed)
            found["encoder"] = str(packed)
    description.write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
    return found


def _takes_features(head: Head) -> dict[str, Any]:
    from mlflow.types.schema import Schema, TensorSpec

    return {
        "python_model": str(Path(__file__).with_name("served_head.py")),
        "input_example": np.eye(2, head.width, dtype=np.float32),
        "signature": _signature(Schema([TensorSpec(np.dtype(np.float32), (-1, head.width))]), head),
        "pip_requirements": _pinned(OF_FEATURES),
    }


def _takes_images(folder: Path, head: Head, encoder: ModelEncoder) -> dict[str, Any]:
    import pandas as pd
    from mlflow.types.schema import AnyType, ColSpec, Schema

    anything = AnyType()  # type: ignore[no-untyped-call]
    return {
        "python_model": str(Path(__file__).with_name("served_images.py")),
        "code_paths": [str(_code(folder, encoder))],
        "input_example": pd.DataFrame({"image": [_grey_png()]}),
        # Text or bytes: MLflow has no type for either.
        "signature": _signature(Schema([ColSpec(anything, "image")]), head),
        "pip_requirements": _pinned(OF_IMAGES),
    }


def _signature(inputs: Any, head: Head) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    answered = [ColSpec("double", name) for name in head.class_names]
    return ModelSignature(inputs=inputs, outputs=Schema([ColSpec("string", LABEL), *answered]))


def _code(folder: Path, encoder: ModelEncoder) -> Path:
    """Copy of this package what answers, so that the model works where Clarify is not installed."""
    package = Path(__file__).resolve().parent.parent
    takes_weights = encoder.pack is None and encoder.spec == WEIGHTS_IN_PACKAGE
    copy = folder / "code" / package.name
    left_out = (*LEFT_OUT, *(() if takes_weights else ("*.safetensors",)))
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns(*left_out))
    return copy


def _pinned(names: tuple[str, ...]) -> list[str]:
    """Return requirements as installed; a build for one machine (``+cpu``) is nobody else's."""
    versions = {name: importlib.metadata.version(name) for name in names}
    return [f"{name}=={version.partition('+')[0]}" for name, version in versions.items()]


def _grey_png() -> str:
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (32, 32), (128, 128, 128)).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()
