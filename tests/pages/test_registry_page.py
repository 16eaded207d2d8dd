"""The Registry page: the champion, the gate's reasons, promotion, history and roll back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import InputError, RefusedError
from clarify.track.promotion import Gate
from clarify.track.runs import ModelRun
from clarify.ui.pieces.page import Page
from clarify.ui.registry import actions as on_page
from clarify.ui.server.shared import shared
from clarify.ui.server.visitors import visitor
from clarify.workflow.decide.champions import registry_state, rollback
from clarify.workflow.decide.promote import promote
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.model.models import find_run, open_model
from clarify.workflow.model.project import Workspace
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.retrain import retrain, retrain_oracle
from tests.conftest import DATA_SET, Done
from tests.pages.conftest import Visit, html_of

NASTY = "<script>alert(1)</script> **bold** $x$"
LENIENT = Gate(confidence=0.5, max_class_loss=0.99, max_subgroup_loss=0.99)
STRICT = Gate(confidence=1 - 1e-12)


def with_limits(monkeypatch: pytest.MonkeyPatch, gate: Gate) -> None:
    """Let every project that is opened have this gate, as if ``clarify.toml`` said so."""
    monkeypatch.setattr(Gate, "of_limits", classmethod(lambda cls, limits: gate))


@pytest.fixture
def project(home: Path, clarify: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The tiny birds with a retrained model, and a gate that lets all pass: they are few."""
    assert clarify("retrain", DATA_SET).status == 0
    with_limits(monkeypatch, LENIENT)
    return open_project(Settings(home=home, reviewer="Grace"), DATA_SET, say=print)


def button(page: AppTest, text: str) -> object:
    return next((each for each in page.button if each.label.startswith(text)), None)


def chosen(page: AppTest, number: int = 0) -> AppTest:
    """Choose a model of the list: nobody does so for the visitor."""
    next(each for each in page.selectbox if each.label == "Model").select_index(number).run()
    assert not page.exception
    return page


def press(page: AppTest, text: str) -> AppTest:
    return next(each for each in page.button if each.label.startswith(text)).click().run()


def promoted(project: Workspace, note: str = "") -> str:
    return promote(project, None, note=note, by_hash=True).version


def test_a_first_visit_says_what_to_do_next(visit: Visit) -> None:
    page = visit("registry")
    assert not page.exception
    assert "There is no model to promote yet." in html_of(page)
    assert "Keep a phrase on Describe" in html_of(page)


def test_without_champion_a_model_that_passes_can_be_promoted_with_a_note(
    visit: Visit, project: Workspace
) -> None:
    page = visit("registry", reviewer="Ada")
    assert "No champion yet" in html_of(page)
    assert button(page, "Promote") is None
    chosen(page)
    page.text_input[-1].set_value("agreed in review")
    press(page, "Promote")
    assert not page.exception
    told = html_of(page)
    assert "version 1 is the champion" in told
    assert "promoted by Ada" in told
    assert "“agreed in review”" in told
    assert "It is the champion already." in told
    assert button(page, "Promote") is None
    (event,) = registry_state(project).events
    assert (event.by, event.note, event.to_version) == ("Ada", "agreed in review", "1")


def test_the_champion_is_shown_with_phrases_numbers_origin_and_snippet(
    visit: Visit, project: Workspace
) -> None:
    promoted(project, "it finds birds over water")
    page = visit("registry")
    told = html_of(page)
    for each in (
        "landbird: water",
        "waterbird: forest",
        "worst described half",
        "base model",
        "Retrained by",
        project.manifest.digest[:12],
    ):
        assert each in told
    assert "mlflow.pyfunc.load_model" in page.code[0].value
    assert f"models:/{DATA_SET}@champion" in page.code[0].value


def test_an_earlier_champion_is_one_click_away(visit: Visit, project: Workspace) -> None:
    promoted(project)
    promoted(dataclasses.replace(project, reviewer="Lin"))
    page = visit("registry", reviewer="Ada")
    assert "version 2 is the champion" in html_of(page)
    page.text_input(key="rollback-note").set_value("fails on snow")
    press(page, "Roll back to version 1")
    assert not page.exception
    told = html_of(page)
    assert "version 1 is the champion" in told
    assert "rolled back by Ada" in told
    assert "Lin promoted it" in told
    assert "fails on snow" in told
    assert [each.action for each in registry_state(project).events] == ["rollback", "promotion", "promotion"]


