"""Several seeds of one retraining: drawn alike each time, shown as one model with a deviation."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import InputError
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import ModelRun
from clarify.workflow.decide.compare import compare
from clarify.workflow.decide.compared import comparison_table
from clarify.workflow.model.recipe import Recipe
from tests.conftest import DATA_SET, Done
from tests.pages.conftest import Visit, html_of, visits

Clarify = Callable[..., Done]
visit = pytest.fixture(visits)


def worst(found: dict[str, object]) -> float:
    return found["validation"]["worst_group_accuracy"]  # type: ignore[index, return-value]


def test_seed_0_is_the_model_as_without_seeds_and_the_others_come_out_alike_each_time(
    clarify: Clarify,
) -> None:
    alone = clarify("retrain", DATA_SET, "--json").result
    first, second = (clarify("retrain", DATA_SET, "--seeds", "3", "--json").result for _ in "ab")
    assert first["validation"] == alone["validation"]
    assert [each["seed"] for each in first["repeats"]] == [1, 2]
    figures = [[each["validation"], each["test"]] for each in first["repeats"]]
    assert figures == [[each["validation"], each["test"]] for each in second["repeats"]]
    assert figures[0] != figures[1]
    assert first["groups"] == first["repeats"][0]["groups"]  # drawn group by group


def test_seeds_are_compared_as_one_model_and_the_first_is_promoted(clarify: Clarify, home: Path) -> None:
    clarify("retrain", DATA_SET, "--objective", "worst_group")
    found = clarify("retrain", DATA_SET, "--seeds", "3", "--json").result
    every = [worst(found), *(worst(each) for each in found["repeats"])]
    project = open_project(Settings(home=home, reviewer="Ada"), DATA_SET)
    rows = compare(project, split="validation")
    assert [row.seeds for row in rows] == [1, 1, 3, 1, 3]  # each with its control
    assert rows[2].run_id == found["run"]
    assert rows[2].figures["worst_group_accuracy"] == pytest.approx(statistics.mean(every))
    assert rows[2].deviations["worst_group_accuracy"] == pytest.approx(statistics.stdev(every))
    assert rows[1].deviations == {}
    table = comparison_table(rows)
    assert table["seeds"].to_list() == [1, 1, 3, 1, 3]
    assert table["worst_group_accuracy_deviation"].null_count() == 3
    shown = clarify("compare", DATA_SET).out
    assert "[3 seeds]" in shown
    assert " ± " in shown
    assert clarify("promote", DATA_SET, "--json").result["run"] == found["run"]


def test_what_was_trained_twice_stands_there_once(clarify: Clarify, home: Path) -> None:
    runs = [clarify("retrain", DATA_SET, "--json").result["run"] for _ in range(2)]
    rows = clarify("compare", DATA_SET, "--json").result["models"]
    assert [(row["kind"], row["run"]) for row in rows[1:]] == [("retraining", runs[1]), ("control", runs[1])]


def test_seeds_without_the_first_are_under_way_and_are_not_compared(clarify: Clarify, home: Path) -> None:
    found = clarify("retrain", DATA_SET, "--seeds", "2", "--json").result
    store = TrackingStore(home)
    store.ask(lambda client: client.delete_run(found["run"]))  # as if it had been cut short before it
    assert len(clarify("compare", DATA_SET, "--json").result["models"]) == 1
    assert len(store.runs(DATA_SET, ModelRun)) == 1


def test_the_pages_show_the_deviation_and_offer_the_first_seed_alone(
    clarify: Clarify, visit: Visit, home: Path
) -> None:
    run = clarify("retrain", DATA_SET, "--seeds", "3", "--json").result["run"]
    assert len(TrackingStore(home).runs(DATA_SET, ModelRun)) == 3
    page = visit("compare")
    assert not page.exception
    assert "One correction of one model" in html_of(page)
    assert "mean ± deviation over 3 seeds" in html_of(page)
    registry = visit("registry")
    assert not registry.exception
    (offered,) = registry.selectbox[0].options
    registry.selectbox[0].select(offered).run()
    assert registry.session_state["candidate"] == run


@pytest.mark.parametrize("seeds", [0, 21])
def test_too_few_or_too_many_seeds_are_refused(seeds: int) -> None:
    with pytest.raises(InputError, match=f"seeds is {seeds}; 1 to 20 is legal"):
        Recipe(seeds=seeds)


def test_a_recipe_is_named_by_everything_but_how_often() -> None:
    assert Recipe(seeds=5).digest("b", ()) == Recipe().digest("b", ())
    assert Recipe(objective="worst_group").digest("b", ()) != Recipe().digest("b", ())
    assert Recipe().digest("c", ()) != Recipe().digest("b", ())
    assert Recipe.from_dict(Recipe(seeds=3).to_dict()) == Recipe(seeds=3)
