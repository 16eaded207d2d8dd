"""The main job from an empty home: rendered birds, the whole loop, and what it shows."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import polars as pl

from clarify.data.manifest import DRAWN_BY, write_manifest
from clarify.data.parallel import Progress
from clarify.demo.datasets import DATASETS, DemoDataset, write_images
from clarify.errors import NotFoundError, nearest, shown
from clarify.track.verdict import Verdict
from clarify.workflow.decide.gate import judge
from clarify.workflow.decide.promote import Promotion, promote
from clarify.workflow.describe.recording import ScoredPhrase, score_phrase
from clarify.workflow.model.failures import ClassDiagnosis, Failures, diagnose, failures_of
from clarify.workflow.model.project import Workspace, embed
from clarify.workflow.model.trained import Trained
from clarify.workflow.retrain.retrain import alone, retrain, retrain_oracle, train

__all__ = ["DATA_SET", "PHRASES", "WRONG_PHRASE", "Story", "draw_data_set", "run_demo", "write_demo_data"]

DATA_SET = "rendered-waterbirds"
PHRASES = {"landbird": "water", "waterbird": "land"}
WRONG_PHRASE = "red"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What the demo did, in order.

    Parameters
    ----------
    base, retrained, oracle, misled : Trained
        The base model; retrained with the kept phrases; with the true groups; with the wrong
        phrase.
    classes : tuple of ClassDiagnosis
        Where the base model fails.
    kept, wrong : tuple of ScoredPhrase
        The phrases that were kept, and the wrong phrase, class by class.
    wrong_verdict : Verdict
        The gate on the misled model.
    promotion : Promotion
        The gate on the retrained model, and its version.
    pictures : str
        Folder, or page, with the grids of the first kept phrase.
    store : str
        Where the runs are: the tracking URI without its password.
    """

    base: Trained
    classes: tuple[ClassDiagnosis, ...]
    kept: tuple[ScoredPhrase, ...]
    wrong: tuple[ScoredPhrase, ...]
    retrained: Trained
    misled: Trained
    oracle: Trained
    promotion: Promotion
    wrong_verdict: Verdict
    pictures: str
    store: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of `clarify demo --json`."""
        best_wrong = max(self.wrong, key=lambda each: each.evidence.score.value)
        return {
            "base": _on_test(self.base),
            "retrained": _on_test(self.retrained),
            "oracle": _on_test(self.oracle),
            "descriptions": [
                {
                    "class": each.description.class_name,
                    "phrase": each.description.phrase,
                    "error_score": each.evidence.score.value,
                    "p_value": each.evidence.score.p_value,
                    "p_corrected": each.evidence.p_corrected,
                    "held_out": each.evidence.held_out,
                    "run": each.run_id,
                }
                for each in self.kept
            ],
            "wrong_phrase": {
                "phrase": best_wrong.description.phrase,
                "error_score": best_wrong.evidence.score.value,
                "worst_group_accuracy": self.misled.evaluations["test"].worst_group,
                "verdict": self.wrong_verdict.to_dict(),
            },
            "promotion": self.promotion.to_dict(),
            "pictures": self.pictures,
            "store": self.store,
            "seconds": self.seconds,
        }


def _on_test(trained: Trained) -> dict[str, Any]:
    return {"run": trained.model.run_id, "test": trained.evaluations["test"].to_dict()}


def run_demo(
    home: Path,
    open_project: Callable[[str], Workspace],
    *,
    seed: int,
    workers: int,
    say: Callable[[str], None],
    bar: Callable[[str], AbstractContextManager[Callable[[Progress], None]]],
) -> Story:
    """Run the whole loop on rendered Waterbirds.

    Parameters
    ----------
    home : Path
        Where everything goes; what is there already is used again.
    open_project : callable
        Builds the adapters for a data set of the home, by name.
    seed : int
        Which birds are drawn; 0 are the ones of ``data_manifests/``.
    workers : int
        Processes that draw.
    say : callable
        Told each step in one line.
    bar : callable
        Makes a progress bar of a title.

    Raises
    ------
    ClarifyError
        As the steps do.
    """
    started = time.monotonic()
    say("drawing the birds")
    name = write_demo_data(home, DATASETS[DATA_SET], seed=seed, workers=workers)
    if seed == 0:
        write_demo_data(home, DATASETS["sprites"], seed=0, workers=workers)
    project = open_project(name)
    with bar("embedding the images") as move:
        embed(project, project.encoder, workers=workers, progress=move)
    say("training the base model")
    base = alone(train(project))
    failures = failures_of(base.model, base.model.data(project, "validation"))
    classes = diagnose(project.manifest.classes, failures)
    say(f"trying phrases: {WRONG_PHRASE}, {', '.join(PHRASES.values())}")
    wrong = _try(project, failures, dict.fromkeys(PHRASES, WRONG_PHRASE), keep=False)
    kept = _try(project, failures, PHRASES, keep=True)
    say("retraining: with the phrases, with the wrong phrase, with the true groups")
    retrained, misled = (
        alone(retrain(project, base.model, [each.description for each in tried])) for tried in (kept, wrong)
    )
    oracle = retrain_oracle(project, base.model)
    promotion = promote(project, retrained.model.run_id, note="clarify demo")
    return Story(
        base=base,
        classes=classes,
        kept=kept,
        wrong=wrong,
        retrained=retrained,
        misled=misled,
        oracle=oracle,
        promotion=promotion,
        wrong_verdict=judge(project, misled.model.run_id),
        pictures=project.tracking.place(kept[0].run_id),
        store=project.tracking.address.shown,
        seconds=time.monotonic() - started,
    )


def draw_data_set(home: Path, name: str, *, seed: int, workers: int) -> str:
    """Draw a demo data set by its name; return its name in the home.

    Raises
    ------
    NotFoundError
        If there is none of that name; tells the nearest.
    """
    if name not in DATASETS:
        raise NotFoundError(f"no data set {shown(name)} can be drawn; {nearest(name, DATASETS)}")
    return write_demo_data(home, DATASETS[name], seed=seed, workers=workers)


def write_demo_data(
    home: Path,
    dataset: DemoDataset,
    *,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Write a demo data set's manifest and its missing images; return its name in the home.

    Another seed is another data set, with a name of its own. `progress` is told of files there, and
    files wanted; what it raises ends the drawing.
    """
    name = dataset.name if seed == 0 else f"{dataset.name}-seed-{seed}"
    rows = dataset.rows(seed)
    images = home / "images" / name
    folder = home / "data_manifests" / name
    table = pl.DataFrame(
        {
            "id": [row.id for row in rows],
            "path": [row.path for row in rows],
            "label": [row.label for row in rows],
            "split": [row.split for row in rows],
            **{key: [row.attributes[key] for row in rows] for key in dataset.attributes},
        }
    )
    write_manifest(
        folder,
        name=name,
        title=dataset.title,
        source=f"{DRAWN_BY}, seed {seed}",
        licence=dataset.licence,
        root=f"../../images/{name}",
        classes=dataset.classes,
        splits=dataset.splits,
        attributes=dataset.attributes,
        table=table,
    )
    write_images(dataset, rows, images, workers=workers, progress=progress)
    return name


def _try(
    project: Workspace, failures: Failures, phrases: dict[str, str], *, keep: bool
) -> tuple[ScoredPhrase, ...]:
    return tuple(
        score_phrase(project, failures, class_name, phrase, keep=keep)
        for class_name, phrase in phrases.items()
    )
