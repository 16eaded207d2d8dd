"""Records: the same tags and keys on every run, nothing that MLflow would cut or refuse."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify.errors import InputError, StoreError
from clarify.track.artifacts import arrays_artifact, read_arrays
from clarify.track.figures import HEIGHT, LEFT, WIDTH, distribution_page
from clarify.track.record import LONGEST_PARAM, TAGS, RunRecord, metric_keys
from tests.track.conftest import evaluation, head, model, phrase_tried


def content(record: RunRecord, path: str) -> bytes:
    return next(each.content for each in record.artifacts if each.path == path)


def test_every_kind_of_run_has_every_tag() -> None:
    for record in (model(), model("retraining", parent="x"), phrase_tried()):
        assert tuple(sorted(record.tags)) == TAGS


def test_a_record_without_one_of_the_tags_is_refused() -> None:
    record = model()
    tags = {name: value for name, value in record.tags.items() if name != "reviewer"}
    with pytest.raises(InputError, match="tags"):
        dataclasses.replace(record, tags=tags)


def test_only_a_retraining_has_described_halves_and_all_else_has_equal_keys() -> None:
    base, retrained = model(), model("retraining", parent="x")
    halves = {f"{split}/described_worst_group_accuracy" for split in ("validation", "test")}
    assert retrained.metrics.keys() - base.metrics.keys() == halves
    assert base.params.keys() == retrained.params.keys()


def test_metrics_are_those_of_the_evaluation_by_hand() -> None:
    metrics = model().metrics
    assert metrics["test/average_accuracy"] == pytest.approx(62 / 80)
    assert metrics["test/worst_group_accuracy"] == pytest.approx(4 / 10)
    adjusted = (70 * 28 / 30 + 4 * 4 / 10 + 6 * 10 / 20 + 20 * 20 / 20) / 100
    assert metrics["test/adjusted_average_accuracy"] == pytest.approx(adjusted)
    assert metrics["test/gap"] == pytest.approx(adjusted - 4 / 10)
    assert metrics["test/group_accuracy/landbird - water"] == pytest.approx(4 / 10)


def test_the_worst_described_half_is_logged_of_the_correction_and_of_its_base() -> None:
    retrained = model("retraining", parent="x", base_described={"test": evaluation()}).metrics
    assert retrained["test/described_worst_group_accuracy"] == pytest.approx(4 / 10)
    assert retrained["test/base_described_worst_group_accuracy"] == pytest.approx(4 / 10)
    assert "validation/base_described_worst_group_accuracy" not in retrained


def test_a_metric_that_is_not_a_number_is_refused_with_its_name() -> None:
    with pytest.raises(InputError, match="test/gap"):
        dataclasses.replace(model(), metrics={"test/gap": float("nan")})


def test_a_long_param_is_cut_and_its_whole_text_kept_as_a_file() -> None:
    long = "x" * (LONGEST_PARAM + 1)
    record = dataclasses.replace(model(), params={"short": 1, "long": long})
    assert len(str(record.params["long"])) == LONGEST_PARAM
    assert str(record.params["long"]).endswith("(whole in whole_texts.json)")
    assert record.params["short"] == 1
    assert json.loads(content(record, "whole_texts.json")) == {"params/long": long}


def test_a_param_as_long_as_mlflow_takes_is_left_alone() -> None:
    record = dataclasses.replace(model(), params={"long": "x" * LONGEST_PARAM})
    assert record.params["long"] == "x" * LONGEST_PARAM
    assert all(each.path != "whole_texts.json" for each in record.artifacts)


@given(st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=6, unique=True))
def test_any_group_names_become_distinct_keys_that_mlflow_takes(names: list[str]) -> None:
    values = {f"group_accuracy/{name}": float(k) for k, name in enumerate(names)}
    keys = metric_keys("test", values)
    assert sorted(keys.values()) == sorted(values.values())
    for key in keys:
        assert re.fullmatch(r"[/\w.\- :]+", key)
        assert len(key) <= 250
        assert "//" not in key
        assert not key.endswith("/")
        assert not set(key.split("/")) & {".", ".."}


def test_the_distribution_page_opens_offline() -> None:
    page = content(phrase_tried(), "distribution.html").decode()
    assert not re.search(r"<script|https?://(?!www\.w3\.org/2000/svg)", page)
    assert len(page) < 30_000
    assert re.search('fill="#0072B2"[^>]*>right', page)
    assert re.search('fill="#D55E00"[^>]*>wrong', page)


def test_the_distribution_page_draws_each_bar_where_it_belongs_and_tells_its_count() -> None:
    # 40 bins from 0 to 1: three right images in the first, one wrong one in the last and one in the middle.
    scores = np.array([0.0, 0.01, 0.02, 0.51, 1.0])
    page = distribution_page(scores, np.array([True] * 3 + [False] * 2), 0.25, title="landbird: water")
    drawn = ElementTree.fromstring(page.split("</title>", 1)[1].split("</html>")[0])
    bars = {
        (bar[0].text or ""): (float(bar.get("x", 0)), float(bar.get("height", 0)))
        for bar in drawn.iter("{http://www.w3.org/2000/svg}rect")
    }
    assert len(bars) == 80
    assert bars["3 right images from 0.000"] == (LEFT, HEIGHT)  # all of them: the highest bar
    assert bars["1 wrong images from 0.500"] == (LEFT + WIDTH / 2, HEIGHT / 2)  # one of two
    assert bars["1 wrong images from 0.975"] == (LEFT + 39 * WIDTH / 40, HEIGHT / 2)
    (cut,) = drawn.iter("{http://www.w3.org/2000/svg}line")
    assert cut.get("x1") == f"{LEFT + WIDTH / 4:.1f}"


@pytest.mark.parametrize("scores", [[0.3, 0.3], [0.1, 0.9]])
def test_a_distribution_page_is_drawn_of_equal_scores_and_a_cut_beyond_them(scores: list[float]) -> None:
    page = distribution_page(np.array(scores), np.array([True, False]), 7.0, title="x")
    assert "nan" not in page
    assert "threshold 7.000" in page


def test_a_phrase_cannot_put_markup_into_the_distribution_page() -> None:
    page = content(phrase_tried("a </script><b> bird"), "distribution.html").decode()
    assert "</script><b>" not in page


def test_weights_come_back_bit_for_bit() -> None:
    arrays = head().to_arrays()
    found = read_arrays(arrays_artifact("head.safetensors", arrays).content)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_damaged_weights_are_refused() -> None:
    with pytest.raises(StoreError, match="damaged"):
        read_arrays(arrays_artifact("w", head().to_arrays()).content[:40])


def test_group_counts_are_kept_with_their_real_names() -> None:
    table = pl.read_parquet(io.BytesIO(content(model(), "groups.parquet")))
    row = table.filter((pl.col("split") == "test") & (pl.col("group") == "landbird · water")).to_dicts()
    assert row == [
        {
            "split": "test",
            "by": "annotated",
            "group": "landbird · water",
            "count": 10,
            "correct": 4,
            "accuracy": 0.4,
        }
    ]


def test_a_record_says_whether_a_phrase_is_kept() -> None:
    assert phrase_tried(kept=True).tags["kept"] == "true"
    assert phrase_tried(kept=False).tags["kept"] == "false"
