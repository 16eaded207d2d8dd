"""What `clarify retrain` fits, a preview, a benchmark's cell and the tutorial fit as well, to the bit."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.evidence.methods import methods
from clarify.evidence.suites import situation_of
from clarify.method.fit.head import Head
from clarify.method.phrases.descriptions import Description
from clarify.workflow.describe.grouping import in_force
from clarify.workflow.describe.phrases import halves_of
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.model.failures import Failures, failures_of
from clarify.workflow.model.models import open_model
from clarify.workflow.model.project import Workspace
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain import preview
from clarify.workflow.retrain.heads import HeadFit, correct_head
from clarify.workflow.retrain.preview import corrected, preview_of, retrained
from tests.conftest import DATA_SET, Done

Clarify = Callable[..., Done]
PHRASES = {"landbird": "water", "waterbird": "forest"}
"""Those that are kept in the home, with their best cuts."""


@pytest.fixture
def project(home: Path) -> Workspace:
    return open_project(Settings(home=home, reviewer="Ada"), DATA_SET)


def failures(project: Workspace) -> Failures:
    model = open_model(project)
    return failures_of(model, model.data(project, "validation"))


def described(project: Workspace, class_name: str) -> Description:
    kept = kept_descriptions(project, open_model(project))
    return next(each for each in kept if each.class_name == class_name)


def recorded(project: Workspace, run: str) -> pl.DataFrame:
    """Return what a model says of validation, in the order of the split."""
    table = pl.read_parquet(io.BytesIO(project.tracking.artifact(run, "predictions.parquet")))
    return table.filter(pl.col("split") == "validation")


def same(one: Head, other: Head) -> bool:
    """Whether two heads are the same numbers, bit for bit."""
    first, second = ({name: each.tobytes() for name, each in of.to_arrays().items()} for of in (one, other))
    return first == second


@pytest.mark.parametrize("class_name", list(PHRASES))
def test_a_preview_is_the_retraining_to_the_bit(
    project: Workspace, clarify: Clarify, monkeypatch: pytest.MonkeyPatch, class_name: str
) -> None:
    description, before = described(project, class_name), failures(project)
    run = clarify("retrain", DATA_SET, "--description", description.run, "--json").result["run"]
    fits: list[HeadFit] = []

    def noted(*args: object, **options: object) -> HeadFit:
        assert args[3] == Recipe()
        fits.append(correct_head(*args, **options))  # type: ignore[arg-type]
        return fits[-1]

    monkeypatch.setattr(preview, "correct_head", noted)
    train = before.model.data(project, "train")
    (cut,) = in_force(project, [description], {"train": train, "validation": before.data})
    then = corrected(project, before, cut, train)
    table = recorded(project, run)
    classes = np.array(project.manifest.classes)
    assert classes[then.predicted].tolist() == table["predicted"].to_list()
    told = {each.name: each for each in preview_of(project, retrained(project, before, description, train))}
    head = open_model(project, run, kind="retraining").own_head()
    assert len(fits) == 2
    assert all(same(each.fit.head, head) for each in fits)
    whole = told["all validation images"]
    assert (whole.now, whole.then) == (before.right.mean(), table["right"].mean())
    ((_, having),) = halves_of(project, [cut], before.data)[class_name]
    having = having & (before.data.labels == project.manifest.class_index(class_name))
    half = told[f"{class_name} with it"]
    assert half.cut == cut.threshold
    assert (half.now, half.then) == (before.right[having].mean(), table["right"].to_numpy()[having].mean())


@pytest.mark.parametrize(
    ("method", "ways"),
    [
        ("clarify_reweight", ()),
        ("clarify_worst_group_refit", ("--objective", "worst_group", "--refit")),
        ("erase_leace", ("--objective", "erm", "--erase", "leace")),
    ],
)
def test_a_cell_of_the_benchmark_with_all_images_is_the_retraining(
    project: Workspace, clarify: Clarify, method: str, ways: tuple[str, ...]
) -> None:
    run = clarify("retrain", DATA_SET, *ways, "--json").result["run"]
    at = situation_of(project, PHRASES)
    assert same(at.base, open_model(project).own_head())
    kept = kept_descriptions(project, open_model(project))
    recorded_cuts = json.loads(project.tracking.artifact(run, "descriptions.json"))
    assert [each.threshold for each in at.descriptions] == [each["threshold"] for each in recorded_cuts]
    assert {each.run for each in kept} == {each["run"] for each in recorded_cuts}
    (chosen,) = methods()[method].fit(at, [Recipe().rule])
    assert same(chosen.head, open_model(project, run, kind="retraining").own_head())
