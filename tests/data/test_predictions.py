"""Predictions in tables: whatever numbers are in them is read in one way, or asked about."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from clarify.data.predictions import read_predictions
from clarify.errors import ManifestError

TWELVE = tuple(sorted(str(number) for number in range(12)))  # as folders are sorted: 0, 1, 10, 11, 2, ...
PADDED = ("001", "002", "010")
PETS = ("cat", "dog")


def predictions(folder: Path, predicted: list[str], **columns: list[object]) -> Path:
    path = folder / "p.csv"
    ids = [f"{number}.png" for number in range(len(predicted))]
    pl.DataFrame({"id": ids, "predicted": predicted, **columns}).write_csv(path)
    return path


@pytest.mark.parametrize(
    ("classes", "predicted", "reading", "expected"),
    [
        (PETS, ["cat", "dog"], "names", [0, 1]),
        (PETS, ["0", "1"], "positions", [0, 1]),
        (PETS, ["0.0", "1.0"], "positions", [0, 1]),
        (("0", "1"), ["1", "0"], "names", [1, 0]),
        (("1", "2", "3"), ["0", "2"], "positions", [0, 2]),
        (("1", "2", "3"), ["1", "3"], "names", [0, 2]),
        (PADDED, ["1", "2", "10"], "names", [0, 1, 2]),
        (PADDED, ["001", "002"], "names", [0, 1]),
        (PADDED, ["0", "2"], "positions", [0, 2]),
        (("-1", "1"), ["-1", "1.0"], "names", [0, 1]),
        (("cat", "1"), ["cat", "1"], "names", [0, 1]),
        (("5", "05"), ["05", "5"], "names", [1, 0]),
    ],
)
def test_numbers_are_read_in_the_one_way_that_fits_all_of_them(
    tmp_path: Path, classes: tuple[str, ...], predicted: list[str], reading: str, expected: list[int]
) -> None:
    found = read_predictions(predictions(tmp_path, predicted), classes)
    assert found.reading == reading
    assert found.predicted.tolist() == expected


def test_numbers_that_fit_as_names_and_as_positions_are_asked_about(tmp_path: Path) -> None:
    path = predictions(tmp_path, [str(number) for number in range(12)])
    with pytest.raises(ManifestError, match="'10' is class '10' by name and class '8' by position") as error:
        read_predictions(path, TWELVE)
    assert "--numbers names, or --numbers positions" in str(error.value)
    by_position = read_predictions(path, TWELVE, numbers="positions").predicted
    assert by_position.tolist() == list(range(12))
    by_name = read_predictions(path, TWELVE, numbers="names").predicted
    assert [TWELVE[number] for number in by_name] == [str(number) for number in range(12)]


def test_padded_numbers_of_which_both_readings_fit_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="'1' is class '001' by name and class '002' by position"):
        read_predictions(predictions(tmp_path, ["1", "2"]), PADDED)


@pytest.mark.parametrize(
    ("predicted", "words"),
    [
        (["0", "2"], "row 2: predicted '2' is no class; known: cat, dog; positions are 0 to 1"),
        (["cat", "1"], "row 2: predicted '1' is no class"),
        (["0.5", "1"], "row 1: predicted '0.5' is no class"),
        (["9" * 5000, "1"], "row 1: predicted .* is no class"),
    ],
)
def test_what_is_neither_is_refused_with_its_row(tmp_path: Path, predicted: list[str], words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        read_predictions(predictions(tmp_path, predicted), PETS)


def test_blanks_after_commas_are_no_part_of_columns_ids_and_classes(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("id , predicted, cat, dog\n0.png , cat, 1.0, 0.0\n1.png, dog , 0.0, 1.0\n")
    found = read_predictions(path, PETS)
    assert found.ids == ("0.png", "1.png")
    assert found.predicted.tolist() == [0, 1]
    assert found.probabilities is not None


@pytest.mark.parametrize("prefix", ["", "p_", "prob_", "probability_"])
@pytest.mark.parametrize("classes", [PETS, ("0", "1"), ("1", "2"), ("7", "007")])
def test_probabilities_in_numbered_columns_are_taken(
    tmp_path: Path, prefix: str, classes: tuple[str, ...]
) -> None:
    columns = {f"{prefix}0": [0.9, 0.2], f"{prefix}1": [0.1, 0.8]}
    found = read_predictions(predictions(tmp_path, list(classes), **columns), classes)
    assert found.probabilities is not None
    assert found.probabilities.tolist() == [[0.9, 0.1], [0.2, 0.8]]
    assert found.columns["probabilities"] == f"{prefix}0, {prefix}1"
    assert found.notes == ()


def test_columns_that_fit_as_names_and_positions_follow_the_predictions_or_are_asked_about(
    tmp_path: Path,
) -> None:
    columns = {f"p_{number}": [float(number == 10)] * 2 for number in range(12)}
    path = predictions(tmp_path, ["10", "10"], **columns)
    found = read_predictions(path, TWELVE, numbers="names")
    assert found.probabilities is not None
    assert found.probabilities.argmax(axis=1).tolist() == [TWELVE.index("10")] * 2
    found = read_predictions(path, TWELVE, numbers="positions")
    assert found.probabilities is not None
    assert found.probabilities.argmax(axis=1).tolist() == [10, 10]
    with pytest.raises(ManifestError, match=r"the column of '.*' is class '.*' by name and class"):
        read_predictions(predictions(tmp_path, ["0", "1"], **columns), TWELVE)  # these are both


def test_probabilities_of_other_classes_than_predicted_are_refused_if_in_every_row_and_else_told(
    tmp_path: Path,
) -> None:
    swapped = {"p_dog": [0.9, 0.9, 0.2], "p_cat": [0.1, 0.1, 0.8]}
    with pytest.raises(
        ManifestError, match="no row predicts its likeliest class: row 1 predicts 'cat', and 'dog'"
    ):
        read_predictions(predictions(tmp_path, ["cat", "cat", "dog"], **swapped), PETS)
    found = read_predictions(predictions(tmp_path, ["cat", "dog", "cat"], **swapped), PETS)
    assert found.notes == (
        "1 of 3 rows do not predict their likeliest class: row 1 predicts 'cat', and 'dog' has probability "
        "0.9",
    )


def test_columns_that_are_not_read_are_told(tmp_path: Path) -> None:
    found = read_predictions(predictions(tmp_path, ["cat", "dog"], logit_0=[1, 2], logit_1=[2, 1]), PETS)
    assert found.notes == ("columns that were not read: logit_0, logit_1",)


def test_a_numbered_column_for_some_classes_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="probabilities of 1 of 2 classes, none of 'cat'"):
        read_predictions(predictions(tmp_path, ["cat", "dog"], prob_1=[0.5, 0.5]), PETS)
