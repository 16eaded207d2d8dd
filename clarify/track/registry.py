"""The model registry: versions with their verdicts, and the alias `champion`.

A model is registered without pickle: weights as safetensors, code as a file of this package.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import tempfile
import warnings
from importlib.metadata import version as version_installed
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clarify.errors import InputError, StoreError
from clarify.track.promotion import Verdict
from clarify.track.records import arrays_artifact, json_artifact

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from clarify.method.head import Head
    from clarify.track.mlflow import TrackingStore

__all__ = ["CHAMPION", "Version", "crown", "register", "version_of"]

CHAMPION = "champion"
LABEL = "label"
RUN_TAG = "clarify.run"
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow answers for a model, and for an alias, that there is not."""

REQUIRED = ("mlflow", "numpy", "pandas", "safetensors")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A registered version of a model.

    Parameters
    ----------
    model_name : str
    version : str
        A whole number from 1.
    run_id : str
        The retraining that made it.
    verdict : Verdict
        What the gate said.
    """

    model_name: str
    version: str
    run_id: str
    verdict: Verdict


def register(
    store: TrackingStore,
    *,
    model_name: str,
    run_id: str,
    head: Head,
    encoder: Mapping[str, object],
    verdict: Verdict,
    by: str,
    note: str,
) -> Version:
    """Register a run's head as a new version, the gate's verdict stored with it.

    Parameters
    ----------
    store : TrackingStore
    model_name : str
        May not hold ``/ : . % " '``.
    run_id : str
        The run that trained the head.
    head : Head
        Takes raw features.
    encoder : mapping
        Identity of the encoder whose features it takes.
    verdict : Verdict
    by, note : str
        Who asked for it and why.

    Raises
    ------
    InputError
        For a name that the registry cannot hold.
    StoreError
        If the store cannot be written.
    """
    if not model_name.strip() or set(model_name) & set("/:.%\"'"):
        raise InputError(f"model name {model_name!r}; a name without / : . % \" ' is legal")
    if LABEL in head.class_names:
        raise InputError(
            f"a class is named {LABEL!r}, as a column of the model's answer; rename it"
        )
    client = store.client
    try:
        source = _log_model(store, run_id, model_name, head, encoder, verdict)
    except OSError as error:
        raise StoreError(
            f"model {model_name!r} cannot be written to {store.folder}: {error.strerror or error}; "
            "free space or mend its permissions, then promote again"
        ) from None
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model_name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise StoreError(f"model {model_name!r} cannot be registered: {error}") from None
    made = client.create_model_version(
        model_name,
        source,
        run_id,
        tags={
            RUN_TAG: run_id,
            "clarify.by": by,
            "clarify.note": note,
            "clarify.verdict": "passed" if verdict.passed else "refused",
            "clarify.reasons": json.dumps(verdict.to_dict()["reasons"], ensure_ascii=False),
        },
    )
    return Version(model_name=model_name, version=str(made.version), run_id=run_id, verdict=verdict)


def crown(store: TrackingStore, version: Version) -> None:
    """Make a version the champion.

    Raises
    ------
    InputError
        If the gate refused it.
    """
    if not version.verdict.passed:
        failed = "; ".join(each.text for each in version.verdict.reasons if not each.passed)
        raise InputError(
            f"{version.model_name} version {version.version} is refused by the gate: {failed}"
        )
    store.client.set_registered_model_alias(version.model_name, CHAMPION, version.version)


def version_of(store: TrackingStore, model_name: str, *, alias: str = CHAMPION) -> Version | None:
    """Return the version that holds an alias, or None."""
    from mlflow.exceptions import MlflowException

    try:
        found = store.open().get_model_version_by_alias(model_name, alias)
    except MlflowException as error:
        if error.error_code not in MISSING:
            raise StoreError(f"model {model_name!r} cannot be read: {error}") from None
        return None
    return Version(
        model_name=model_name,
        version=str(found.version),
        run_id=found.tags.get(RUN_TAG, ""),
        verdict=Verdict.from_dict({"reasons": json.loads(found.tags["clarify.reasons"])}),
    )


def _log_model(
    store: TrackingStore,
    run_id: str,
    model_name: str,
    head: Head,
    encoder: Mapping[str, object],
    verdict: Verdict,
) -> str:
    """Write the model, with the verdict on it, into its run's files; return where it lies."""
    with warnings.catch_warnings():
        # About type hints of MLflow's own classes, as it is imported; nobody here can heed it.
        warnings.filterwarnings("ignore", ".*[Tt]ype hint", UserWarning)
        import mlflow.pyfunc
        from mlflow.models import infer_signature

    example = np.eye(2, head.width, dtype=np.float32)
    described = {"class_names": list(head.class_names), "encoder": dict(encoder)}
    with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
        weights = Path(folder) / "head.safetensors"
        weights.write_bytes(arrays_artifact("", head.to_arrays()).content)
        description = Path(folder) / "head.json"
        description.write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
        target = _own_folder(store.artifact_folder(run_id))
        mlflow.pyfunc.save_model(
            target,
            python_model=str(Path(__file__).with_name("served_head.py")),
            artifacts={"weights": str(weights), "description": str(description)},
            signature=infer_signature(example, _answer(head, example)),
            input_example=example,
            pip_requirements=[f"{name}=={version_installed(name)}" for name in REQUIRED],
            metadata={"encoder": dict(encoder), "model": model_name},
        )
        (target / "verdict.json").write_bytes(json_artifact("", verdict.to_dict()).content)
    return str(target)


def _own_folder(parent: Path) -> Path:
    """Make a folder for one version: a run that is registered again must not change the first."""
    for number in itertools.count(1):
        place = parent / f"model-{number}"
        with contextlib.suppress(FileExistsError):
            place.mkdir(parents=True)
            break
    return place


def _answer(head: Head, features: NDArray[np.float32]) -> pd.DataFrame:
    """Return what the served model answers: its columns are the signature's outputs."""
    import pandas as pd

    found = pd.DataFrame(
        head.probabilities(features).astype(np.float64), columns=list(head.class_names)
    )
    found.insert(0, LABEL, [head.class_names[k] for k in head.predict(features)])
    return found
