"""The taught words: each has a truth, phrases with other words are found out."""

import pytest

from clarify.demo.scenes import sample_scene
from clarify.demo.shapes import seeded
from clarify.demo.vocabulary import (
    FUNCTION_WORDS,
    VALUES,
    WORDS,
    facts_of,
    plural,
    taught_words,
    unknown_words,
)


def test_at_least_650_words_are_taught() -> None:
    assert len(WORDS) >= 650


def test_every_word_is_true_of_some_scenes_and_false_of_others() -> None:
    rng = seeded("words")
    facts = [facts_of(sample_scene(rng)) for _ in range(600)]
    for word, claim in WORDS.items():
        assert claim.values <= set(VALUES[claim.attribute]), word
        holds = [claim.holds(f) for f in facts]
        assert any(holds), word
        assert not all(holds), word


def test_water_is_true_of_sea_lake_and_river_alone() -> None:
    assert WORDS["water"].values == {"sea", "lake", "river"}


def test_a_word_of_the_templates_carries_no_truth() -> None:
    assert not FUNCTION_WORDS & set(WORDS)


@pytest.mark.parametrize(
    ("dial", "kind"), [(0.0, "songbird"), (0.44, "songbird"), (0.5, "unclear"), (0.9, "duck")]
)
def test_the_dial_decides_the_kind_of_bird(dial: float, kind: str) -> None:
    import dataclasses

    rng = seeded("dial")
    bird = next(s for s in iter(lambda: sample_scene(rng), None) if s.subject == "bird")
    assert facts_of(dataclasses.replace(bird, dial=dial))["bird"] == kind


@pytest.mark.parametrize(
    ("phrase", "unknown"),
    [
        ("water", ()),
        ("Water", ()),
        ("a blue bird in the forest at night", ()),
        ("ducks", ()),
        ("3 ducks, on water!", ()),
        ("a zebra and a Giraffe", ("zebra", "giraffe")),
        ("zebra zebra", ("zebra",)),
        ("forest AND NOT (night OR snow)", ()),
        ("close-up", ()),
        ("", ()),
        ("été", ("été",)),
    ],
)
def test_words_never_taught_are_named_in_order(phrase: str, unknown: tuple[str, ...]) -> None:
    assert unknown_words(phrase) == unknown


def test_plurals_of_nouns_are_taught() -> None:
    assert {"ducks", "finches", "butterflies", "foxes"} & taught_words() == {
        "ducks",
        "finches",
        "butterflies",
    }


@pytest.mark.parametrize(
    ("word", "several"), [("bird", "birds"), ("finch", "finches"), ("pony", "ponies"), ("fish", "fish")]
)
def test_plurals_follow_english(word: str, several: str) -> None:
    assert plural(word) == several
