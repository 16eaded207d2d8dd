"""The gate asked of recorded runs: by the command, against the champion, overruled by a lead."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import InputError, RefusedError
from clarify.track.gate_evidence import GateEvidence
from clarify.track.promotion import Gate
from clarify.track.runs import ModelRun
from clarify.workflow.decide.champions import registry_state
from clarify.workflow.decide.gate import judge
from clarify.workflow.decide.promote import promote
from clarify.workflow.model.models import find_run
from clarify.workflow.model.project import Workspace
from tests.conftest import DATA_SET, Done

pytestmark = pytest.mark.slow

Clarify = Callable[..., Done]
LENIENT = Gate(confidence=0.5, max_class_loss=0.99, max_subgroup_loss=0.99)
REFUSING = "[gate]\nconfidence = 0.999999999\n"


@pytest.fixture
def project(home: Path, clarify: Clarify) -> Workspace:
    """The tiny birds with a retrained model."""
    assert clarify("retrain", DATA_SET).status == 0
    return open_project(Settings(home=home, reviewer="Ada"), DATA_SET)


def newest(project: Workspace) -> str:
    return project.tracking.runs(DATA_SET, ModelRun)[0].id


def test_the_command_tells_the_verdict_and_exits_with_it(
    project: Workspace, clarify: Clarify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clarify.toml").write_text(REFUSING)
    done = clarify("gate", DATA_SET, "--json", "--junit", "gate.xml")
    assert done.status == 1
    told = json.loads(done.out)
    failed = [each for each in told["reasons"] if not each["passed"]]
    assert failed
    assert not told["passed"]
    assert done.err.strip().splitlines()[-1].startswith("clarify: refused: ")
    suite = ElementTree.parse(tmp_path / "gate.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == (str(len(told["reasons"])), str(len(failed)))
    assert [case.get("name") for case in suite] == [each["name"] for each in told["reasons"]]
    assert [case.find("failure").get("message") for case in suite if case.find("failure") is not None] == [
        each["text"] for each in failed
    ]
    (tmp_path / "clarify.toml").write_text(
        "[gate]\nconfidence = 0.5\nmax_class_loss = 0.99\nmax_subgroup_loss = 0.99\n"
    )
    passed = clarify("gate", DATA_SET)
    assert passed.status == 0
    assert "the gate lets it pass" in passed.out
    assert registry_state(project).versions == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gate]\nmax_los = 0.1\n", "unknown limit 'max_los'"),
        ("[gate]\nmax_class_loss = 'much'\n", "max_class_loss is 'much'"),
        ("[gate]\nmax_class_loss = 0.2\nmax_subgroup_loss = 0.1\n", "is under max_class_loss"),
        ("gate = 3\n", "legal is a table"),
    ],
)
def test_limits_that_are_not_legal_are_told_in_one_line(
    clarify: Clarify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clarify.toml").write_text(text)
    assert said in clarify("gate", DATA_SET).refusal


def test_bases_oracles_and_folders_that_are_not_there_are_refused(
    project: Workspace, clarify: Clarify, tmp_path: Path
) -> None:
    base = clarify("diagnose", DATA_SET, "--json").result["model"]
    assert "retraining" in clarify("gate", DATA_SET, base).refusal
    unwritten = clarify("gate", DATA_SET, "--junit", str(tmp_path / "no" / "gate.xml"))
    assert (unwritten.status, "cannot write" in unwritten.err) == (1, True)
    assert unwritten.out.startswith("the gate ")
    assert clarify("gate", DATA_SET, "--junit").status == 2


def test_thin_validation_is_helped_out_by_training_images_that_were_not_fitted(project: Workspace) -> None:
    kept = json.loads(project.tracking.artifact(newest(project), "gate.json"))
    seen = GateEvidence.from_dict(kept["evidence"])
    counts = {each.name: each.count for each in seen.groups}
    assert seen.train > 0
    assert sum(counts.values()) == seen.train + seen.validation
    assert {each.class_name for each in seen.groups if each.described} == {"landbird", "waterbird"}
    assert any("towards" in each.name for each in seen.subgroups)


def test_the_next_model_is_compared_with_the_champion(project: Workspace, clarify: Clarify) -> None:
    promote(project, None, gate=LENIENT, by_hash=True)
    first = newest(project)
    assert "champion" not in [each.name for each in judge(project, first, gate=LENIENT).reasons]
    assert clarify("retrain", DATA_SET, "--objective", "worst_group").status == 0
    said = judge(project, None, gate=LENIENT).reasons[-1]
    assert said.name == "champion"
    assert "against version 1, the champion" in said.text
    champion, now = (
        clarify("compare", DATA_SET, "--json").result["models"][k]["average_accuracy"] for k in (1, 2)
    )
    assert f"validation images {100 * (now - champion):+.1f} points" in said.text


def test_an_oracle_is_never_what_is_meant_by_default(project: Workspace, clarify: Clarify) -> None:
    corrected = newest(project)
    assert clarify("retrain", DATA_SET, "--select", "annotated_worst_group").status == 0
    oracle = project.tracking.runs(DATA_SET, ModelRun)[0]
    assert oracle.oracle
    assert find_run(project, None, kind="retraining").id == corrected
    with pytest.raises(InputError, match="is an oracle: it used annotated groups"):
        judge(project, oracle.id)


def test_a_lead_overrules_with_a_reason_that_stays(project: Workspace, clarify: Clarify) -> None:
    strict = Gate(confidence=1 - 1e-12)
    led = dataclasses.replace(project, leads=("Grace",))
    with pytest.raises(InputError, match="the reason is blank"):
        promote(led, None, gate=strict, by_hash=True, overrule="  ")
    with pytest.raises(RefusedError, match="Ada may not overrule the gate; Grace may"):
        promote(led, None, gate=strict, by_hash=True, overrule="we know the images")
    done = promote(
        dataclasses.replace(led, reviewer="Grace"),
        None,
        gate=strict,
        by_hash=True,
        overrule="we know the images",
    )
    assert not done.verdict.passed
    assert done.to_dict()["champion"]
    found = registry_state(project).champion
    assert found is not None
    assert (found.version, found.verdict.overruled) == (done.version, "we know the images")
    told = clarify("history", DATA_SET).out.splitlines()
    assert told[1].endswith("; the gate refused it, and was overruled: we know the images")


def test_a_run_of_an_older_version_is_to_be_retrained(project: Workspace, home: Path) -> None:
    place = home / "mlruns" / "artifacts" / DATA_SET / newest(project) / "artifacts" / "gate.json"
    told = json.loads(place.read_text())
    place.write_text(json.dumps({name: of for name, of in told.items() if name != "evidence"}))
    with pytest.raises(InputError, match="retrain the model"):
        judge(project, None)
