"""Rendered scenes: what is in a picture as a value, and the picture drawn from it.

A :class:`Scene` states every attribute of a picture; :func:`render` draws it at any size. The
same scene gives the same bytes: all randomness comes from its ``seed``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from clarify.demo import backgrounds
from clarify.demo.animals import INK
from clarify.demo.backgrounds import PLACES, WATER_PLACES
from clarify.demo.canvas import Canvas, Light
from clarify.demo.shapes import Pen, Rgb, mix, paint, seeded, tint
from clarify.demo.subjects import PLAIN_SHAPES, SUBJECTS
from clarify.errors import InputError

RENDERER_VERSION = "1"
"""Changes when the same scene is drawn differently; weights are trained on one version."""

COLOURS: dict[str, Rgb] = {
    "red": (212, 38, 40),
    "orange": (244, 132, 28),
    "yellow": (250, 214, 48),
    "green": (56, 160, 66),
    "blue": (48, 98, 214),
    "purple": (128, 58, 172),
    "pink": (246, 146, 190),
    "brown": (124, 78, 42),
    "black": (30, 30, 34),
    "white": (246, 246, 243),
    "grey": (142, 144, 148),
}
BACKGROUNDS: tuple[str, ...] = (*PLACES, "plain")
TIMES = ("day", "night", "sunset", "none")
WEATHERS = ("clear", "rain", "fog", "snow", "none")
STYLES = ("photo", "cartoon", "sketch")
COUNTS = (1, 2, 3)
POSITIONS = ("left", "centre", "right")
SIZES = ("small", "medium", "large")

_HEIGHT = {"small": (0.22, 0.29), "medium": (0.36, 0.45), "large": (0.56, 0.68)}
_CENTRE = {"left": 0.27, "centre": 0.5, "right": 0.73}
_GROUP = {1: ((0.0, 0.0),), 2: ((-0.5, 0.0), (0.5, 0.05)), 3: ((-0.72, 0.0), (0.72, 0.0), (0.0, 0.09))}
_SHRINK = {1: 1.0, 2: 0.74, 3: 0.60}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that is true of one picture.

    ``dial`` in [0, 1] is 0 for a songbird and 1 for a duck; it rounds the corners of a square and
    squares an ellipse (both plain at 0, as training shows them); it matters to nothing else.
    ``background_colour`` is a colour name for the plain background and "" elsewhere; the plain
    background has no time and no weather ("none"), the room has no weather.
    """

    background: str
    subject: str
    colour: str
    time: str
    weather: str
    style: str
    count: int
    position: str
    size: str
    dial: float = 0.0
    background_colour: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, legal in _LEGAL.items():
            if getattr(self, name) not in legal:
                raise InputError(
                    f"scene: {name} is {getattr(self, name)!r}; legal: "
                    f"{', '.join(map(str, legal))}; correct the scene"
                )
        if not 0.0 <= self.dial <= 1.0:
            raise InputError(f"scene: dial is {self.dial}; legal: 0 to 1; clip it")
        if (self.background == "plain") != bool(self.background_colour):
            raise InputError(
                f"scene: background {self.background!r} with background_colour "
                f"{self.background_colour!r}; legal: a colour for 'plain', '' elsewhere; correct it"
            )


_LEGAL: dict[str, tuple[object, ...]] = {
    "background": BACKGROUNDS,
    "subject": tuple(SUBJECTS),
    "colour": tuple(COLOURS),
    "time": TIMES,
    "weather": WEATHERS,
    "style": STYLES,
    "count": COUNTS,
    "position": POSITIONS,
    "size": SIZES,
    "background_colour": ("", *COLOURS),
}


