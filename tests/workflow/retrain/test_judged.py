"""Who pays for a correction is searched with the base before and the corrected model after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from clarify.discover.vocabulary import topics
from clarify.method.groups.groups import described_groups
from clarify.track.promotion import Gate
from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, split_of
from clarify.workflow.retrain.judged import Predicted, gate_evidence

WORDS = {word: at for at, word in enumerate(topics()["places"])}


def encode(phrases: Sequence[str]) -> np.ndarray:
    """Every other place is wet; words of other topics say nothing of it."""
    return np.array(
        [[1.0 if WORDS.get(p, 0) % 2 else -1.0, 0.3] if p in WORDS else [0.0, 1.0] for p in phrases]
    )


PROJECT = ArrayData(
    manifest=ClassNames(name="birds", classes=("landbird", "waterbird")),
    encoder=CallableEncoder(encode=encode),
)


@pytest.mark.parametrize("turned", [False, True])
def test_images_that_only_the_base_gets_right_pay_and_not_the_other_way_round(turned: bool) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 400)
    wet = rng.uniform(-0.9, 0.9, 800)
    seen = np.stack((wet, np.sqrt(1 - wet**2)), axis=1).astype(np.float32)
    data = split_of("validation", seen, labels)
    pays = (labels == 0) & (wet > 0.5)
    before, after = labels, np.where(pays, 1, labels)
    if turned:
        before, after = after, before
    groups = described_groups(
        labels, PROJECT.manifest.classes, {"landbird": [("odd", np.arange(800) % 2 == 1)]}
    )
    found = gate_evidence(
        PROJECT,
        {"train": data, "validation": data},
        {"train": groups, "validation": groups},
        {"landbird"},
        Predicted(base=before, now=after, control=before),
    )
    worst = min(found.subgroups, key=lambda each: each.changed.change)
    (said,) = (each for each in Gate().judge(found).reasons if each.name == "subgroups")
    if turned:
        assert worst.changed.change >= 0
        assert said.passed
    else:
        assert worst.name.startswith("landbird · towards ")
        assert WORDS[worst.name.removeprefix("landbird · towards ").split(", ")[0]] % 2  # a wet place
        assert worst.changed.change < -0.8
        assert not said.passed
        assert "landbird · towards" in said.text
    assert not any(each.changed.worse for each in found.subgroups if each.name.startswith("waterbird"))
