"""What the rows of the Classes page say, computed by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from clarify.track.runs import DescriptionRun
from clarify.ui.classes import rows as classes
from clarify.ui.classes.confusion import confusion_map
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData

NAMES = ("ant", "bee", "Cat", "dog")
# ant: 4 right. bee: 2 right, 2 cats. Cat: 1 right, 2 dogs, 1 ant. dog: 5 right, 1 bee.
LABELS = [0] * 4 + [1] * 4 + [2] * 4 + [3] * 6
PREDICTED = [0, 0, 0, 0, 1, 2, 1, 2, 3, 2, 3, 0, 3, 3, 1, 3, 3, 3]


def failures(labels: list[int] = LABELS, predicted: list[int] = PREDICTED) -> Failures:
    count = len(labels)
    nothing = np.zeros((count, 1), dtype=np.float32)
    data = SplitData(
        name="validation",
        features=nothing,
        embeddings=nothing,
        labels=np.array(labels),
        table_rows=np.arange(count) + 100,
        ids=np.array([f"image {row}" for row in range(count)]),
        root=Path(),
        files=np.array([], dtype=np.str_),
        attributes={},
    )
    return Failures(model=Model(run_id="base", name="", head=None), data=data, predicted=np.array(predicted))


@pytest.fixture
def found() -> classes.Overview:
    return classes.overview(NAMES, failures())


def test_every_class_is_counted(found: classes.Overview) -> None:
    assert found.images.tolist() == [4, 4, 4, 6]
    assert found.wrong.tolist() == [0, 2, 3, 1]
    assert found.average == pytest.approx(12 / 18)
    assert found.names[found.worst] == "Cat"
    assert [classes.taken(found, label) for label in range(4)] == [
        "none wrong",
        "all taken for Cat",
        "2 of them taken for dog",
        "taken for bee",
    ]


def test_the_most_frequent_confusions_come_first(found: classes.Overview) -> None:
    told = [
        (found.names[each.label], found.names[each.taken_for], each.count, each.share)
        for each in found.confusions
    ]
    assert told == [
        ("bee", "Cat", 2, 0.5),
        ("Cat", "dog", 2, 0.5),
        ("Cat", "ant", 1, 0.25),
        ("dog", "bee", 1, pytest.approx(1 / 6)),
    ]


def test_a_model_without_mistakes_is_no_trouble() -> None:
    found = classes.overview(NAMES, failures(LABELS, LABELS))
    assert found.confusions == ()
    assert "makes no mistake" in classes.confusions_html(found)
    assert len(classes.some_wrong(2, failures(LABELS, LABELS), 8)) == 0
    assert classes.in_order(found, "promise", None).tolist() == [0, 1, 2, 3]


def test_the_pictures_of_a_row_are_wrong_images_of_its_class() -> None:
    shown = [row for label in range(4) for row in classes.some_wrong(label, failures(), 8).tolist()]
    assert shown == [5, 7, 8, 10, 11, 14]
    assert len(classes.some_wrong(2, failures(), 2)) == 2
    pictures = classes.pictures_of(3, failures(), lambda row: f"/row/{row}")
    assert pictures == [("/row/114", "image 14")]


@pytest.mark.parametrize(
    ("order", "promises", "names"),
    [
        ("name", None, "ant bee Cat dog"),
        ("worst first", None, "Cat bee dog ant"),
        ("most wrong images", None, "Cat bee dog ant"),
        ("promise", None, "Cat bee dog ant"),
        ("promise", {"dog": 0.5, "ant": 0.2, "Cat": 0.0, "bee": 0.0}, "dog ant Cat bee"),
    ],
)
def test_an_order_puts_first_what_it_says(
    found: classes.Overview, order: str, promises: dict[str, float] | None, names: str
) -> None:
    rows = classes.in_order(found, order, promises)
    assert " ".join(found.names[row] for row in rows) == names


def test_many_wrong_images_of_a_large_class_come_before_a_small_bad_class() -> None:
    # 6 of 20 wrong: 6 x 0.3 = 1.8; 1 of 1 wrong: 1 x 1 = 1.
    found = classes.overview(("large", "small"), failures([0] * 20 + [1], [1] * 6 + [0] * 14 + [0]))
    assert classes.in_order(found, "promise", None).tolist() == [0, 1]
    assert classes.in_order(found, "worst first", None).tolist() == [1, 0]


def test_search_finds_a_part_of_a_name_in_either_case(found: classes.Overview) -> None:
    assert classes.named(found, " cA ").tolist() == [False, False, True, False]
    assert classes.named(found, "").all()


def described(phrase: str, by: str, score: float, *, kept: bool, parent: str = "base") -> DescriptionRun:
    return DescriptionRun(
        id=phrase,
        name="",
        started=0,
        by=by,
        parent=parent,
        origin=phrase,
        class_name="bee",
        phrase=phrase,
        score=score,
        kept=kept,
    )


def test_what_was_said_counts_kept_phrases_of_this_model(found: classes.Overview) -> None:
    runs = [
        described("red", "Ada", 0.9, kept=False),
        described("on a <flower>", "<b>Bob", 0.66, kept=True),
        described("striped", "Ada", 0.5, kept=True),
        described("other model", "Eve", 1.0, kept=True, parent="another"),
    ]
    said = classes.said_of(runs, "base")
    assert said == {"bee": classes.Said(tried=3, kept=2, best=0.66, by=("<b>Bob", "Ada"))}
    html = classes.numbers_html(found, 1, said["bee"], 0.125)
    assert "2 kept · best 0.66" in html
    assert "&lt;b&gt;Bob and 1 more" in html
    assert "<b>Bob" not in html
    assert "promise 0.12" in html
    assert "50.0% right" in html
    none_kept = classes.said_of(runs[:1], "base")["bee"]
    assert "1 tried, none kept · best 0.90" in classes.numbers_html(found, 1, none_kept, None)


def test_the_heat_map_tells_counts_and_shows_names_as_text() -> None:
    hostile = ("<script>", "bee", "Cat", "dog")
    figure = confusion_map(classes.overview(hostile, failures()))
    told = json.loads(figure.to_json())["data"][1]["hovertext"]
    assert told[2][0] == "1 of 4 Cat taken for &lt;script&gt;"
    right, wrong = (np.array(trace.z, dtype=float) for trace in figure.data)
    assert np.nansum(right, axis=1) == pytest.approx([1, 0.5, 0.25, 5 / 6])
    assert np.nansum(wrong, axis=1) == pytest.approx([0, 0.5, 0.75, 1 / 6])


def test_an_overview_is_counted_once_for_a_model() -> None:
    one = failures()
    assert classes.overview(NAMES, one) is classes.overview(NAMES, one)
    assert classes.overview(NAMES, dataclasses.replace(one)) is not classes.overview(NAMES, one)


def test_pictures_that_are_set_aside_are_not_shown() -> None:
    labels = np.repeat([0, 1], 300)
    wrong = np.arange(300) % 3 == 0
    found = failures(labels, np.where(np.concatenate((wrong, np.zeros(300, bool))), 1, labels))
    shown = classes.some_wrong(0, found, 300)
    aside = found.aside(np.arange(300))
    assert 0 < len(shown) < wrong.sum()
    assert not aside[shown].any()
    assert len(shown) == (wrong & ~aside).sum()