def _one(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    return values[int(rng.integers(len(values)))]


def sample_scene(rng: np.random.Generator) -> Scene:
    """Return a scene whose attributes are drawn nearly independently.

    Birds and the plain background are drawn a little more often than the rest, plain shapes
    lie on the plain background more often than elsewhere, and a subject never has the colour of
    a plain background.
    """
    subject = "bird" if rng.random() < 0.28 else _one(rng, tuple(SUBJECTS)[1:])
    share = 0.5 if subject in PLAIN_SHAPES else 0.06
    background = "plain" if rng.random() < share else _one(rng, tuple(PLACES))
    bare = background == "plain"
    colour = _one(rng, tuple(COLOURS))
    others = tuple(name for name in COLOURS if name != colour)
    return Scene(
        background=background,
        subject=subject,
        colour=colour,
        time="none" if bare else _one(rng, TIMES[:3]),
        weather="none" if bare or background == "room" else _weather(rng),
        style=_one(rng, STYLES),
        count=1 if rng.random() < 0.6 else int(rng.integers(2, 4)),
        position=_one(rng, POSITIONS),
        size=_one(rng, SIZES),
        dial=float(rng.random()) if subject == "bird" else 0.0,
        background_colour=_one(rng, others) if bare else "",
        seed=int(rng.integers(2**31)),
    )


def _weather(rng: np.random.Generator) -> str:
    return "clear" if rng.random() < 0.4 else _one(rng, WEATHERS[1:4])


def _jitter(colour: Rgb, rng: np.random.Generator) -> Rgb:
    """Return the colour a little lighter, darker and shifted."""
    shift = rng.normal(0, 5, 3) + rng.normal(0, 7)
    r, g, b = np.clip(np.array(colour) + shift, 0, 255).astype(int).tolist()
    return r, g, b


def render(scene: Scene, size_px: int) -> NDArray[np.uint8]:
    """Draw a scene.

    Parameters
    ----------
    scene
        What to draw.
    size_px
        Side of the square picture in pixels, 32 to 512.

    Returns
    -------
    uint8 (size_px, size_px, 3)
        RGB, the same bytes for the same scene and size.

    Raises
    ------
    InputError
        When the size is not legal.
    """
    if not 32 <= size_px <= 512:
        raise InputError(f"render: size_px is {size_px}; legal: 32 to 512; choose 64, 96 or 128")
    rng = seeded("scene", scene.seed)
    side = 2 * size_px
    light = Light(time=scene.time, weather=scene.weather, side=side, rng=rng)
    if scene.background == "plain":
        canvas = backgrounds.plain(light, _jitter(COLOURS[scene.background_colour], rng))
    else:
        canvas = PLACES[scene.background](light)
    if scene.style == "photo" and scene.background != "plain":
        canvas.image.paste(canvas.image.filter(ImageFilter.BoxBlur(side / 128)))
    _put_subject(canvas, scene, rng)
    _put_weather(canvas, scene, rng)
    return _finish(canvas.image.reduce(2), scene, rng)


def _put_subject(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> None:
    """Paint the subject, once to three times, at its place."""
    low, high = _HEIGHT[scene.size]
    tall = float(rng.uniform(low, high)) * _SHRINK[scene.count]
    x = _CENTRE[scene.position] + float(rng.uniform(-0.05, 0.05))
    on_water, bare = scene.background in WATER_PLACES, scene.background == "plain"
    foot = float(rng.uniform(0.78, 0.88))
    if bare:
        foot = 0.5 + tall / 2 + float(rng.uniform(-0.06, 0.06))
    foot = max(foot, tall * 1.02)
    colour = _jitter(COLOURS[scene.colour], rng)
    shade = {"night": (0.74, 0.76, 0.88), "sunset": (1.0, 0.92, 0.86)}.get(scene.time)
    if shade:
        colour = tint(colour, shade)
    shapes = SUBJECTS[scene.subject](colour, scene.dial, rng)
    ink = None if scene.style == "photo" else INK
    line = canvas.side * (0.007 if scene.size == "small" else 0.009)
    for dx, dy in _GROUP[scene.count]:
        mirrored = bool(rng.random() < 0.5)
        cx, fy = x + dx * tall * 1.18, foot + dy
        if not bare and scene.subject not in PLAIN_SHAPES:
            _put_shadow(canvas, cx, fy, tall, on_water=on_water)
        pen = Pen(
            left=(cx - tall / 2) * canvas.side,
            top=(fy - tall) * canvas.side,
            side=tall * canvas.side,
            mirrored=mirrored,
        )
        paint(canvas.draw, shapes, pen, ink=ink, line=line)
        if on_water and scene.subject not in PLAIN_SHAPES:
            _put_waterline(canvas, cx, fy, tall)


def _put_shadow(canvas: Canvas, x: float, foot: float, tall: float, *, on_water: bool) -> None:
    """Darken the ground under the subject."""
    s = canvas.side
    at = (min(s - 1, max(0, int(x * s))), min(s - 1, int(foot * s)))
    ground = canvas.image.getpixel(at)
    if isinstance(ground, tuple) and not on_water:
        r, g, b = (int(v) for v in ground)
        canvas.ellipse(x, foot, tall * 0.56, tall * 0.055, mix((r, g, b), (0, 0, 0), 0.32))


def _put_waterline(canvas: Canvas, x: float, foot: float, tall: float) -> None:
    """Cut the subject's foot off by water, with a ripple."""
    s = canvas.side
    at = (min(s - 1, max(0, int(x * s))), min(s - 1, int((foot + 0.03) * s)))
    below = canvas.image.getpixel(at)
    if isinstance(below, tuple):
        r, g, b = (int(v) for v in below)
        top = foot - 0.10 * tall
        water = (r, g, b)
        canvas.box(x - 0.62 * tall, top, x + 0.62 * tall, foot + 0.012, water)
        bright = mix(water, (255, 255, 255), 0.4)
        canvas.line(x - 0.66 * tall, top, x + 0.66 * tall, top, bright, 0.010)
        canvas.line(x - 0.4 * tall, top + 0.045, x + 0.5 * tall, top + 0.045, bright, 0.007)


def _put_weather(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> None:
    """Draw what falls: streaks of rain or flakes of snow."""
    if scene.weather == "rain":
        drops = rng.uniform(0, 1, (46, 2))
        slant = float(rng.uniform(-0.04, 0.04))
        colour = (196, 212, 230) if scene.time != "night" else (146, 164, 196)
        for x, y in drops.tolist():
            canvas.line(x, y - 0.05, x + slant, y + 0.05, colour, 0.006)
    elif scene.weather == "snow":
        for k, (x, y) in enumerate(rng.uniform(0, 1, (64, 2)).tolist()):
            r = 0.009 + 0.006 * (k % 3) / 2
            canvas.ellipse(x, y, r, r, (252, 253, 255))


def renderer_means() -> str:
    """Return what the renderer draws, in brief: mean colours of the quarters of a few dozen scenes.

    Means, not bytes: sines of 32 bits differ in the last place from processor to processor.

    Returns
    -------
    str
        60 scenes x 2 x 2 quarters x 3 channels of uint8, in hexadecimal.
    """
    rng = seeded("renderer digest")
    drawn = np.stack([render(sample_scene(rng), 64) for _ in range(60)])
    means = drawn.reshape(60, 2, 32, 2, 32, 3).mean(axis=(2, 4))
    return bytes(np.round(means).astype(np.uint8)).hex()


@functools.lru_cache(maxsize=16)
def _noise(side: int, kind: str) -> NDArray[np.float32]:
    """Return a fixed pattern (2 side, 2 side, 1): grain, or the strokes of a pencil."""
    rng = seeded(kind, side)
    if kind == "grain":
        return rng.normal(0, 1, (2 * side, 2 * side, 1)).astype(np.float32)
    y, x = np.mgrid[0 : 2 * side, 0 : 2 * side].astype(np.float32) * (64.0 / side)
    waves = np.sin(1.9 * (x + y)) + 0.6 * np.sin(0.83 * (x + y) + 0.5 * np.sin(0.1 * x))
    strokes: NDArray[np.float32] = (waves + rng.normal(0, 0.5, waves.shape)).astype(np.float32)
    return strokes[:, :, None]


def _finish(image: Image.Image, scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Add the fog and the style's surface: grain, flat colour, or pencil on paper."""
    side = image.width
    pixels = np.asarray(image, dtype=np.float32)
    if scene.weather == "fog":
        grey = {"day": 214.0, "sunset": 186.0, "night": 92.0}[scene.time]
        thick = np.interp(np.linspace(0, 1, side), (0, 0.5, 1), (0.60, 0.54, 0.36))
        veil = (thick * float(rng.uniform(0.85, 1.05))).astype(np.float32)[:, None, None]
        pixels = pixels + (grey - pixels) * veil
    dx, dy = (int(v) for v in rng.integers(0, side, 2))
    if scene.style == "photo":
        grain = _noise(side, "grain")[dy : dy + side, dx : dx + side]
        pixels = pixels + grain * float(rng.uniform(1.0, 6.0))
    elif scene.style == "sketch":
        grey_tone = pixels @ np.array([0.3, 0.6, 0.1], dtype=np.float32)
        edge = np.zeros((side, side), dtype=np.float32)
        edge[:, 1:] += np.abs(np.diff(grey_tone, axis=1))
        edge[1:, :] += np.abs(np.diff(grey_tone, axis=0))
        hatch = _noise(side, "pencil")[dy : dy + side, dx : dx + side]
        paper = np.array([250.0, 247.0, 238.0], dtype=np.float32)
        pixels = 255.0 * (pixels * (1 / 255.0)) ** np.float32(0.75)
        pixels = pixels * 0.66 + paper * 0.34 + 5.0 * hatch
        pixels -= np.minimum(edge, 90.0)[:, :, None] * 0.8
    return np.clip(pixels, 0, 255).astype(np.uint8)
