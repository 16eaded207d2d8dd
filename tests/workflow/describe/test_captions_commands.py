"""Captions by the real commands, on the small home: kept, suggested from, described by, retrained with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from clarify.data.captions import captions_file, kept_captions
from clarify.data.manifest import open_manifest
from tests.conftest import DATA_SET, Done, captioned_by_place

Clarify = Callable[..., Done]
WATER = "mentioned: water"


@pytest.fixture
def of_place(home: Path, tmp_path: Path) -> Callable[..., str]:
    """Write captions of the images of some splits; returns the file."""

    def write(*splits: str) -> str:
        path = tmp_path / f"{'-'.join(splits)}.csv"
        captioned_by_place(open_manifest(home, DATA_SET), splits).write_csv(path)
        return str(path)

    return write


def suggested(clarify: Clarify, *options: str) -> Done:
    return clarify("suggest", DATA_SET, "waterbird", *options)


def test_captions_that_were_given_once_are_searched_from_then_on(
    clarify: Clarify, of_place: Callable[..., str]
) -> None:
    assert suggested(clarify, "--json").result["captions"] is None
    given = suggested(clarify, "--captions", of_place("validation"), "--json")
    assert "captions of 200 images kept (200 of validation)" in given.err
    found = suggested(clarify, "--json").result
    assert found == given.result
    there = found["captions"]
    assert (there["searched"], there["right"] + there["wrong"]) == (2, 100)
    told = [each for each in found["suggestions"] if each["from"] == "captions"]
    assert told == [each for each in found["suggestions"] if each["phrase"].startswith("mentioned: ")]
    (water,) = told  # what mentions a meadow is the other half
    assert {water["phrase"], *water["opposite"]} == {WATER, "mentioned: meadow"}
    tried = clarify("score", DATA_SET, "waterbird", water["phrase"], "--json").result
    assert tried["error_score"] == water["error_score"]
    # Both searches, forest that Ada kept, and this one.
    assert tried["evidence"]["n_tried"] == found["tries"] + there["tries"] + 2
    told_by = water["p_corrected"] / (tried["evidence"]["n_tried"] - 1)
    assert tried["evidence"]["p_corrected"] == pytest.approx(told_by * tried["evidence"]["n_tried"])
    lines = suggested(clarify).out.splitlines()
    assert lines[1].startswith("In the captions of 100 of its images (")
    again = suggested(clarify, "--captions", of_place("train"))
    assert "448 of train), in place of those of 200 images that were here" in again.err


def test_where_some_images_have_captions_their_own_answers_are_taken(
    clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    # Of the hundred waterbirds, all on land and the last half of those on water, who are mostly right.
    images = captioned_by_place(open_manifest(home, DATA_SET), ("validation",))
    wet = pl.col("caption").str.contains("water")
    some = images.filter(~wet | (pl.int_range(pl.len()).over(wet) >= 50))
    some.write_csv(tmp_path / "some.csv")
    found = suggested(clarify, "--captions", str(tmp_path / "some.csv"), "--json").result
    (told,) = [each for each in found["suggestions"] if each["from"] == "captions"]
    assert found["captions"]["right"] + found["captions"]["wrong"] < 100
    tried = clarify("score", DATA_SET, "waterbird", told["phrase"], "--json").result
    assert tried["error_score"] == told["error_score"]
    assert tried["without_caption"] > 0


def test_refused_captions_leave_those_before(
    clarify: Clarify, of_place: Callable[..., str], home: Path
) -> None:
    assert suggested(clarify, "--captions", of_place("validation")).status == 0
    before = kept_captions(home, DATA_SET)
    refusal = suggested(clarify, "--captions", of_place("test")).refusal
    assert "200 captions are of images of split test" in refusal
    assert kept_captions(home, DATA_SET) == before
    assert suggested(clarify, "--captions", of_place("test"), "--with-test").status == 0
    assert len(kept_captions(home, DATA_SET)) == 200


def test_a_retraining_by_captions_from_the_refusal_to_the_comparison(
    clarify: Clarify, of_place: Callable[..., str], home: Path, tmp_path: Path
) -> None:
    suggested(clarify, "--captions", of_place("validation"))
    kept = clarify("describe", DATA_SET, "waterbird", WATER, "--reviewer", "Grace")
    assert "scored by the captions of 100 images; 0 have none" in kept.out
    run = kept.out.rsplit(maxsplit=1)[-1]
    refusal = clarify("retrain", DATA_SET, "--description", run).refusal
    assert "124 of 124 images of split train have no caption" in refusal
    assert "or use the phrase 'water'" in refusal
    suggested(clarify, "--captions", of_place("train", "validation"))
    found = clarify("retrain", DATA_SET, "--description", run, "--json").result
    assert found["groups"] == {
        "landbird": 324,
        "waterbird · with mentioned: water": 110,
        "waterbird · without mentioned: water": 14,
    }
    assert "described_worst_group_accuracy" in clarify("compare", DATA_SET, "--json").out
    on_test = clarify("compare", DATA_SET, "--split", "test", "--json").result["models"]
    assert "described_worst_group_accuracy" not in next(
        each for each in on_test if each["run"] == found["run"]
    )
    table = tmp_path / "images.csv"
    assert clarify("export", DATA_SET, "--description", run, "--out", str(table)).status == 0
    halves = pl.read_csv(table).group_by("split", "half").len().sort("split", "half").rows()
    assert halves == [
        ("test", "unknown", 100),
        ("train", "with", 110),
        ("train", "without", 14),
        ("validation", "with", 50),
        ("validation", "without", 50),
    ]


def test_damaged_captions_are_told_and_given_again(
    clarify: Clarify, of_place: Callable[..., str], home: Path
) -> None:
    path = captions_file(home, DATA_SET)
    path.parent.mkdir()
    path.write_bytes(b"no table")
    assert "is damaged" in clarify("diagnose", DATA_SET).refusal
    assert suggested(clarify, "--captions", of_place("validation")).status == 0
    assert clarify("diagnose", DATA_SET).status == 0
