from __future__ import annotations

import numpy as np
import pytest

from clarify.errors import InputError, PhraseError
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.grammar import Atom, parse_phrase
from clarify.method.phrases.mentions import folded_words, mentioned
from clarify.method.phrases.phrases import CERTAIN, Calibration, phrase_scores


def test_an_atom_that_asks_captions_has_one_spelling_and_joins_like_any_other() -> None:
    for text in ("mentioned:water", "Mentioned:  water", "mentioned: water"):
        assert parse_phrase(text).expression == Atom(text="mentioned: water")
    phrase = parse_phrase("NOT mentioned: palm tree AND (water OR mentioned:sand)")
    assert phrase.text == "NOT mentioned: palm tree AND (water OR mentioned: sand)"
    assert parse_phrase(phrase.text) == phrase
    assert phrase.mentions == ("mentioned: palm tree", "mentioned: sand")
    assert phrase.embedded == ("water",)


def test_words_that_only_speak_of_mentioning_stay_similarity_phrases() -> None:
    for text in ("mentioned water", "water mentioned: twice", "unmentioned: water"):
        assert parse_phrase(text).mentions == ()


@pytest.mark.parametrize("text", ["mentioned:", "mentioned: 12", "water AND mentioned:"])
def test_nothing_to_mention_is_refused(text: str) -> None:
    with pytest.raises(PhraseError, match="has no letters"):
        parse_phrase(text)


def test_whole_words_are_mentioned_in_any_case_one_after_the_other() -> None:
    captions = [
        ["A bird on the Water."],
        ["a waterfall", "nothing"],
        ["nothing", "water-lilies"],
        ["a palm-tree by the sea"],
        ["a tree and a palm"],
        [],
    ]
    assert mentioned("mentioned: water", captions).tolist() == [1, 0, 1, 0, 0, 0]
    assert mentioned("mentioned: PALM tree", captions).tolist() == [0, 0, 0, 1, 0, 0]
    assert mentioned("mentioned: tree", captions).tolist() == [0, 0, 0, 1, 1, 0]
    assert folded_words("The bird's STRASSE, Straße") == ("the", "bird", "s", "strasse", "strasse")


def test_two_captions_do_not_make_one_mention_together() -> None:
    assert mentioned("mentioned: palm tree", [["a palm", "tree"]]).tolist() == [0]


def test_beside_a_similarity_a_mention_decides_alone() -> None:
    asked = {"mentioned: water": [1.0, 1.0, 0.0, 0.0], "night": [0.3, 0.1, 0.3, 0.1]}
    calibrations = {"mentioned: water": CERTAIN, "night": Calibration(threshold=0.2, scale=0.05)}

    def scores(text: str) -> list[float]:
        return np.round(phrase_scores(parse_phrase(text), asked, calibrations), 9).tolist()

    # Night has log-odds 2, -2, 2, -2; what is mentioned 32, what is not -32.
    assert scores("mentioned: water AND night") == [2, -2, -32, -32]
    assert scores("mentioned: water OR night") == [32, 32, 2, -2]
    assert scores("NOT mentioned: water") == [-32, -32, 32, 32]
    assert phrase_scores(parse_phrase("mentioned: water"), asked, {}).tolist() == [1, 1, 0, 0]


def test_a_description_that_asks_captions_is_kept_and_opened_like_any_other() -> None:
    fields = {
        "data_set": "birds",
        "class_name": "landbird",
        "template": "a photo of {}",
        "encoder": "0" * 12,
        "wrong_is_above": True,
        "author": "Ada",
        "created_at": "2026-01-01T00:00:00+00:00",
    }
    plain = Description(phrase="mentioned:water", calibrations={}, threshold=0.5, **fields)
    assert plain.phrase == "mentioned: water"
    assert Description.from_dict(plain.to_dict()) == plain
    assert plain.with_half([0.0, 1.0]).tolist() == [False, True]
    joined = Description(
        phrase="NOT mentioned: water", calibrations={"mentioned: water": CERTAIN}, threshold=0.0, **fields
    )
    assert Description.from_dict(joined.to_dict()) == joined
    with pytest.raises(InputError, match="calibrations are of"):
        Description(phrase="NOT mentioned: water", calibrations={"water": CERTAIN}, threshold=0.0, **fields)
