"""The form of what is logged: one record a run, whole, with the same tags whatever its kind.

What the records of each kind hold is in `clarify.track.records`; MLflow is called in `clarify.track.mlflow`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
import polars as pl

from clarify.errors import InputError, shown
from clarify.track.artifacts import Artifact, json_artifact

__all__ = ["TAGS", "AnyKind", "DatasetRef", "Kind", "RunContext", "RunRecord", "metric_keys"]

Kind = Literal["base", "description", "retraining", "bridge", "collection"]
"""Kinds of work, which a bundle carries to another store; first those that others stand on."""

AnyKind = Kind | Literal["promotion", "cell"]
"""Every kind; promotions are about the registry of their own store, cells can be run again."""

TAGS = (
    "backbone",
    "class",
    "code_version",
    "data_set",
    "encoder",
    "kept",
    "kind",
    "manifest",
    "oracle",
    "original",
    "parent",
    "phrase",
    "reviewer",
)
"""Tags of every run, each logged as ``clarify.<name>``; empty where a kind has no such thing."""

LONGEST_PARAM, LONGEST_TAG = 6000, 8000
"""What MLflow cuts off with no more than a warning."""

WHOLE_TEXTS = "whole_texts.json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRef:
    """The data set of a run, as MLflow lists it: the manifest's name and hash, and where it lies.

    Of `table`, the rows that were used, only columns and size are logged.
    """

    name: str
    digest: str
    source: str
    table: pl.DataFrame


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run, whole: what `TrackingStore.log` writes.

    Parameters
    ----------
    name : str
        For people.
    params : mapping
        What was chosen.
    metrics : mapping
        Finite numbers; accuracies and scores are fractions.
    tags : mapping
        The names of `TAGS`, all of them.
    artifacts : tuple of Artifact
        Where a param or tag is longer than MLflow takes, it is cut, and its whole text added here
        as ``whole_texts.json``.
    history : tuple of (step, mapping)
        Metrics that were seen on the way.
    """

    kind: AnyKind
    name: str
    params: Mapping[str, str | float | int]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    artifacts: tuple[Artifact, ...]
    dataset: DatasetRef
    history: tuple[tuple[int, Mapping[str, float]], ...] = ()

    def __post_init__(self) -> None:
        if tuple(sorted(self.tags)) != TAGS:
            raise InputError(f"run {shown(self.name)}: tags {sorted(self.tags)}; legal are {TAGS}")
        for key, value in self.metrics.items():
            if not np.isfinite(value):
                raise InputError(f"run {shown(self.name)}: metric {key} is {value}; not a number")
        self._move_long_texts()

    def _move_long_texts(self) -> None:
        whole: dict[str, str] = {}
        for field, most in (("params", LONGEST_PARAM), ("tags", LONGEST_TAG)):
            values = dict(getattr(self, field))
            for key, value in values.items():
                if len(str(value)) > most:
                    whole[f"{field}/{key}"] = str(value)
                    ending = f"… (whole in {WHOLE_TEXTS})"
                    values[key] = str(value)[: most - len(ending)] + ending
            object.__setattr__(self, field, values)
        if whole:
            artifacts = (*self.artifacts, json_artifact(WHOLE_TEXTS, whole))
            object.__setattr__(self, "artifacts", artifacts)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What every record of a project shares.

    Parameters
    ----------
    encoder, backbone : mapping
        The identities of what embeds phrases, and of what a head stands on, as plain values, and the
        ``name`` of each.
    encoder_digest, backbone_digest : str
        Of the encoder with its template; of what the backbone makes of images.
    """

    dataset: DatasetRef
    encoder: Mapping[str, object]
    encoder_digest: str
    backbone: Mapping[str, object]
    backbone_digest: str
    reviewer: str
    code_version: str

    def tags(self, kind: AnyKind, **own: str) -> dict[str, str]:
        """Return all of `TAGS`, those that a kind has not being empty."""
        return {
            **dict.fromkeys(TAGS, ""),
            "kept": "false",
            "oracle": "false",
            "kind": kind,
            "data_set": self.dataset.name,
            "manifest": self.dataset.digest,
            "encoder": self.encoder_digest,
            "backbone": self.backbone_digest,
            "reviewer": self.reviewer,
            "code_version": self.code_version,
            **own,
        }


def metric_keys(split: str, values: Mapping[str, float]) -> dict[str, float]:
    """Return metrics as ``<split>/<name>``, each name one that MLflow takes.

    Class and group names may hold anything; what MLflow refuses in a key becomes ``_`` (and
    `` · `` a hyphen), and names that become equal are numbered.
    """
    found: dict[str, float] = {}
    for name, value in values.items():
        head, _, tail = name.partition("/")
        tail = re.sub(r"[^\w\-. ]", "_", tail.replace(" · ", " - ")).strip(". ")[:150]
        key = base = f"{split}/{head}/{tail}" if tail else f"{split}/{head}"
        number = 1
        while key in found:
            number += 1
            key = f"{base} {number}"
        found[key] = value
    return found