def test_what_the_gate_refuses_is_told_with_its_reasons_and_not_promoted(
    visit: Visit, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_limits(monkeypatch, STRICT)
    page = chosen(visit("registry"))
    assert not page.exception
    told = html_of(page)
    assert "The gate refuses it" in told
    assert '<li class="fails">Landbird · with' in told or '<li class="fails">Waterbird · with' in told
    assert "It stays a candidate" in told
    assert button(page, "Promote") is None


def test_a_lead_overrules_the_gate_with_a_reason_that_the_page_tells_from_then_on(
    visit: Visit, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_limits(monkeypatch, STRICT)
    monkeypatch.setenv("CLARIFY_LEADS", "Grace")
    page = chosen(visit("registry", reviewer="Ada"))
    assert "A lead may overrule the gate" in html_of(page)
    assert button(page, "Overrule") is None
    page = chosen(visit("registry", reviewer="Grace"))
    press(page, "Overrule the gate for")
    assert "with a reason only" in page.error[0].value
    assert registry_state(project).versions == ()
    page.text_input[-1].set_value("we know these lakes").run()
    press(page, "Overrule the gate for")
    assert not page.exception
    champion = registry_state(project).champion
    assert champion is not None
    assert not champion.verdict.passed
    assert champion.verdict.overruled == "we know these lakes"
    told = html_of(page)
    assert "The gate refused it, and was overruled: we know these lakes" in told
    assert page.expander[0].label == "Why the gate refused it"


def test_an_oracle_is_for_comparison_only(visit: Visit, project: Workspace) -> None:
    retrain_oracle(project, open_model(project))
    page = visit("registry")
    assert not page.exception
    assert len(page.selectbox[-1].options) == 1
    assert "Oracle" not in page.selectbox[-1].options[0]


def test_only_leads_promote_and_roll_back(
    visit: Visit, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(project)
    promoted(project)
    monkeypatch.setenv("CLARIFY_LEADS", "Grace, Lin")
    page = visit("registry", reviewer="Ada")
    assert button(page, "Roll back") is None
    assert "History" in html_of(page)
    assert button(visit("registry", reviewer="Lin"), "Roll back") is not None
    ada = page_of(project, "Ada")
    with pytest.raises(RefusedError, match="Only leads promote and roll back"):
        on_page.roll_back(ada, "1", "")
    with pytest.raises(RefusedError, match="ask one of them: Grace, Lin"):
        on_page.make_champion(ada, find_run(project, None, kind="retraining"), "")
    assert len(registry_state(project).events) == 2


def page_of(project: Workspace, who: str) -> Page:
    found = shared()
    return Page(
        shared=found, visitor=visitor(who, found.settings.leads), desk=found.desks.desk(project.manifest.name)
    )


@pytest.mark.usefixtures("visit")
def test_a_double_click_promotes_once(project: Workspace) -> None:
    page, run = page_of(project, "Ada"), find_run(project, None, kind="retraining")
    assert on_page.make_champion(page, run, "") == "1"
    with pytest.raises(InputError, match="is the champion already, as version 1"):
        on_page.make_champion(page, run, "")
    assert len(registry_state(project).versions) == 1


def test_a_roll_back_that_another_was_faster_with_is_refused_in_one_sentence(
    visit: Visit, project: Workspace
) -> None:
    promoted(project)
    promoted(project)
    page = visit("registry")
    rollback(project)
    press(page, "Roll back to version 1")
    assert not page.exception
    assert "is the champion already" in page.error[0].value
    assert len(registry_state(project).events) == 3


def test_a_champion_whose_run_is_gone_is_told_in_one_sentence(
    visit: Visit, project: Workspace, clarify: Callable[..., Done]
) -> None:
    promoted(project)
    run = find_run(project, None, kind="retraining").id
    assert clarify("retrain", DATA_SET).status == 0
    project.tracking.client.delete_run(run)
    page = visit("registry")
    assert not page.exception
    assert "A model that is gone" in html_of(page)
    assert "restore it in MLflow" in page.error[0].value


def test_names_and_notes_are_shown_as_text(visit: Visit, project: Workspace) -> None:
    promoted(dataclasses.replace(project, reviewer=NASTY), NASTY)
    promoted(dataclasses.replace(project, reviewer=NASTY), NASTY)
    page = visit("registry", reviewer=NASTY)
    assert not page.exception
    assert "<script" not in html_of(page)
    assert "&lt;script&gt;" in html_of(page)


def test_models_that_are_called_alike_are_told_apart_and_the_chosen_one_is_promoted(
    visit: Visit, project: Workspace
) -> None:
    base = open_model(project)
    kept = kept_descriptions(project, base)
    first, second = (retrain(project, base, kept) for _ in "ab")
    page = visit("registry")
    (choice,) = [each for each in page.selectbox if each.label == "Model"]
    assert len(choice.options) == len(set(choice.options)) == 3
    runs = [run.id for run in project.tracking.runs(DATA_SET, ModelRun)]
    assert {first.model.run_id, second.model.run_id} < set(runs)
    for number in (1, 0, 2):
        choice = next(each for each in page.selectbox if each.label == "Model")
        choice.select_index(number).run()
        assert not page.exception
        assert page.session_state["candidate"] == runs[number]


def test_a_candidate_stands_beside_base_and_champion_and_the_page_says_if_it_is_worse(
    visit: Visit, project: Workspace
) -> None:
    promoted(project)
    base = open_model(project)
    kept = kept_descriptions(project, base)
    retrain(project, base, kept[:1], recipe=Recipe(objective="worst_group"))
    page = chosen(visit("registry"))
    told = html_of(page)
    assert "<th>base</th><th>champion, v1</th><th>this one</th>" in told
    newest, champion = project.tracking.runs(DATA_SET, ModelRun)
    now, before = (each.figures("validation") for each in (newest, champion))
    worse = [key for key in ("average_accuracy", "worst_group_accuracy") if now[key] < before[key]]
    assert worse
    assert "Worse than the champion: " in told
    for key, name in (("average_accuracy", "average"), ("worst_group_accuracy", "worst group")):
        said = f"{name} {100 * before[key]:.1f}% to {100 * now[key]:.1f}%"
        assert (said in told) == (key in worse)


def test_the_history_tells_the_time_of_day(visit: Visit, project: Workspace) -> None:
    promoted(project)
    (event,) = registry_state(project).events
    at = datetime.fromtimestamp(event.at / 1000, tz=UTC)
    assert f"promoted it on {at.day} {at:%b %Y, %H:%M} UTC." in html_of(visit("registry"))
