"""Images as a network takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clarify.data.images import BadImage, load_image
from clarify.finetune.pictures import Pictures
from tests.finetune.conftest import SIDE, tiny


def test_in_evaluation_they_are_what_the_served_model_will_see(pictures: Any, squares: Path) -> None:
    network = tiny()
    found = pictures(network).plain([3, 0, 3]).result().numpy()
    assert found.shape == (3, 3, SIDE, SIDE)
    for place, row in enumerate((3, 0, 3)):
        expected = network.preprocessing(load_image(squares / f"{row}.png"))
        np.testing.assert_array_equal(found[place], expected)


def test_a_variation_depends_on_seed_step_and_image_alone(pictures: Any) -> None:
    first, second = (pictures(tiny()) for _ in "ab")
    together = first.varied([0, 1, 2, 3], 7, 5).result().numpy()
    second.varied([2], 7, 4).result()
    alone = second.varied([2], 7, 5).result().numpy()
    np.testing.assert_array_equal(together[2], alone[0])
    others = [first.varied([2], seed, step).result().numpy() for seed, step in ((7, 6), (8, 5))]
    assert all((each != alone).any() for each in others)


def test_variations_are_crops_some_of_them_turned_round(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    network = tiny()
    pictures = Pictures(
        lambda _: tmp_path / "ramp.png", tmp_path, network.preprocessing, workers=1, least_crop=0.3
    )
    rows = np.stack([pictures.varied([0], 0, step).result().numpy()[0, 0, SIDE // 2] for step in range(40)])
    pictures.close()
    rising = rows[:, -1] > rows[:, 0]
    assert 8 <= rising.sum() <= 32
    spans = np.abs(rows[:, -1] - rows[:, 0])
    whole = np.ptp(network.preprocessing.normalised(np.array([[[0] * 3, [199] * 3]], np.uint8))[0])
    assert (spans < whole).all()
    assert spans.min() < 0.75 * whole


def test_an_image_that_cannot_be_read_stops_the_batch(pictures: Any, tmp_path: Path) -> None:
    made = Pictures(lambda _: tmp_path / "none.png", tmp_path, tiny().preprocessing, workers=1)
    with pytest.raises(BadImage):
        made.plain([0]).result()
    made.close()


def test_a_picture_outside_the_root_is_not_read(squares: Path, tmp_path: Path) -> None:
    made = Pictures(lambda _: squares / "0.png", tmp_path, tiny().preprocessing, workers=1)
    with pytest.raises(BadImage):
        made.varied([0], 0, 0).result()
    made.close()
