from __future__ import annotations

import numpy as np
import pytest

from clarify.discover import mentions
from clarify.discover.mentions import CaptionedImages, caption_words
from clarify.discover.suggest import suggest
from clarify.discover.vocabulary import plain_phrases
from clarify.method.phrases.error_score import error_score


def captions_of(*counted: tuple[int, tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [texts for count, texts in counted for _ in range(count)]


def test_words_count_from_ten_captions_little_ones_and_class_names_never() -> None:
    captions = captions_of(
        (9, ("the landbirds on a lake",)),
        (1, ("a lake", "a LAKE of the sea")),
        (10, ("a sea", "")),
        (9, ("land bird",)),
    )
    found = caption_words(captions, ["landbird", "water bird"])
    # 11 captions say lake, 11 sea, 9 land: bird, landbirds and their like are parts of names.
    assert found.phrases == ("mentioned: lake", "mentioned: sea")
    assert found.has.sum(axis=1).tolist() == [10, 11]
    assert found.has[0].tolist() == [1] * 10 + [0] * 19


def test_pairs_are_neighbours_in_one_caption_and_hold_no_little_word() -> None:
    captions = captions_of((10, ("palm tree on a beach", "green")), (10, ("tree palm",)), (1, ("x",)))
    found = caption_words(captions, ["cat"]).phrases
    assert {each.removeprefix("mentioned: ") for each in found} == {
        "palm",
        "tree",
        "beach",
        "green",
        "palm tree",
        "tree palm",
    }


def test_a_word_that_is_part_of_a_name_is_left_out_and_told() -> None:
    captions = captions_of((10, ("a white shark near rocks",)), (1, ("a shark",)))
    found = caption_words(captions, ["great white shark", "sea"])
    assert found.phrases == ("mentioned: rocks",)
    assert found.left_out == 3  # white, shark, white shark


def test_a_word_that_every_image_has_is_not_searched() -> None:
    found = caption_words(captions_of((10, ("a bird at sea",)), (10, ("birds", "a bird"))), ["cat"])
    assert found.phrases == ("mentioned: birds", "mentioned: sea")
    assert found.left_out == 1


def test_no_more_words_than_can_be_held_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mentions, "MOST_WORDS", 1)
    found = caption_words(captions_of((12, ("sea",)), (10, ("lake",)), (1, ("",))), ["cat"])
    assert (found.phrases, found.left_out) == (("mentioned: sea",), 1)


def test_a_mention_is_suggested_with_the_exact_score_of_its_presence() -> None:
    # 40 wrong images, 30 of them on water; 60 right ones, 6 of them on water; sand is everywhere alike.
    captions = captions_of(
        (15, ("water and sand",)),
        (15, ("on the water",)),
        (5, ("sand",)),
        (5, ("rocks",)),
        (3, ("water, sand",)),
        (3, ("water",)),
        (27, ("sand",)),
        (27, ("rocks",)),
    )
    right = np.arange(100) >= 40
    words = caption_words(captions, ["landbird"])
    found = suggest(words.phrases, words.has, CaptionedImages(right=right)).after(7)
    first = found.items[0]
    assert first.phrase == "mentioned: water"
    assert first.score.value == pytest.approx(30 / 40 - 6 / 60)
    assert first.score.threshold == 0.5
    assert first.score.wrong_is_above
    assert first.evidence.confirmed
    water = words.has[words.phrases.index("mentioned: water")]
    assert first.score == error_score(water[right], water[~right])
    assert first.evidence.p_corrected == min(1.0, first.score.p_value * (found.tries + 7))


def test_a_vocabulary_holds_phrases_that_images_are_like_and_no_mentions() -> None:
    assert plain_phrases(["water", "mentioned: water"]) == ("water",)
