"""A retrained model names the descriptions it was made with; like ones do not stand in for them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import AwayError
from clarify.track.artifacts import Artifact
from clarify.track.run import WAITING
from clarify.track.runs import ModelRun
from clarify.workflow.decide.champions import lineage
from clarify.workflow.describe.phrases import TriedPhrase, try_phrase
from clarify.workflow.describe.recording import kept_descriptions, record_phrase, score_phrase
from clarify.workflow.model.failures import Failures, failures_of
from clarify.workflow.model.models import open_model
from clarify.workflow.model.project import Workspace
from clarify.workflow.retrain.retrain import retrain
from tests.conftest import DATA_SET, Done, run_clarify

pytestmark = pytest.mark.slow


def opened(home: Path, who: str = "Ada") -> Workspace:
    return open_project(Settings(home=home, reviewer=who), DATA_SET)


@pytest.fixture
def project(home: Path) -> Workspace:
    return opened(home)


def failures(project: Workspace) -> Failures:
    model = open_model(project)
    return failures_of(model, model.data(project, "validation"))


def with_score(tried: TriedPhrase, value: float) -> TriedPhrase:
    score = dataclasses.replace(tried.evidence.score, value=value)
    return dataclasses.replace(tried, evidence=dataclasses.replace(tried.evidence, score=score))


def retrained(project: Workspace, *runs: str) -> str:
    base = open_model(project)
    return retrain(project, base, kept_descriptions(project, base, runs)).model.run_id


def told(project: Workspace, run: str) -> list[tuple[str, str, float | None]]:
    return [
        (each.description.phrase, each.description.author, each.score)
        for each in lineage(project, run).described
    ]


def test_of_two_descriptions_of_one_phrase_and_cut_the_one_that_was_used_is_named(home: Path) -> None:
    used = {}
    for who, score in (("Lin", 0.25), ("Grace", 0.75)):
        project = opened(home, who)
        tried = try_phrase(project, failures(project), "landbird", "tree", n_tried=1)
        used[who] = record_phrase(project, failures(project), with_score(tried, score), keep=True).description
    assert used["Lin"].threshold == used["Grace"].threshold
    assert told(project, retrained(project, used["Lin"].run)) == [("tree", "Lin", 0.25)]
    assert told(project, retrained(project, used["Grace"].run)) == [("tree", "Grace", 0.75)]


def test_a_description_that_was_scored_just_now_is_named_without_being_read_back(project: Workspace) -> None:
    scored = score_phrase(project, failures(project), "landbird", "tree", keep=True)
    assert scored.description.run == scored.run_id
    run = retrain(project, open_model(project), [scored.description]).model.run_id
    assert told(project, run) == [("tree", "Ada", scored.evidence.score.value)]


def test_a_description_is_found_that_waited_when_it_was_used(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = failures(project)
    with monkeypatch.context() as patch:

        def away(seconds: float) -> None:
            raise AwayError("it is being mended")

        patch.setattr(project.tracking.backend, "reach", away)
        waiting = score_phrase(project, found, "landbird", "tree", keep=True)
    assert waiting.run_id.startswith(WAITING)
    run = retrained(project, waiting.run_id)  # recording it delivers what waits
    assert project.tracking.outbox.names() == []
    recorded = json.loads(project.tracking.artifact(run, "descriptions.json"))
    assert [each["run"] for each in recorded] == [waiting.run_id]
    assert told(project, run) == [("tree", "Ada", waiting.evidence.score.value)]


def test_bundles_carry_the_lineage_there_and_back(
    home: Path, clarify: Callable[..., Done], tmp_path: Path
) -> None:
    there, back = tmp_path / "there.tar", tmp_path / "back.tar"
    other = tmp_path / "other"
    first = retrained(opened(home))
    known = told(opened(home), first)
    assert all(score is not None for *_, score in known)
    assert clarify("export", DATA_SET, "--bundle", str(there)).status == 0
    assert run_clarify("import", str(there), home=other).status == 0
    away = opened(other, "Lin")
    (came,) = [run.id for run in away.tracking.runs(DATA_SET, ModelRun)]
    assert came != first
    assert told(away, came) == known
    second = retrained(away)
    assert told(away, second) == known
    assert run_clarify("export", DATA_SET, "--bundle", str(back), home=other).status == 0
    assert clarify("import", str(back)).status == 0
    here = opened(home)
    (returned,) = [run.id for run in here.tracking.runs(DATA_SET, ModelRun) if run.id != first]
    assert told(here, returned) == known


def test_of_a_record_without_runs_the_phrases_are_told_without_scores(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = retrained(project)
    read = project.tracking.artifact
    written = json.loads(read(run, "descriptions.json"))
    for each in written:
        del each["run"]  # as it was written before runs were named
    old = Artifact(path="descriptions.json", content=json.dumps(written).encode())
    monkeypatch.setattr(
        project.tracking,
        "artifact",
        lambda run_id, path: old.content if path == old.path else read(run_id, path),
    )
    assert told(project, run) == [("water", "Ada", None), ("forest", "Ada", None)]
