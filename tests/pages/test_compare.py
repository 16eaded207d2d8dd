"""The Compare page: the models side by side, what each fixed and broke, files and links."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.method.groups.metrics import Interval
from clarify.method.phrases.descriptions import Description
from clarify.track.address import read_address
from clarify.ui.compare.differences import difference_plot, most_changed, saving
from clarify.ui.compare.model_table import table_html, title_of
from clarify.workflow.decide.compare import changed_images, compare, compare_page
from clarify.workflow.decide.compared import NO_CONTROL, Compared, comparison_table, remarks
from clarify.workflow.model.models import find_run
from clarify.workflow.model.project import Workspace
from tests.conftest import DATA_SET, Done
from tests.pages.conftest import Visit, html_of

NASTY = ("<script>alert(1)</script>", "**bold** $x$")


@pytest.fixture
def retrained(home: Path, clarify: Callable[..., Done]) -> Workspace:
    """The tiny birds with a retrained model."""
    assert clarify("retrain", DATA_SET, "--reviewer", NASTY[0]).status == 0
    return open_project(Settings(home=home, reviewer="Ada"), DATA_SET, say=print)


def description(class_name: str, phrase: str) -> Description:
    return Description(
        data_set="birds",
        class_name=class_name,
        phrase=phrase,
        template="an image of a {}",
        encoder="e" * 12,
        calibrations={},
        threshold=0.2,
        wrong_is_above=True,
        author="Ada",
        created_at="2024-05-01T12:00:00+00:00",
    )


def row(run: str = "a", *, worst: float = 0.5, gap: float = 0.2, **own: object) -> Compared:
    made = Compared(
        run_id=run,
        name="made",
        kind="retraining",
        oracle=False,
        by="Ada",
        started=0,
        objective="worst_group",
        descriptions=(description("landbird", "water"),),
        figures={"average_accuracy": 0.9, "worst_group_accuracy": worst, "gap": gap},
        gains={"worst_group": Interval(estimate=0.1, low=0.05, high=0.15)},
    )
    return dataclasses.replace(made, **own)  # type: ignore[arg-type]


BASE = row("base", kind="base", worst=0.3, gap=0.6, descriptions=(), gains={})
CLASSES_ALONE = row(
    "a", kind="control", name="retrained by classes alone (reweight + refit)", descriptions=()
)


def test_a_first_visit_says_what_to_do_next(visit: Visit) -> None:
    page = visit("compare")
    assert not page.exception
    assert "Nothing was retrained from the base model yet" in html_of(page)
    assert "keep a phrase on Describe" in html_of(page)


def test_the_models_are_titled_counted_and_told_apart(visit: Visit, retrained: Workspace) -> None:
    page = visit("compare")
    assert not page.exception
    told = html_of(page)
    assert "One correction of one model" in told
    assert "Fixed by “Water and forest”" in told
    assert "Broken by “Water and forest”" in told
    assert "<script>" not in told


def test_fixed_and_broken_are_counted_as_by_hand(visit: Visit, retrained: Workspace) -> None:
    base, run = (find_run(retrained, None, kind=kind) for kind in ("base", "retraining"))
    tables = [
        pl.read_parquet(retrained.tracking.artifact(each.id, "predictions.parquet"))
        .filter(pl.col("split") == "validation")
        .sort("id")
        for each in (base, run)
    ]
    before, now = (table["right"].to_numpy() for table in tables)
    found = changed_images(retrained, base, run, "validation")
    ids = retrained.manifest.table["id"].to_numpy()
    assert sorted(ids[found.fixed]) == tables[0]["id"].to_numpy()[~before & now].tolist()
    assert sorted(ids[found.broken]) == tables[0]["id"].to_numpy()[before & ~now].tolist()
    assert found.fixed.size
    landbird = tables[0]["label"].to_numpy() == "landbird"
    gain = now[landbird].mean() - before[landbird].mean()
    assert found.classes["landbird"].estimate == pytest.approx(gain)
    told = html_of(visit("compare"))
    assert f"<span>{found.fixed.size:,} images</span>" in told
    assert f"<span>{found.broken.size:,} images</span>" in told


def test_the_split_is_validation_unless_asked_and_test_comes_with_a_warning(
    visit: Visit, retrained: Workspace
) -> None:
    page = visit("compare")
    assert "validation images" in html_of(page)
    page.segmented_control(key="compare-split").set_value("test").run()
    assert not page.exception
    assert "test images" in html_of(page)
    assert "flatters" in html_of(page)


def test_the_address_names_the_model_that_is_looked_at(
    visit: Visit, retrained: Workspace, clarify: Callable[..., Done]
) -> None:
    done = clarify("retrain", DATA_SET, "--objective", "worst_group")
    assert done.status == 0
    first = find_run(retrained, None, kind="retraining").id
    page = visit("compare", model=first)
    assert not page.exception
    assert "Two corrections of one model" in html_of(page)
    assert visit("compare", model="<script>").exception == []


def test_a_local_store_is_told_with_the_command_that_opens_it(visit: Visit, retrained: Workspace) -> None:
    page = visit("compare")
    assert [each.value for each in page.code] == [
        f"mlflow ui --backend-store-uri {retrained.tracking.address.shown}"
    ]


def test_the_link_to_a_server_names_all_runs_and_no_password(
    retrained: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [find_run(retrained, None, kind=kind).id for kind in ("base", "retraining")]
    assert compare_page(retrained, runs) is None
    server = read_address("http://ada:secret@tracking:5000/mlflow/", retrained.home)
    monkeypatch.setattr(retrained.tracking, "address", server)
    link = compare_page(retrained, runs)
    assert link is not None
    assert link.startswith("http://tracking:5000/mlflow/#/compare-runs?")
    asked = parse_qs(urlsplit(unquote(urlsplit(link).fragment)).query)
    assert json.loads(asked["runs"][0]) == runs
    assert len(json.loads(asked["experiments"][0])) == 1


def test_the_table_for_files_holds_every_figure_and_phrase(retrained: Workspace) -> None:
    rows = compare(retrained, split="validation")
    table = comparison_table(rows)
    file = io.BytesIO()
    table.write_parquet(file)
    again = pl.read_parquet(io.BytesIO(file.getvalue()))
    assert again.equals(table)
    assert again["kind"].to_list() == ["base", "retraining", "control"]
    assert again["phrases"].to_list() == ["", "landbird: water; waterbird: forest", ""]
    assert again["authors"].to_list() == ["", "Ada", ""]
    assert again["average_accuracy"][1] == rows[1].figures["average_accuracy"]
    assert again["class_accuracy/landbird"].null_count() == 0
    assert again["average_accuracy_low"][1] == rows[1].intervals["average_accuracy"].low
    assert again["halves"].n_unique() == 1
    assert again["gain_worst_group_low"][0] is None
    assert again["gain_worst_group_low"][1] == rows[1].gains["worst_group"].low
    assert len(pl.read_csv(table.write_csv().encode())) == 3


def test_in_the_table_the_base_stands_first_and_the_best_is_bold() -> None:
    rows = [BASE, row("a", worst=0.6, gap=0.1), row("b", worst=0.5, gap=0.05)]
    lines = re.findall(r"<tr.*?</tr>", table_html(rows, {"a": True, "b": False}, chosen="b"))
    assert "Base model" in lines[1]
    assert "data-model" not in lines[1]
    assert "<b>60.0%</b>" in lines[2]
    assert "passes" in lines[2]
    assert "<b>5.0%</b>" in lines[3]  # of gaps the lowest
    assert "refused" in lines[3]
    assert 'class="chosen"' in lines[3]
    assert "+5.0 to +15.0" in lines[3]


def judged(run: str, half: float, halves: str) -> Compared:
    figures = {"average_accuracy": 0.9, "described_worst_group_accuracy": half}
    ends = {"described_worst_group_accuracy": Interval(estimate=half, low=half - 0.1, high=half + 0.05)}
    return row(
        run, figures=figures, intervals=ends, halves=halves, half="landbird · with water", base_half=0.4
    )


def test_each_accuracy_has_its_interval_and_each_half_stands_beside_the_base() -> None:
    lines = re.findall(r"<tr.*?</tr>", table_html([BASE, judged("a", 0.75, "h")], {}, chosen="a"))
    assert "75.0%<i" in lines[2]
    assert "(65–80)</i>" in lines[2]
    assert "landbird · with water; worst of the base 40.0%" in lines[2]
    assert "from 30.0% to " not in lines[2]


def test_halves_are_ranked_where_they_are_the_same_and_nowhere_else() -> None:
    same = [BASE, judged("a", 0.75, "h"), judged("b", 0.6, "h")]
    assert "<b>75.0%</b>" in table_html(same, {}, chosen="a")
    assert remarks([*same, CLASSES_ALONE]) == ()
    other = [BASE, judged("a", 0.75, "h"), judged("b", 0.6, "other")]
    html = table_html(other, {}, chosen="a")
    assert "75.0%" in html
    assert "<b>75.0%</b>" not in html
    assert "<b>90.0%</b>" in html  # of what can be compared the best stays bold
    (said,) = remarks([*other, CLASSES_ALONE])
    assert "no order is claimed" in said
    # A line from the base to now is drawn of the same halves.
    assert "from 40.0% to 75.0%" in table_html([judged("base", 0.4, "h"), *same[1:]], {}, chosen="a")


def test_the_control_and_the_champion_are_named_and_a_control_is_no_choice() -> None:
    crowned = row("a", champion="3")
    lines = re.findall(r"<tr.*?</tr>", table_html([BASE, crowned, CLASSES_ALONE], {"a": True}, chosen="a"))
    assert "champion, version 3" in lines[2]
    assert "Retrained by classes alone (reweight + refit)" in lines[3]
    assert "data-model" in lines[2]
    assert not {"data-model", "chosen", "passes"} & set(re.findall(r"[\w-]+", lines[3]))
    assert remarks([BASE, crowned]) == (NO_CONTROL,)


def test_an_oracle_is_named_as_one_and_wins_nothing() -> None:
    oracle = row("o", worst=0.99, oracle=True, descriptions=())
    html = table_html([BASE, row("a", worst=0.6), oracle], {"a": True}, chosen="a")
    assert title_of(oracle) == "Oracle: true groups"
    assert "labels used" in html
    assert "<b>99.0%</b>" not in html
    assert "<b>60.0%</b>" in html


@pytest.mark.parametrize("nasty", NASTY)
def test_what_people_wrote_is_shown_as_text_in_table_and_figures(nasty: str) -> None:
    made = row(
        "a",
        by=nasty,
        descriptions=(
            description("landbird", "water"),
            dataclasses.replace(description("landbird", "water"), class_name=nasty),
        ),
    )
    assert "<script" not in table_html([BASE, made], {}, chosen="a")
    figure = difference_plot({nasty: made.gains["worst_group"]}, name="accuracy")
    assert "<script" not in json.dumps(figure.to_plotly_json(), default=np.ndarray.tolist)


def test_differences_are_drawn_in_points_with_their_intervals() -> None:
    figure = difference_plot({"landbird": Interval(estimate=0.1, low=0.05, high=0.2)}, name="x")
    (trace,) = figure.data
    assert trace.x == pytest.approx([10.0])
    assert trace.error_x.array == pytest.approx([10.0])
    assert trace.error_x.arrayminus == pytest.approx([5.0])


def test_of_many_classes_those_that_changed_most_are_drawn() -> None:
    gains = {f"c{k}": Interval(estimate=k / 100, low=0, high=1) for k in range(-30, 31)}
    shown = most_changed(gains, 4)
    assert list(shown) == ["c-30", "c-29", "c29", "c30"]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_figure_is_saved_by_its_own_button(kind: str) -> None:
    assert saving("gain", kind)["toImageButtonOptions"]["format"] == kind


def test_only_a_model_that_somebody_chose_can_be_promoted_and_an_unknown_one_is_told(
    visit: Visit, retrained: Workspace
) -> None:
    def promotes(page: AppTest) -> bool:
        return any(each.label.startswith("Promote") for each in page.button)

    page = visit("compare")
    run = find_run(retrained, None, kind="retraining").id
    assert not promotes(page)
    assert promotes(visit("compare", model=run))
    unknown = visit("compare", model="nobody")
    assert not promotes(unknown)
    assert "the address names the model 'nobody'" in unknown.error[0].value.replace("\\", "")


def test_the_sidebar_counts_corrections_as_the_title_does(visit: Visit, retrained: Workspace) -> None:
    page = visit("compare")
    assert "One correction of one model" in html_of(page)
    links = [each.proto.label for each in page.get("page_link")]
    assert [label for label in links if label.startswith("Compare")] == ["Compare :gray[1]"]
