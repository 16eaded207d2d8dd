"""A data set opened for work in Python: each step of the loop a method."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from clarify.assembly import open_project
from clarify.config import Settings, read_settings
from clarify.data.parallel import Progress
from clarify.embed.encoders import ImageEncoder
from clarify.embed.store import Features
from clarify.embed.work import ShardEngine, here
from clarify.face.diagnosis import Diagnosis, Score
from clarify.face.models import Comparison, TrainedModel
from clarify.face.pages import bar, check_home, check_type, table
from clarify.workflow.decide.compare import compare
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.home.bridges import BridgePlan, learn_bridge
from clarify.workflow.home.settling import (
    BY_NAMES,
    Settled,
    UnsettledEncoder,
    is_first,
    settle_first,
    usual_encoder,
)
from clarify.workflow.model.backbones import bodies_without_features
from clarify.workflow.model.failures import failures_of
from clarify.workflow.model.models import open_model
from clarify.workflow.model.project import Workspace, embed
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.engine import BasePlan, Means
from clarify.workflow.retrain.retrain import alone, retrain, train

__all__ = ["Project", "open"]

Bar = Callable[..., AbstractContextManager[Callable[["Progress"], None]]]


def open(
    name: str,
    *,
    home: str | Path | None = None,
    encoder: str | None = None,
    backbone: str | None = None,
    reviewer: str | None = None,
    workers: int | None = None,
) -> Project:
    """Open a data set of a home.

    Parameters
    ----------
    name : str
        As in the home's data_manifests.
    home, encoder, backbone, reviewer, workers
        See `clarify.config.Settings`; what is not given comes from the environment, from
        ``clarify.toml``, or is the default.

    Raises
    ------
    NotFoundError, ManifestError, InputError, StoreError
        As every command of `clarify` refuses.
    """
    check_type("data set", name, str, legal="its name")
    flags = {
        "home": None if home is None else str(home),
        "encoder": encoder,
        "backbone": backbone,
        "reviewer": reviewer,
        "workers": workers,
    }
    settings = read_settings(flags, os.environ, Path.cwd())
    # Read when torch is first imported: threads that spin while they wait take the cores from others.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return Project(open_project(settings, name, say=lambda line: print(line, file=sys.stderr)), settings)


class Project:
    """One data set with everything that works on it.

    Parameters
    ----------
    workspace : Workspace
        Manifest, encoder, features, store: what the functions of `clarify.workflow` take.
    """

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self.workspace, self.settings = workspace, settings

    def _open(self) -> Workspace:
        """Return the workspace of a home that is still there."""
        check_home(self.workspace.home)
        return self.workspace

    @property
    def name(self) -> str:
        """Its name."""
        return self.workspace.manifest.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes."""
        return self.workspace.manifest.classes

    @property
    def splits(self) -> tuple[str, ...]:
        """Its splits."""
        return self.workspace.manifest.splits

    def embed(
        self, *, dtype: str = "float16", engine: ShardEngine = here, progress: Bar = bar
    ) -> list[tuple[ImageEncoder, Features]]:
        """Extract the features that are missing: the encoder's first, then the backbone's.

        The first time it settles what the data set's encoder is: the one that was named, or the usual one.

        Parameters
        ----------
        dtype : {"float16", "float32"}
            How they are kept on disk; those of a body that was trained here are float32.
        engine : callable
            What embeds: this process, or ``clarify.embed.cluster.OnRay(address=...)``.
        progress : callable
            Makes a bar of a title, and of a ``unit`` where that is no image.

        Raises
        ------
        NotFoundError
            For photographs, where nothing is here that knows them; tells the ways out.
        """
        first = is_first(self._open().home, self.workspace.manifest, self.settings.usual_encoder)
        if isinstance(self.workspace.encoder, UnsettledEncoder):
            self.workspace = self._with_usual_encoder(progress)
        missing = [(encoder, dtype) for encoder in self.workspace.encoders]
        missing += [(body, "float32") for body in bodies_without_features(self.workspace)]
        found, workers = [], self.settings.workers
        for encoder, kept_as in missing:
            with progress(f"embed {self.name} by {encoder.name}") as move:
                features = embed(
                    self.workspace, encoder, workers=workers, dtype=kept_as, engine=engine, progress=move
                )
            found.append((encoder, features))
        if first:
            own = Settled(encoder=self.workspace.encoder.name, backbone=self.settings.backbone)
            settle_first(self.workspace.home, self.name, own)
        return found

    def _with_usual_encoder(self, progress: Bar) -> Workspace:
        """Open it with what embeds such a data set where nothing was said; a bridge is learned first."""
        spec = usual_encoder(self.workspace.manifest, self.settings.usual_encoder)
        if spec == BY_NAMES:
            learn_bridge(self.workspace, BridgePlan(), bar=progress)
        return open_project(dataclasses.replace(self.settings, encoder=spec), self.name)

    def train(self, plan: BasePlan | None = None) -> TrainedModel:
        """Train a base model by ERM: a head on the features, or the network of a plan."""
        check_type("plan", plan, BasePlan, type(None), legal="a BasePlan")
        return TrainedModel(self._open(), alone(train(self.workspace, plan, means=self._means())))

    def diagnose(self, model: str | None = None) -> Diagnosis:
        """Say what a base model gets wrong: the newest, or the one whose run begins so.

        Raises
        ------
        NotFoundError
            If there is none, or no features; tells the next step.
        """
        check_type("model", model, str, type(None), legal="the beginning of a run's id")
        found = open_model(self._open(), model or None)
        return Diagnosis(self.workspace, failures_of(found, found.data(self.workspace, "validation")))

    def retrain(
        self, scores: Sequence[Score] | Score = (), *, recipe: Recipe | None = None, model: str | None = None
    ) -> TrainedModel:
        """Retrain so that the halves that phrases make count.

        Parameters
        ----------
        scores : sequence of Score
            Phrases; those that are not kept yet are. None of them takes the best kept one a class.
        model : str, optional
            The base model's run; the newest unless given.
        """
        scores = [scores] if isinstance(scores, Score) else list(scores)
        for each in scores:
            check_type("a score", each, Score, legal="what describe returns")
        check_type("recipe", recipe, Recipe, type(None), legal="clarify.Recipe(objective=...)")
        base = open_model(self._open(), model)
        runs = dict.fromkeys(each.keep().run for each in scores)
        described = kept_descriptions(self.workspace, base, tuple(runs))
        found = retrain(self.workspace, base, described, recipe=recipe, means=self._means())
        return TrainedModel(self.workspace, alone(found))

    def compare(self, split: str = "validation") -> Comparison:
        """Return the newest base model and what was retrained from it, side by side."""
        return Comparison(compare(self._open(), split=split), split)

    def _means(self) -> Means:
        return Means(workers=self.settings.workers)

    def __repr__(self) -> str:
        """Say in one line what it is."""
        return f"<{self.name}: {len(self.classes)} classes, splits {', '.join(self.splits)}>"

    def _repr_html_(self) -> str:
        table_of, manifest = self.workspace.manifest.table, self.workspace.manifest
        counts = table_of.group_by("label", "split").len()
        seen = {(row["label"], row["split"]): row["len"] for row in counts.iter_rows(named=True)}
        rows = [[name, *(f"{seen.get((name, each), 0):,}" for each in self.splits)] for name in self.classes]
        return table(manifest.title, f"in {self.workspace.home}", ["class", *self.splits], rows)
