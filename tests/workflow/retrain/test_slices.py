"""Groups that fail together by the real command, on the small home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.workflow.describe.tries import phrases_searched
from clarify.workflow.model.failures import failures_of
from clarify.workflow.model.models import open_model
from tests.conftest import DATA_SET, Done, captioned_by_place

Clarify = Callable[..., Done]


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, str]:
    """Few words, so that each retraining is worth its time."""
    path = tmp_path / "words.txt"
    path.write_text("water\nforest\nat night\nred\nsnow\nlake\n")
    return "--vocabulary", str(path)


def test_a_slice_has_its_images_what_describes_it_and_what_it_brings(
    clarify: Clarify, home: Path, words: tuple[str, str]
) -> None:
    found = clarify(
        "discover", DATA_SET, "waterbird", "--method", "failure-direction", *words, "--json"
    ).result
    (first,) = found["slices"]
    project = open_project(Settings(home=home), DATA_SET)
    model = open_model(project)
    failures = failures_of(model, model.data(project, "validation"))
    rows = [failures.data.ids.tolist().index(name) for name in first["images"]]
    assert set(failures.data.labels[rows]) == {project.manifest.class_index("waterbird")}
    assert first["size"] == len(rows) == len(set(rows))
    assert first["wrong"] == int((~failures.right[rows]).sum())
    assert first["accuracy"] == pytest.approx(1 - first["wrong"] / first["size"])
    assert first["error_score"] > 0.5
    # Nearly all that it gets wrong are on land.
    assert first["phrases"][0]["phrase"] in {"forest", "NOT water", "NOT lake"}
    assert first["gain"]["half_after"] > first["gain"]["half_before"]
    assert phrases_searched(project, model, "waterbird") == 6


def test_words_by_gain_are_ordered_by_what_the_phrases_bring(
    clarify: Clarify, words: tuple[str, str]
) -> None:
    found = clarify("discover", DATA_SET, "waterbird", *words, "--most", "3", "--json").result["slices"]
    gains = [each["gain"]["classes"] for each in found]
    assert len(gains) == 3
    assert gains == sorted(gains, reverse=True)
    suggested = clarify("suggest", DATA_SET, "waterbird", *words, "--json").result["suggestions"]
    by_phrase = {each["phrase"]: each["gain"]["classes"] for each in suggested if each["gain"]}
    known = [each for each in found if each["slice"] in by_phrase]
    assert known
    for each in known:
        assert each["gain"]["classes"] == pytest.approx(by_phrase[each["slice"]])


def test_people_read_a_table_and_what_to_do_next(clarify: Clarify, words: tuple[str, str]) -> None:
    done = clarify("discover", DATA_SET, "--method", "confusion-cells", *words)
    lines = done.out.splitlines()
    assert lines[0] == "Found by confusion-cells (trivial): 1 slices."
    assert "waterbird taken for landbird" in done.out
    assert lines[-1].startswith("No slice is kept. Look at the images, then say it in words: clarify score")


def test_a_pair_that_fails_together_can_be_tried_as_it_is_offered(clarify: Clarify) -> None:
    pytest.importorskip("sliceline")
    found = clarify("discover", DATA_SET, "waterbird", "--method", "sliceline", "--json").result["slices"]
    pairs = [each["slice"] for each in found if " AND " in each["slice"]]
    assert pairs
    assert clarify("score", DATA_SET, "waterbird", pairs[0], "--json").result["phrase"] == pairs[0]


def test_what_cannot_be_discovered_is_told_in_a_line(clarify: Clarify, words: tuple[str, str]) -> None:
    few = clarify("discover", DATA_SET, "landbird", *words).refusal
    assert few.startswith("class 'landbird' has 97 right and 3 wrong validation images; 5 or more of both")
    captions = clarify("discover", DATA_SET, "waterbird", "--method", "words-by-rate", *words).refusal
    assert "method words-by-rate needs captions, and no validation image of class 'waterbird'" in captions
    unknown = clarify("discover", DATA_SET, "waterbird", "--method", "dominos", *words).refusal
    assert unknown == "no discovery method is called 'dominos'; nearest: domino"
    assert "no class 'swan'" in clarify("discover", DATA_SET, "swan", *words).refusal
    most = clarify("discover", DATA_SET, "waterbird", "--most", "0", *words).refusal
    assert most == "slices: 0 were asked for; 1 to 100 are legal"


def test_captions_of_wrong_images_tell_the_place(
    clarify: Clarify, home: Path, words: tuple[str, str]
) -> None:
    project = open_project(Settings(home=home), DATA_SET)
    table: pl.DataFrame = captioned_by_place(project.manifest, ("validation",))
    table.write_csv(home / "captions.csv")
    given = clarify("suggest", DATA_SET, "waterbird", "--captions", str(home / "captions.csv"), *words)
    assert given.status == 0, given.err
    found = clarify("discover", DATA_SET, "waterbird", "--method", "words-by-rate", *words, "--json").result
    assert [each["slice"] for each in found["slices"]] == ["meadow"]
