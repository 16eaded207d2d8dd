from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from clarify.discover.vocabulary import (
    MOST_PHRASES,
    plain_phrases,
    read_vocabulary,
    vocabulary,
    without_names,
)
from clarify.errors import InputError, NotFoundError, PhraseError
from clarify.method.phrases.grammar import parse_phrase


def test_there_are_some_thousand_phrases_each_once_and_in_small_letters() -> None:
    phrases = vocabulary()
    assert 2_500 <= len(phrases) <= 4_000
    assert len(set(phrases)) == len(phrases)
    assert [each for each in phrases if not re.fullmatch(r"[a-z0-9][a-z0-9' -]*", each)] == []


def test_every_phrase_is_a_plain_one_as_people_may_write_it() -> None:
    for phrase in vocabulary():
        parsed = parse_phrase(phrase)
        assert not parsed.is_compound
        assert parsed.text == phrase
        assert len(phrase.split()) <= 6


@pytest.mark.parametrize(
    "phrase",
    [
        "water",
        "in the forest",
        "at night",
        "snow",
        "red",
        "wooden",
        "striped",
        "round",
        "blurry",
        "close-up",
        "black and white",
        "watermark",
        "text",
        "border",
        "collage",
        "low contrast",
        "child",
        "man",
        "hands",
        "face",
        "crowd",
        "glasses",
        "sitting",
        "dog",
        "apple",
        "car",
        "building",
        "chair",
        "hammer",
        "laptop",
        "basketball",
        "street sign",
        "ruler on skin",
        "conveyor belt",
        "two of them",
        "behind a fence",
        "held in a hand",
        "in a cage",
    ],
)
def test_it_covers_what_pictures_show_and_how_they_are_taken(phrase: str) -> None:
    assert phrase in vocabulary()


def test_every_line_of_the_files_is_a_phrase() -> None:
    folder = resources.files("clarify.discover").joinpath("words")
    lines = [line for each in folder.iterdir() for line in each.read_text("utf-8").splitlines()]
    assert sorted(lines) == sorted(vocabulary())


def test_a_list_of_ones_own_is_read_line_by_line_without_repeats(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes("\ufeffon  a lake\r\n\r\nOn a Lake\r\nat night\n".encode())
    assert read_vocabulary(path) == ("on a lake", "at night")


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b"water\n\nfog AND night\n", PhraseError, r"line 3: 'fog AND night' is joined"),
        (b"water\n123\n", PhraseError, r"line 2: .*has no letters"),
        (b"water\n" + b"x" * 300, PhraseError, r"line 2: .*300 characters"),
        ("вода".encode(), PhraseError, "line 1: .*not a Latin letter"),
        (b"caf\xe9\n", InputError, "byte 3 is not UTF-8"),
        (b"\n \n", InputError, "has 0 phrases"),
    ],
)
def test_a_bad_list_is_refused_with_its_line(
    tmp_path: Path, content: bytes, error: type[Exception], said: str
) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(error, match=said) as refused:
        read_vocabulary(path)
    assert str(path) in str(refused.value)


def test_a_list_that_is_missing_or_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        read_vocabulary(tmp_path / "none.txt")
    path = tmp_path / "long.txt"
    path.write_text("\n".join(f"word{number}" for number in range(MOST_PHRASES + 1)))
    with pytest.raises(InputError, match=r"50,001 phrases; 1 to 50,000"):
        read_vocabulary(path)


def test_phrases_of_a_bank_that_nobody_could_type_are_passed_over() -> None:
    assert plain_phrases(["a lake", "fog AND night", "", "12", "in  fog"]) == ("a lake", "in fog")


def test_what_only_names_the_class_is_left_out_and_nothing_else() -> None:
    phrases = (
        "great white shark",
        "a white shark",
        "sharks",
        "man eaters",
        "the maneater",
        "white",
        "great",
        "shark fin",
        "water",
    )
    left = without_names(phrases, "great_white shark, man-eater", ())
    assert left == ("white", "great", "shark fin", "water")
    classes = ("landbird", "waterbird, sea bird")
    given = ("landbird", "land birds", "bird", "land", "water bird", "seabirds", "water")
    assert without_names(given, "landbird", classes) == ("bird", "land", "water")
