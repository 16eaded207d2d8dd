"""The case study at a tiny size: what was planted is found by the product, said, and corrected."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmarks.case_study import measured, run
from clarify.errors import InputError
from clarify.evidence.planted_halves import FAMILY, IMAGENET, HalvesSize, PlantedHalves

TINY = HalvesSize(classes=20, train=3_000, width=96, held_out=60, concepts=40)


def test_the_hard_halves_are_found_described_and_corrected(home: Path) -> None:
    found = run(home, TINY)
    assert (found.precision, found.recall, found.described) == (1.0, 1.0, 2)
    assert found.half_before is not None
    assert found.half_after is not None
    assert found.half_after > found.half_before + 0.1
    assert abs(found.average_before - found.average_after) < 0.02
    assert len(found.gate) >= 3
    figures = {each.name: each.figure for each in measured(found)}
    assert figures["case study of 20 classes, half after"] == found.half_after


def test_a_hard_half_lies_towards_its_sibling_and_shows_what_that_shows() -> None:
    drawn = PlantedHalves(size=dataclasses.replace(TINY, train=8_000))
    features = np.concatenate([*drawn.features()]).astype(np.float64)
    phrases, embeddings = drawn.bank
    for name, words in drawn.planted.items():
        label = drawn.classes.index(name)
        own = (drawn.labels == label) & (drawn.split == "train")
        assert drawn.hard[own].mean() == pytest.approx(0.2, abs=0.06)
        word = embeddings[phrases.index(words[0])]
        shows = features @ (word / np.linalg.norm(word))
        family = drawn.labels // FAMILY == label // FAMILY
        means = [shows[family & (drawn.labels == k)].mean() for k in np.unique(drawn.labels[family])]
        sibling = int(np.argmax(means)) + label // FAMILY * FAMILY
        towards = features[own].copy() @ (drawn._centres[sibling] - drawn._centres[label])
        hard = drawn.hard[own]
        assert sibling != label
        assert shows[own][hard].mean() > shows[own][~hard].mean() + 0.5
        assert towards[hard].mean() > towards[~hard].mean()


def test_a_part_has_fewer_classes_that_are_as_large_and_a_size_that_is_none_is_refused() -> None:
    tenth = IMAGENET.part(0.1)
    assert (tenth.classes, tenth.train, tenth.held_out) == (100, 128_116, 50)
    for size in (0.0, 1.5):
        with pytest.raises(InputError, match="size is"):
            IMAGENET.part(size)
