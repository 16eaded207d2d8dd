"""Phrases that ask captions, on images that are written out here: whose captions, and what without them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clarify.discover.mentions import CaptionedImages, caption_words
from clarify.discover.suggest import suggest
from clarify.errors import InputError, NoScoreError
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.phrases import CERTAIN
from clarify.workflow.describe.grouping import groups_by_descriptions
from clarify.workflow.describe.phrases import TriedPhrase, halves_of, try_phrase
from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, split_of
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.concepts import concepts_of, eraser_of
from clarify.workflow.retrain.heads import fit_base
from clarify.workflow.retrain.preview import retrained
from tests.real import needs_waterbirds, waterbirds

CLASSES = ("landbird", "waterbird")
MODEL = Model(run_id="m" * 32, name="base", head=None)
CAPTIONS = ("on Water", "in a wood", "water", "a waterfall", "", "sand", "water", "", "a wood", "a wood")


def embedded(phrases: Sequence[str]) -> list[list[float]]:
    assert not [each for each in phrases if "mentioned" in each], "what captions mention is not embedded"
    return [[1.0, 0.0] for _ in phrases]


PROJECT = ArrayData(
    manifest=ClassNames(name="birds", classes=CLASSES), encoder=CallableEncoder(encode=embedded)
)


def split(name: str, captions: Sequence[str] = CAPTIONS) -> SplitData:
    """Ten images, the first six landbirds; the caption of each, none where it is empty."""
    labels = np.array([0] * 6 + [1] * 4)
    # Cosines with any phrase of 1, 0, 1, 0 ...
    looks = np.array([[1, 0], [0, 1]] * 5, dtype=np.float32)
    data = split_of(name, looks, labels)
    own = {str(number): (text,) for number, text in enumerate(captions) if text}
    return dataclasses.replace(data, captions=own)


def failures(data: SplitData, wrong: Sequence[int]) -> Failures:
    predicted = data.labels.copy()
    predicted[list(wrong)] = 1 - predicted[list(wrong)]
    return Failures(model=MODEL, data=data, predicted=predicted)


def tried(phrase: str, wrong: Sequence[int] = (0, 5), **options: Any) -> TriedPhrase:
    return try_phrase(PROJECT, failures(split("validation"), wrong), "landbird", phrase, n_tried=1, **options)


def description(phrase: str, **own: Any) -> Description:
    usual: dict[str, Any] = {"calibrations": {}, "threshold": 0.5, "class_name": "landbird"}
    return Description(
        data_set="birds",
        phrase=phrase,
        template="{}",
        encoder=PROJECT.encoder.identity.digest,
        wrong_is_above=True,
        author="Ada",
        created_at="2026-01-01T00:00:00+00:00",
        **{**usual, **own},
    )


def test_the_captioned_images_of_the_class_are_scored_and_the_others_are_counted() -> None:
    found = tried("mentioned: water")
    # Of landbirds 0 to 5 number 4 has no caption. Wrong are 0, which mentions water, and 5, which does not;
    # of the right ones 1, 2, 3 number 2 does.
    assert found.rows.tolist() == [0, 1, 2, 3, 5]
    assert found.scores.tolist() == [1, 0, 1, 0, 0]
    assert found.with_half.tolist() == [True, False, True, False, False]
    assert found.evidence.score.value == pytest.approx(1 / 2 - 1 / 3)
    assert found.evidence.score.wrong_is_above
    assert (found.description.threshold, found.description.calibrations) == (0.5, {})
    assert (found.without_caption, found.unknown_words) == (1, ())
    assert found.to_dict()["without_caption"] == 1
    assert found.captions_told == "scored by the captions of 5 images; 1 have none"


def test_a_phrase_that_images_are_like_asks_no_captions() -> None:
    found = tried("water")
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert (found.without_caption, found.captions_told) == (0, "")


def test_joined_with_a_similarity_a_mention_decides_first() -> None:
    found = tried("mentioned: water AND night")
    # Numbers 0 and 2 are like night as well, as surely as can be, and a mention is of log-odds 32; the
    # others do not mention water.
    assert found.rows.tolist() == [0, 1, 2, 3, 5]
    assert found.scores[[0, 2]].tolist() == [32, 32]
    assert (found.scores[[1, 3, 4]] <= -32).all()
    assert found.description.calibrations["mentioned: water"] == CERTAIN
    assert tried("NOT mentioned: water").with_half.tolist() == [False, True, False, True, True]


def test_a_class_without_captions_is_refused_with_the_ways_out() -> None:
    bare = failures(split("validation", [""] * 6 + ["water"] * 4), [0])
    with pytest.raises(InputError, match=r"6 of 6 images .*--captions FILE.* or use the phrase 'water'"):
        try_phrase(PROJECT, bare, "landbird", "mentioned: water", n_tried=1)


def test_captioned_images_that_are_all_right_have_no_score() -> None:
    with pytest.raises(NoScoreError):
        tried("mentioned: water", wrong=[4])


def test_the_halves_go_by_the_captions_of_the_class_alone() -> None:
    full = split("train", [text or "none" for text in CAPTIONS])
    ((phrase, having),) = halves_of(PROJECT, [description("mentioned: water")], full)["landbird"]
    assert phrase == "mentioned: water"
    # Number 6 mentions water, too, and is no landbird.
    assert having.tolist() == [True, False, True, False, False, False, False, False, False, False]


def test_rows_are_matched_to_captions_by_id_in_any_order() -> None:
    full = split("train", [text or "none" for text in CAPTIONS])
    order = np.array([3, 2, 1, 0, 9])
    ((_, having),) = halves_of(PROJECT, [description("mentioned: water")], full.take(order))["landbird"]
    assert having.tolist() == [False, True, False, True, False]


def test_a_retraining_needs_the_captions_of_its_class_and_reports_only_on_test() -> None:
    full = [text or "none" for text in CAPTIONS]
    of = description("mentioned: water")
    # Waterbirds without captions do no harm.
    whole = split("train", [*full[:6], *[""] * 4])
    splits = {"train": whole, "validation": whole, "test": split("test", [""] * 10)}
    groups = groups_by_descriptions(PROJECT, [of], splits)
    assert set(groups) == {"train", "validation"}
    assert set(groups_by_descriptions(PROJECT, [of], {**splits, "test": whole})) == {*splits}
    for name in ("train", "validation"):
        with pytest.raises(InputError, match=rf"1 of 6 images of split {name} have no caption") as told:
            groups_by_descriptions(PROJECT, [of], {**splits, name: split(name)})
        assert "or use the phrase 'water', which looks at the images" in str(told.value)


def test_a_preview_needs_them_as_well() -> None:
    full = split("train", [text or "none" for text in CAPTIONS])
    seen = dataclasses.replace(full, name="validation")
    before = failures(seen, [0])
    with pytest.raises(InputError, match="have no caption"):
        retrained(PROJECT, before, description("mentioned: water"), split("train"))


def test_what_is_erased_is_learned_from_captioned_images() -> None:
    what = description("mentioned: water")
    (concept,) = concepts_of(PROJECT, [what], split("train"), Recipe(erase="mean_difference"))
    assert concept.rows.tolist() == [True] * 4 + [False, True] + [False] * 4
    (concept,) = concepts_of(PROJECT, [what], split("train"), Recipe(erase="regression_unlabelled"))
    assert concept.rows.tolist() == [bool(text) for text in CAPTIONS]
    assert concept.similarity.tolist() == [1, 0, 1, 0, 0, 0, 1, 0, 0, 0]


def test_what_captions_mention_has_no_direction_and_no_opposite() -> None:
    what, data = description("mentioned: water"), split("train")
    with pytest.raises(InputError, match="has no direction of its own"):
        eraser_of(PROJECT, [what], data, Recipe(erase="text"))
    for phrase, opposite in (("mentioned: water", "land"), ("water", "mentioned: land")):
        recipe = Recipe(erase="regression", opposites={"landbird": opposite})
        with pytest.raises(InputError, match="none that is mentioned"):
            concepts_of(PROJECT, [description(phrase)], data, recipe)


@pytest.mark.slow
@needs_waterbirds
@pytest.mark.parametrize("written_by", ["captions_short", "captions_long"])
def test_captions_of_real_photographs_name_the_place_among_the_first_three(written_by: str) -> None:
    found = waterbirds()
    features = found["features"].astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = found["labels"].astype(np.int64)
    seen = found["splits"] == 0
    head = fit_base(split_of("train", features[seen], labels[seen]), CLASSES).fit.head
    right: NDArray[np.bool_] = head.probabilities(features).argmax(axis=1) == labels
    captioned, texts = found["captioned"], found[written_by]
    for label, place in ((0, {"water"}), (1, {"forest", "trees", "tree", "woods", "bamboo", "branch"})):
        of_class = labels[captioned] == label
        words = caption_words([(text,) for text in texts[of_class].tolist()], CLASSES)
        images = CaptionedImages(right=right[captioned[of_class]])
        first = suggest(words.phrases, words.has, images).items[:3]
        assert {each.phrase.removeprefix("mentioned: ") for each in first} & place
