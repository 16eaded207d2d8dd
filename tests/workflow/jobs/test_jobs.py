"""Retrainings in processes of their own: started once, seen by all, killed, cancelled, queued."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import NotFoundError
from clarify.method.phrases.descriptions import Description
from clarify.track.runs import BaseRun, DescriptionRun, ModelRun
from clarify.workflow.describe.grouping import THIN, GroupSize, groups_preview
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.jobs.files import Job, JobFolder, JobStatus, Request, locked, now
from clarify.workflow.jobs.queue import cancel, jobs, start
from clarify.workflow.model.failures import Failures, failures_of
from clarify.workflow.model.models import open_model
from clarify.workflow.model.progress import RetrainingProgress
from clarify.workflow.model.project import Workspace, split_data
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.engine import Means
from clarify.workflow.retrain.retrain import retrain
from tests.conftest import DATA_SET, Done
from tests.warm import Warm

SOON_S = 120.0
# Each starts processes; a retraining through the page stays among the quick ones.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_processes")]


@pytest.fixture
def project(home: Path) -> Iterator[Workspace]:
    opened = open_project(Settings(home=home, reviewer="Ada"), DATA_SET)
    yield opened
    for job in jobs(home):  # nothing outlives its test
        if job.active:
            cancel(home, job.digest)
    for job in jobs(home):
        ended(project=opened, digest=job.digest)


def request_of(project: Workspace, objective: str = "worst_group", *classes: str) -> Request:
    runs = project.tracking.runs(DATA_SET, DescriptionRun)
    return Request(
        data_set=DATA_SET,
        manifest=project.manifest.digest,
        base=project.tracking.runs(DATA_SET, BaseRun)[0].id,
        descriptions=tuple(run.id for run in runs if not classes or run.class_name in classes),
        recipe=Recipe(objective=objective),
        encoder="small-clip",
        backbone="",
    )


PHRASES = (("landbird", "water"), ("waterbird", "forest"))


def until(reached: Callable[[], object], what: str) -> None:
    last = time.monotonic() + SOON_S
    while not reached():
        assert time.monotonic() < last, f"not within {SOON_S} s: {what}"
        time.sleep(0.05)


def job_of(project: Workspace, digest: str) -> Job:
    return JobFolder(project.home, digest).read()


def ended(project: Workspace, digest: str) -> Job:
    folder = JobFolder(project.home, digest)
    until(lambda: not folder.read().active and not folder.lives(), "the job's end")
    return folder.read()


def retrainings(project: Workspace) -> list[str]:
    return [run.id for run in project.tracking.runs(DATA_SET, ModelRun)]


@pytest.fixture
def held_turn(home: Path) -> Iterator[Callable[[], None]]:
    """Hold the home's turn, so that jobs wait; returns what lets go of it."""
    (home / "jobs").mkdir(exist_ok=True)
    handles = [locked(home / "jobs" / "turn")]
    assert handles[0] is not None

    def let_go() -> None:
        while handles:
            handle = handles.pop()
            assert handle is not None
            os.close(handle)

    yield let_go
    let_go()


def test_a_job_retrains_in_its_own_process_and_is_recorded_once_by_who_asked(project: Workspace) -> None:
    request = request_of(project)
    assert start(project, request, PHRASES)
    job = ended(project, request.digest)
    assert job.status.state == "done", job.status
    (run,) = project.tracking.runs(DATA_SET, ModelRun)
    assert job.status.run == run.id
    assert run.by == "Ada"
    assert run.parent == request.base
    assert job.status.pid != os.getpid()
    assert job.status.step == job.status.steps
    lines = job.status.losses
    assert {"waterbird · with forest", "waterbird · without forest"} <= set(lines)
    assert len({len(values) for values in lines.values()}) == 1
    # The worst group's loss falls.
    first, last = (max(values[at] for values in lines.values()) for at in (0, -1))
    assert last < first


def test_the_same_thing_asked_for_by_two_at_once_is_one_job_and_one_run(project: Workspace) -> None:
    request = request_of(project)
    other = dataclasses.replace(request, descriptions=request.descriptions[::-1])
    assert other.digest == request.digest
    answers: list[bool] = []
    both = threading.Barrier(2)

    def press(what: Request, who: str) -> None:
        both.wait()
        answers.append(start(dataclasses.replace(project, reviewer=who), what, PHRASES))

    people = [threading.Thread(target=press, args=each) for each in ((request, "Ada"), (other, "Bo"))]
    for each in people:
        each.start()
    for each in people:
        each.join()
    assert sorted(answers) == [False, True]
    assert len(jobs(project.home)) == 1
    ended(project, request.digest)
    assert not start(project, request, PHRASES)  # done is done
    assert len(retrainings(project)) == 1


