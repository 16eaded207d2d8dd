"""The canvas of a rendered scene, and the light of its time of day and weather.

Coordinates are shares of the canvas side, so that a scene looks the same at every size.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from clarify.demo.shapes import Rgb, mix, tint

WHITE: Rgb = (255, 255, 255)
NIGHTSKY: Rgb = (9, 12, 38)

SKY: dict[str, tuple[Rgb, Rgb]] = {
    "day": ((96, 164, 236), (206, 230, 250)),
    "sunset": ((98, 62, 132), (255, 158, 74)),
    "night": (NIGHTSKY, (34, 40, 84)),
}
_LIGHT: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "sunset": (1.02, 0.72, 0.58),
    "night": (0.34, 0.37, 0.56),
    "none": (1.0, 1.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """The light of a scene: its time, its weather and the nuisance generator of its details."""

    time: str
    weather: str
    side: int
    rng: np.random.Generator

    def ground(self, colour: Rgb) -> Rgb:
        """Return a ground colour as this light shows it."""
        if self.weather == "snow":
            colour = mix(colour, (238, 242, 248), 0.5)
        elif self.weather == "rain":
            colour = mix(colour, (86, 94, 104), 0.3)
        return tint(colour, _LIGHT[self.time])

    def sky(self) -> tuple[Rgb, Rgb]:
        """Return the colours of the sky at the top and at the horizon."""
        top, low = SKY[self.time]
        if self.weather in ("rain", "snow", "fog"):
            grey = tint((156, 164, 174), _LIGHT[self.time])
            return mix(top, grey, 0.7), mix(low, grey, 0.6)
        return top, low


class Canvas:
    """A square image being painted, addressed in shares of its side."""

    def __init__(self, light: Light, stops: list[tuple[float, Rgb]]) -> None:
        self.light, self.side = light, light.side
        rows = (np.arange(self.side) + 0.5) / self.side
        at = [y for y, _ in stops]
        column = np.column_stack([np.interp(rows, at, [c[k] for _, c in stops]) for k in range(3)]).astype(
            np.uint8
        )
        pixels = np.repeat(column[:, None, :], self.side, axis=1)
        self.image = Image.fromarray(pixels)
        self.draw = ImageDraw.Draw(self.image)

    def polygon(self, x: NDArray[np.float64], y: NDArray[np.float64], colour: Rgb) -> None:
        """Fill the polygon through x, y (n,)."""
        s = self.side
        self.draw.polygon(list(zip((x * s).tolist(), (y * s).tolist(), strict=True)), fill=colour)

    def ridge(self, x: NDArray[np.float64], y: NDArray[np.float64], colour: Rgb) -> None:
        """Fill everything below the line through x, y (n,)."""
        self.polygon(np.concatenate([x, [1.1, -0.1]]), np.concatenate([y, [1.1, 1.1]]), colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Rgb) -> None:
        """Fill an ellipse."""
        s = self.side
        box = ((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s)
        self.draw.ellipse(box, fill=colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Rgb) -> None:
        """Fill a rectangle; x0 <= x1 and y0 <= y1."""
        s = self.side
        self.draw.rectangle((x0 * s, y0 * s, x1 * s, y1 * s), fill=colour)

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: Rgb, width: float) -> None:
        """Draw a straight line of ``width``."""
        s = self.side
        self.draw.line((x0 * s, y0 * s, x1 * s, y1 * s), fill=colour, width=max(1, round(width * s)))

    def ground(self, stops: list[tuple[float, Rgb]]) -> None:
        """Paint bands of the lit colours from each height to the next, softly graded."""
        for (y0, c0), (y1, c1) in itertools.pairwise(stops):
            n = 6
            for k in range(n):
                top = y0 + (y1 - y0) * k / n
                self.box(-0.1, top, 1.1, y0 + (y1 - y0) * (k + 1) / n, mix(c0, c1, k / (n - 1)))


def open_sky(light: Light, horizon: float) -> Canvas:
    """Start a canvas with the sky, and in it the sun, the moon and stars, or clouds."""
    top, low = light.sky()
    canvas = Canvas(light, [(0.0, top), (horizon, low), (1.0, low)])
    rng, clear = light.rng, light.weather == "clear"
    x, y = rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.24)
    if light.time == "night" and clear:
        for sx, sy in rng.uniform(0, 1, (16, 2)).tolist():
            r = 0.006
            canvas.ellipse(sx, sy * horizon, r, r, (226, 230, 250))
        canvas.ellipse(x, y, 0.07, 0.07, (246, 240, 206))
        canvas.ellipse(x + 0.03, y - 0.015, 0.058, 0.058, NIGHTSKY)
    elif light.time == "sunset":
        for k in range(4):
            r = 0.17 - 0.032 * k
            canvas.ellipse(x, horizon - 0.05, r, r, mix(low, (255, 236, 150), 0.2 + 0.26 * k))
    elif light.time == "day" and clear:
        if rng.random() < 0.5:
            canvas.ellipse(x, y, 0.065, 0.065, (255, 240, 150))
        for cx, cy in rng.uniform(0, 1, (2, 2)).tolist():
            for dx, r in ((-0.08, 0.04), (0.0, 0.055), (0.08, 0.038)):
                canvas.ellipse(cx + dx, 0.06 + cy * 0.6 * horizon, r * 1.4, r, (248, 251, 255))
    return canvas


def wave(
    rng: np.random.Generator, base: float, swing: float, n: int = 24
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a soft rolling line x, y (n,) about the height ``base``."""
    x = np.linspace(-0.1, 1.1, n)
    a, b, f = rng.uniform(0, 6.28), rng.uniform(0, 6.28), rng.uniform(3, 6)
    return x, base + swing * (np.sin(f * x + a) * 0.6 + np.sin(2.3 * f * x + b) * 0.4)
