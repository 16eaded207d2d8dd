"""Every promotion and roll back is in the history, in order, whoever made it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import InputError, NotFoundError
from clarify.track.history import events_of
from clarify.track.mlflow import TrackingStore
from clarify.track.promotion import Gate
from clarify.track.registry import CHAMPION, register, uncrowned, version_of
from clarify.workflow.decide.champions import lineage, registry_state, rollback, snippet
from clarify.workflow.decide.gate import judge
from clarify.workflow.decide.promote import promote
from clarify.workflow.model.models import open_model
from clarify.workflow.model.project import Workspace, model_name
from tests import warm
from tests.conftest import DATA_SET, Done
from tests.warm import Warm

pytestmark = pytest.mark.slow

LENIENT = Gate(confidence=0.5, max_class_loss=0.99, max_subgroup_loss=0.99)
STRICT = Gate(confidence=1 - 1e-12)


@pytest.fixture
def project(home: Path, clarify: Callable[..., Done]) -> Workspace:
    """The tiny birds with a retrained model."""
    assert clarify("retrain", DATA_SET).status == 0
    return open_project(Settings(home=home, reviewer="Ada"), DATA_SET, say=print)


def by(project: Workspace, who: str) -> Workspace:
    return dataclasses.replace(project, reviewer=who)


def promoted(project: Workspace, note: str = "", *, gate: Gate = LENIENT) -> str:
    return promote(project, None, note=note, gate=gate, by_hash=True).version


def test_every_promotion_and_roll_back_is_told_with_who_when_why_and_from_where(project: Workspace) -> None:
    promoted(project, "the first")
    promoted(by(project, "Grace"), "the second")
    rollback(by(project, "Lin"), note="the second fails on snow")
    found = registry_state(project)
    told = [(e.number, e.action, e.by, e.from_version, e.to_version, e.note, e.done) for e in found.events]
    assert told == [
        (3, "rollback", "Lin", "2", "1", "the second fails on snow", True),
        (2, "promotion", "Grace", "1", "2", "the second", True),
        (1, "promotion", "Ada", "", "1", "the first", True),
    ]
    assert found.champion is not None
    assert found.champion.version == "1"
    assert found.crowning == found.events[0]
    assert found.earlier == ("2",)


def test_an_alias_taken_off_by_hand_is_told_and_a_roll_back_puts_it_back(
    project: Workspace, clarify: Callable[..., Done]
) -> None:
    for who in ("Ada", "Grace"):
        promoted(by(project, who))
    client = project.tracking.client
    client.delete_registered_model_alias(model_name(project), CHAMPION)
    told = clarify("history", DATA_SET).out.splitlines()
    assert told[0].startswith(
        f"no version of {DATA_SET} is champion: version 2, which was promoted, lacks the alias"
    )
    assert told[0].endswith(f"clarify rollback {DATA_SET}")
    assert "never became champion" not in "".join(told)
    refused = clarify("predict", DATA_SET, "--folder", str(project.home / "images")).refusal
    assert told[0] == refused
    assert clarify("doctor").status == 1
    assert registry_state(project).earlier == ("2", "1")
    assert clarify("rollback", DATA_SET).status == 0
    found = registry_state(project)
    assert found.champion is not None
    assert found.champion.version == "2"
    assert found.events[0].done
    assert found.uncrowned == ""


def test_after_a_roll_back_what_was_champion_last_is_told_and_put_back_by_both(
    project: Workspace, clarify: Callable[..., Done]
) -> None:
    promoted(project)
    promoted(project)
    rollback(project)  # version 1 is champion, 2 is the newest that passed
    client = project.tracking.client
    client.delete_registered_model_alias(model_name(project), CHAMPION)
    told = uncrowned(client, project.tracking.backend, DATA_SET)
    assert told == registry_state(project).uncrowned == "1"
    assert "version 1, which was promoted" in clarify("history", DATA_SET).out
    rollback(project)
    assert int(client.get_model_version_by_alias(model_name(project), CHAMPION).version) == 1


def test_an_alias_moved_by_hand_to_somebody_elses_version_is_no_traceback(
    project: Workspace, clarify: Callable[..., Done]
) -> None:
    promoted(project)
    client, name = project.tracking.client, model_name(project)
    foreign = client.create_model_version(name, str(project.home))
    client.set_registered_model_alias(name, CHAMPION, foreign.version)
    assert "lacks the alias" in clarify("history", DATA_SET).out
    assert clarify("rollback", DATA_SET, "--to", "1").status == 0
    assert int(client.get_model_version_by_alias(name, CHAMPION).version) == 1


def test_clocks_that_differ_do_not_reorder_the_history(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(project)
    monkeypatch.setattr("clarify.track.mlflow.now", lambda: 1_000)  # a clock of 1970
    promoted(project)
    assert [each.to_version for each in registry_state(project).events] == ["2", "1"]


def test_a_process_that_dies_before_the_alias_moves_leaves_it_in_the_history_as_not_done(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(project)
    client = project.tracking.client
    with monkeypatch.context() as patch:

        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(client, "set_registered_model_alias", dies)
        with pytest.raises(KeyboardInterrupt):
            promoted(project, "cut short")
    found = registry_state(project)
    assert [(each.to_version, each.done) for each in found.events] == [("2", False), ("1", True)]
    assert found.champion is not None
    assert found.champion.version == "1"
    assert found.earlier == ()
    promoted(project)
    assert [each.done for each in registry_state(project).events] == [True, False, True]


def test_an_alias_that_something_else_moved_is_not_told_as_clarifys_doing(project: Workspace) -> None:
    promoted(project)
    promoted(project)
    project.tracking.client.set_registered_model_alias(model_name(project), CHAMPION, "1")
    found = registry_state(project)
    assert found.champion is not None
    assert found.champion.version == "1"
    assert found.crowning is None
    assert not found.events[0].done


def test_a_promotion_that_the_gate_refuses_leaves_champion_and_history_alone(project: Workspace) -> None:
    promoted(project)
    assert promoted(project, gate=STRICT) == "2"
    found = registry_state(project)
    assert [each.to_version for each in found.events] == ["1"]
    assert [each.verdict.passed for each in found.versions] == [False, True]


def test_rolling_back_twice_goes_back_twice_and_never_forth(project: Workspace) -> None:
    for _ in range(3):
        promoted(project)
    assert rollback(project).to_version == "2"
    assert rollback(project).to_version == "1"
    with pytest.raises(NotFoundError, match="no champion before version 1"):
        rollback(project)
    assert rollback(project, "3").to_version == "3"
    assert len(registry_state(project).events) == 6


@pytest.mark.parametrize(
    ("to", "error", "told"),
    [
        ("2", InputError, "champion already"),
        ("3", NotFoundError, "was never its champion; known: 1"),
        ("9", NotFoundError, "was never its champion; known: 1"),
        ("<script>", NotFoundError, "was never its champion"),
    ],
)
def test_rolling_back_to_what_was_no_champion_is_refused(
    project: Workspace, to: str, error: type[Exception], told: str
) -> None:
    promoted(project)
    promoted(project)
    promoted(project, gate=STRICT)
    with pytest.raises(error, match=told):
        rollback(project, to)
    assert len(registry_state(project).events) == 2


def test_a_note_that_is_too_long_is_refused_before_anything_is_written(project: Workspace) -> None:
    with pytest.raises(InputError, match="legal is at most 2000"):
        promoted(project, "x" * 2001)
    assert registry_state(project).versions == ()


def test_without_champion_there_is_nothing_to_roll_back(
    project: Workspace, clarify: Callable[..., Done]
) -> None:
    assert "no champion to roll back from" in clarify("rollback", DATA_SET).refusal
    found = registry_state(project)
    assert (found.champion, found.events, found.versions) == (None, (), ())


PROMOTES = """
import sys, time
from pathlib import Path
import clarify.track.registry as registry
from clarify.assembly import open_project
from clarify.config import Settings
from tests.workflow.decide.test_registry_history import promoted