def test_a_job_whose_run_was_deleted_can_be_started_again(project: Workspace) -> None:
    request = request_of(project)
    start(project, request, PHRASES)
    run = ended(project, request.digest).status.run
    project.tracking.client.delete_run(run)
    assert start(project, request, PHRASES)
    assert ended(project, request.digest).status.state == "done"
    assert len(retrainings(project)) == 1


def test_a_killed_job_says_so_and_can_be_started_again(
    project: Workspace, held_turn: Callable[[], None]
) -> None:
    request = request_of(project)
    start(project, request, PHRASES)
    until(lambda: "waits" in job_of(project, request.digest).status.message, "waiting")
    os.kill(job_of(project, request.digest).status.pid, signal.SIGKILL)
    job = ended(project, request.digest)
    assert job.status.state == "killed"
    held_turn()
    assert start(project, request, PHRASES)
    assert ended(project, request.digest).status.state == "done"
    assert len(retrainings(project)) == 1


def test_a_job_killed_between_recording_and_saying_so_is_not_recorded_twice(project: Workspace) -> None:
    request = request_of(project)
    start(project, request, PHRASES)
    job = ended(project, request.digest)
    status = dataclasses.replace(job.status, state="running", run="")
    JobFolder(project.home, request.digest).write_status(status)
    assert job_of(project, request.digest).status.state == "killed"
    assert start(project, request, PHRASES)
    assert ended(project, request.digest).status.run == job.status.run
    assert retrainings(project) == [job.status.run]


def test_a_job_that_waits_is_cancelled_and_leaves_nothing(
    project: Workspace, held_turn: Callable[[], None]
) -> None:
    request = request_of(project)
    start(project, request, PHRASES)
    until(lambda: job_of(project, request.digest).status.pid, "its process")
    cancel(project.home, request.digest)
    assert ended(project, request.digest).status.state == "cancelled"
    assert retrainings(project) == []
    held_turn()
    assert start(project, request, PHRASES)
    assert ended(project, request.digest).status.state == "done"


def test_a_job_at_work_is_cancelled_and_nothing_of_it_is_listed(project: Workspace) -> None:
    request = request_of(project, "group_dro")
    start(project, request, PHRASES)
    until(lambda: job_of(project, request.digest).status.losses, "the first losses")
    cancel(project.home, request.digest)
    assert job_of(project, request.digest).stopping or not job_of(project, request.digest).active
    assert ended(project, request.digest).status.state == "cancelled"
    assert retrainings(project) == []


def test_a_job_that_does_not_listen_ends_by_itself_as_cancelled(project: Workspace) -> None:
    request = request_of(project)
    folder = JobFolder(project.home, request.digest)
    folder.path.mkdir(parents=True)
    status = JobStatus(state="queued", at=now())
    folder.write(Job(request=request, phrases=PHRASES, by="Ada", asked_at=status.at, status=status))
    code = (
        "import time; from pathlib import Path\n"
        "from clarify.workflow.jobs import process as job_process\n"
        "from clarify.workflow.jobs.files import JobFolder\n"
        "job_process.PATIENCE_S = 0.3\n"
        f"folder = JobFolder(Path({str(project.home)!r}), {request.digest!r})\n"
        "job_process.run_job(folder, lambda job: time.sleep(60))\n"
    )
    held = folder.take()
    assert held is not None
    with Warm("-c", code, stdin=held, start_new_session=True) as process:
        os.close(held)
        until(lambda: folder.read().status.state == "running", "it runs")
        cancel(project.home, request.digest)
        assert process.wait(SOON_S) == -signal.SIGTERM
    assert folder.read().status.state == "cancelled"


def test_a_job_that_cannot_be_done_says_why(project: Workspace, clarify: Callable[..., Done]) -> None:
    kept = clarify("describe", DATA_SET, "landbird", "snow", "--threshold", "0.05", "--json")
    run = project.tracking.runs(DATA_SET, DescriptionRun)[0]
    assert run.id == kept.result["run"]
    # A cut that nothing reaches.
    path = project.tracking.artifact_folder(run.id) / "description.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"threshold": 9.0}))
    request = dataclasses.replace(request_of(project), descriptions=(run.id,))
    start(project, request, (("landbird", "snow"),))
    job = ended(project, request.digest)
    assert job.status.state == "failed"
    assert "class 'landbird', phrase 'snow': no image" in job.status.message
    assert "move the threshold" in job.status.message
    assert retrainings(project) == []


