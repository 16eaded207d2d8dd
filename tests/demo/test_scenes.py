"""The renderer: same scene, same bytes, and what the scene says is what is drawn."""

import dataclasses
import itertools
import subprocess
import sys
import time

import numpy as np
import pytest

from clarify.demo.scenes import BACKGROUNDS, COLOURS, Scene, render, renderer_means, sample_scene
from clarify.demo.shapes import seeded
from clarify.demo.small_clip import ASSETS
from clarify.demo.subjects import SUBJECTS
from clarify.errors import InputError

SQUARE = Scene(
    background="plain",
    background_colour="white",
    subject="square",
    colour="red",
    time="none",
    weather="none",
    style="cartoon",
    count=1,
    position="centre",
    size="large",
    seed=3,
)


def _scenes(n: int, name: str = "test scenes") -> list[Scene]:
    rng = seeded(name)
    return [sample_scene(rng) for _ in range(n)]


def _reddish(image: np.ndarray) -> np.ndarray:
    pixels = image.astype(int)
    return (pixels[..., 0] > 150) & (pixels[..., 1] < 110) & (pixels[..., 2] < 110)


def test_the_same_scene_gives_the_same_bytes() -> None:
    for scene in _scenes(20):
        assert render(scene, 64).tobytes() == render(scene, 64).tobytes()


def test_another_process_draws_the_same_bytes() -> None:
    code = "from clarify.demo.scenes import renderer_means; print(renderer_means())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == renderer_means()


def test_the_renderer_still_draws_what_the_shipped_model_was_trained_on() -> None:
    import json

    record = json.loads((ASSETS / "record.json").read_text(encoding="utf-8"))
    trained_on, drawn = (
        np.frombuffer(bytes.fromhex(means), np.uint8).astype(int)
        for means in (record["data"]["renderer_means"], renderer_means())
    )
    assert np.abs(trained_on - drawn).max() <= 1


def test_another_seed_changes_the_details() -> None:
    first = _scenes(1)[0]
    other = dataclasses.replace(first, seed=first.seed + 1)
    assert render(first, 64).tobytes() != render(other, 64).tobytes()


@pytest.mark.parametrize("size", [32, 64, 96, 128])
def test_pictures_have_the_size_asked_for(size: int) -> None:
    image = render(SQUARE, size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("size", [0, 31, 513])
def test_an_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(InputError, match=f"size_px is {size}; legal: 32 to 512"):
        render(SQUARE, size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subject": "zebra"}, "subject is 'zebra'"),
        ({"count": 4}, "count is 4"),
        ({"dial": 1.5}, "dial is 1.5"),
        ({"background_colour": ""}, "background 'plain' with background_colour ''"),
        ({"background": "sea"}, "background 'sea' with background_colour 'white'"),
    ],
)
def test_an_impossible_scene_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SQUARE, **change)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_subject_is_drawn_at_every_place_whatever_the_light(background: str) -> None:
    plain = background == "plain"
    for k, subject in enumerate(SUBJECTS):
        scene = dataclasses.replace(
            SQUARE,
            background=background,
            background_colour="blue" if plain else "",
            subject=subject,
            time="none" if plain else ("day", "night", "sunset")[k % 3],
            weather="none" if plain or background == "room" else ("rain", "fog", "snow")[k % 3],
        )
        assert render(scene, 64).std() > 5


def test_the_named_position_is_where_the_subject_is() -> None:
    found = {}
    for position in ("left", "centre", "right"):
        image = render(dataclasses.replace(SQUARE, position=position, size="medium"), 64)
        found[position] = float(np.nonzero(_reddish(image))[1].mean())
    assert found["left"] < 26 < found["centre"] < 38 < found["right"]


def test_larger_sizes_cover_more_of_the_picture() -> None:
    areas = [
        int(_reddish(render(dataclasses.replace(SQUARE, size=size), 64)).sum())
        for size in ("small", "medium", "large")
    ]
    assert areas[0] * 1.5 < areas[1]
    assert areas[1] * 1.5 < areas[2]


def test_a_night_is_darker_than_a_sunset_and_a_sunset_than_a_day() -> None:
    scene = dataclasses.replace(
        SQUARE, background="meadow", background_colour="", weather="clear", size="small"
    )
    means = [
        render(dataclasses.replace(scene, time=time_of_day), 64).mean()
        for time_of_day in ("night", "sunset", "day")
    ]
    assert means[0] < means[1] < means[2]


def test_every_colour_is_nearest_to_itself_in_a_plain_picture() -> None:
    table = np.array(list(COLOURS.values()), dtype=float)
    for k, colour in enumerate(COLOURS):
        other = "blue" if colour != "blue" else "red"
        scene = dataclasses.replace(SQUARE, colour=colour, background_colour=other)
        middle = render(scene, 64)[28:36, 28:36].reshape(-1, 3).mean(axis=0)
        assert np.linalg.norm(table - middle, axis=1).argmin() == k


def test_turning_the_dial_moves_the_bird_by_small_steps() -> None:
    scene = dataclasses.replace(SQUARE, subject="bird")
    images = [render(dataclasses.replace(scene, dial=dial), 64).astype(int) for dial in np.linspace(0, 1, 11)]
    steps = [np.abs(a - b).mean() for a, b in itertools.pairwise(images)]
    assert min(steps) > 0
    assert max(steps) < np.abs(images[0] - images[-1]).mean() / 2


def test_attributes_are_sampled_nearly_independently() -> None:
    scenes = _scenes(6000, "independence")
    dark = np.array([s.time == "night" for s in scenes])
    red = np.array([s.colour == "red" for s in scenes])
    bird = np.array([s.subject == "bird" for s in scenes])
    assert abs(np.corrcoef(dark, red)[0, 1]) < 0.05
    assert abs(np.corrcoef(bird, red)[0, 1]) < 0.05


def test_drawing_is_fast_enough_for_thousands_of_pictures() -> None:
    # CPU time of this process: other work on the machine does not count
    scenes = _scenes(300)
    begun = time.process_time()
    for scene in scenes:
        render(scene, 64)
    assert (time.process_time() - begun) / len(scenes) < 0.004


def test_the_dial_rounds_the_corners_of_a_square_and_squares_an_ellipse() -> None:
    def covered(subject: str, dial: float) -> int:
        scene = dataclasses.replace(SQUARE, subject=subject, dial=dial)
        return int(_reddish(render(scene, 128)).sum())

    assert covered("square", 0.0) > covered("square", 0.4) > covered("square", 0.8)
    assert covered("ellipse", 0.0) < covered("ellipse", 0.3) < covered("ellipse", 0.6)