made = registry.event_record
def slowly(*given, **named):  # so that two surely meet between reading the number and writing it
    time.sleep(1.5)
    return made(*given, **named)
registry.event_record = slowly
settings = Settings(home=Path(sys.argv[1]), reviewer=sys.argv[2])
project = open_project(settings, sys.argv[3], say=print)
for k in range(2):
    promoted(project, f"{sys.argv[2]} {k}")
"""


def test_two_processes_that_promote_at_once_lose_nothing_and_number_each_once(
    project: Workspace, home: Path
) -> None:
    running = [
        Warm("-c", PROMOTES, str(home), who, DATA_SET, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for who in ("Ada", "Grace")
    ]
    for each in running:
        _, err = each.communicate(timeout=300)
        assert each.returncode == 0, err
    events = registry_state(project).events
    assert [each.number for each in events] == [4, 3, 2, 1]
    assert all(each.done for each in events)
    assert {each.note for each in events} == {f"{who} {k}" for who in ("Ada", "Grace") for k in range(2)}


def test_the_commands_promote_and_rollback_write_the_same_history(
    project: Workspace, clarify: Callable[..., Done]
) -> None:
    promoted(project)
    done = clarify("promote", DATA_SET, "--note", "by command", "--encoder-by-hash")
    if done.status:  # the gate had its say: the tiny birds are few
        promoted(by(project, "Lin"), "by command")
    back = clarify("rollback", DATA_SET, "--note", "on second thought", "--json").result
    assert (back["action"], back["to_version"]) == ("rollback", "1")
    told = clarify("history", DATA_SET)
    assert told.out.splitlines()[0].endswith("version 1 is champion")
    assert "rolled back to version 1" in told.out
    assert "on second thought" in told.out
    found = clarify("history", DATA_SET, "--json").result
    assert [each["action"] for each in found["history"]] == ["rollback", "promotion", "promotion"]


def test_the_lineage_reaches_down_to_the_phrases_and_their_authors(project: Workspace) -> None:
    run = open_model(project, None, kind="retraining").run_id
    found = lineage(project, run)
    assert {(each.description.phrase, each.description.author) for each in found.described} == {
        ("water", "Ada"),
        ("forest", "Ada"),
    }
    assert all(each.score is not None for each in found.described)
    assert found.base is not None
    assert found.base.id == open_model(project).run_id
    assert found.digest == project.manifest.digest
    assert found.backbone == project.backbone.identity.image_digest


def test_the_lineage_of_a_run_that_is_gone_says_what_to_do(project: Workspace) -> None:
    with pytest.raises(NotFoundError, match="restore it in MLflow"):
        lineage(project, "0" * 32)


def test_the_snippet_loads_the_champion(project: Workspace, tmp_path: Path) -> None:
    promoted(project)
    done = warm.run("-c", snippet(project) + "print(type(model).__name__)", cwd=tmp_path)
    assert done.stdout.strip() == "PyFuncModel", done.stderr


def test_the_history_of_one_model_is_not_anothers(project: Workspace) -> None:
    promoted(project)
    model = open_model(project, None, kind="retraining")
    register(
        project.tracking,
        model_name="other",
        run_id=model.run_id,
        head=model.own_head(),
        encoder=project.backbone.identity.to_dict(),
        verdict=judge(project, None, gate=LENIENT),
        by="Ada",
        note="",
        card="",
    )
    assert version_of(project.tracking, "other") is None
    assert events_of(project.tracking, DATA_SET, "other", "") == ()


def test_a_bundle_leaves_the_history_of_its_own_registry_behind(
    project: Workspace, home: Path, clarify: Callable[..., Done], tmp_path: Path
) -> None:
    promoted(project)
    bundle = tmp_path / "birds.tar"
    assert clarify("export", DATA_SET, "--bundle", str(bundle)).status == 0
    with tarfile.open(bundle) as file:
        runs = [file.extractfile(each) for each in file if each.name.endswith("/run.json")]
        kinds = {json.load(each)["kind"] for each in runs if each is not None}
    assert kinds == {"base", "description", "retraining"}


def test_the_history_is_read_by_whoever_opens_the_store(project: Workspace, home: Path) -> None:
    promoted(project)
    (event,) = events_of(TrackingStore(home), DATA_SET, model_name(project), "1")
    assert event.by == "Ada"


def test_a_promotion_that_was_killed_before_the_champion_is_ended_by_the_next(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("clarify.workflow.decide.promote.crown", killed)
        with pytest.raises(KeyboardInterrupt):
            promoted(project)
    assert registry_state(project).champion is None
    assert promoted(by(project, "Grace")) == "2"  # another's, under her own name
    assert [each.version for each in registry_state(project).versions] == ["2", "1"]
    assert promoted(project) == "1"
    found = registry_state(project)
    assert found.champion is not None
    assert (found.champion.version, len(found.versions)) == ("1", 2)
    assert [each.to_version for each in found.events if each.done] == ["1", "2"]