def test_a_job_is_refused_when_the_data_set_was_changed_since(project: Workspace) -> None:
    request = dataclasses.replace(request_of(project), manifest="0" * 64)
    start(project, request, PHRASES)
    job = ended(project, request.digest)
    assert job.status.state == "failed"
    assert "was changed since this was asked for" in job.status.message


def test_two_jobs_run_one_after_the_other_in_the_order_they_were_asked_for(
    project: Workspace, held_turn: Callable[[], None]
) -> None:
    later, sooner = request_of(project), request_of(project, "reweight")
    start(project, sooner, PHRASES)
    start(project, later, PHRASES)
    for each in (sooner, later):
        until(lambda each=each: "waits" in job_of(project, each.digest).status.message, "waiting")
    pid = job_of(project, sooner.digest).status.pid
    os.kill(pid, signal.SIGSTOP)  # asked for before, and slow
    try:
        held_turn()
        time.sleep(1.0)
        assert job_of(project, later.digest).status.state == "queued"
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: job_of(project, sooner.digest).status.state == "running", "the sooner one to run")
    while job_of(project, sooner.digest).active:
        assert job_of(project, later.digest).status.state == "queued"
        time.sleep(0.02)
    assert ended(project, later.digest).status.state == "done"
    assert ended(project, sooner.digest).status.state == "done"
    assert len(retrainings(project)) == 2


def test_jobs_of_a_data_set_are_listed_and_damaged_ones_are_not(
    project: Workspace, held_turn: Callable[[], None]
) -> None:
    request = request_of(project)
    start(project, request, PHRASES)
    broken = project.home / "jobs" / "broken"
    broken.mkdir()
    (broken / "job.json").write_text("{")
    (job,) = jobs(project.home, DATA_SET)
    assert job.phrases == PHRASES
    assert job.by == "Ada"
    assert jobs(project.home, "others") == []
    with pytest.raises(NotFoundError, match="there is no job broken"):
        cancel(project.home, "broken")


def test_the_command_of_a_job_is_for_the_dashboard_alone(
    project: Workspace, clarify: Callable[..., Done], held_turn: Callable[[], None]
) -> None:
    request = request_of(project)
    start(project, request, PHRASES)
    assert "was not handed to this process" in clarify("job", request.digest).refusal
    assert "there is no job 123" in clarify("job", "123").refusal


def descriptions_of(project: Workspace) -> tuple[Description, ...]:
    return kept_descriptions(project, open_model(project))


def previewed(project: Workspace) -> tuple[GroupSize, ...]:
    return groups_preview(
        project, failures(project), descriptions_of(project), train=split_data(project, "train")
    )


def failures(project: Workspace) -> Failures:
    return failures_of(open_model(project), split_data(project, "validation"))


def test_the_groups_are_known_before_anything_is_started(project: Workspace) -> None:
    found = previewed(project)
    trained = retrain(project, open_model(project), descriptions_of(project))
    assert {each.name: each.train for each in found} == trained.group_counts
    assert sum(each.validation for each in found) == 200
    assert all(each.described for each in found)
    last = [each for each in descriptions_of(project) if each.class_name == "waterbird"]
    of_one = groups_preview(project, failures(project), last, train=split_data(project, "train"))
    assert [each.name for each in of_one][-1] == "landbird"  # whole classes come last
    assert [each.described for each in of_one] == [True, True, False]


def test_groups_too_small_for_the_gate_are_told(project: Workspace) -> None:
    few = {each.name for each in previewed(project) if each.too_few}
    assert few == {each.name for each in previewed(project) if each.validation < THIN}
    assert few == {"waterbird · with forest"}


def test_a_retraining_tells_every_step_and_what_its_listener_raises_ends_it(project: Workspace) -> None:
    seen: list[RetrainingProgress] = []
    retrain(project, open_model(project), descriptions_of(project), means=Means(report=seen.append))
    assert list(dict.fromkeys(each.stage for each in seen)) == ["read", "fit", "control", "record"]
    assert sorted({each.step for each in seen}) == list(range(seen[0].steps))
    assert [each.step for each in seen] == sorted(each.step for each in seen)
    assert all(each.losses for each in seen if each.stage == "fit")
    before = retrainings(project)

    class Enough(Exception):
        pass

    def refuse(progress: RetrainingProgress) -> None:
        if progress.stage == "record":
            raise Enough

    with pytest.raises(Enough):
        retrain(project, open_model(project), descriptions_of(project), means=Means(report=refuse))
    assert retrainings(project) == before
