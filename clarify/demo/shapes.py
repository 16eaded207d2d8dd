"""Shapes, splines and a pen: the small drawing kit under the rendered scenes."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

Points = NDArray[np.float64]
Rgb = tuple[int, int, int]


def seeded(name: str, *numbers: int) -> np.random.Generator:
    """Return a generator seeded by a name and whole numbers, and by nothing else."""
    text = ":".join([name, *map(str, numbers)]).encode()
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text).digest()[:8])))


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    """Return the colour ``share`` of the way from ``a`` to ``b``; ``share`` in [0, 1]."""
    return (
        int(a[0] + (b[0] - a[0]) * share),
        int(a[1] + (b[1] - a[1]) * share),
        int(a[2] + (b[2] - a[2]) * share),
    )


def tint(colour: Rgb, by: tuple[float, float, float]) -> Rgb:
    """Return ``colour`` times ``by`` channel by channel, clipped to [0, 255]."""
    return (
        min(255, int(colour[0] * by[0])),
        min(255, int(colour[1] * by[1])),
        min(255, int(colour[2] * by[2])),
    )


@functools.cache
def _spline_basis(n: int, steps: int) -> Points:
    """Matrix (n * steps, n) taking n control points to a closed Catmull-Rom curve."""
    basis = np.zeros((n * steps, n))
    for i in range(n):
        for k in range(steps):
            t = k / steps
            row = basis[i * steps + k]
            row[(i - 1) % n] += 0.5 * (-t + 2 * t * t - t**3)
            row[i] += 0.5 * (2 - 5 * t * t + 3 * t**3)
            row[(i + 1) % n] += 0.5 * (t + 4 * t * t - 3 * t**3)
            row[(i + 2) % n] += 0.5 * (-t * t + t**3)
    return basis


def smooth(control: Points, steps: int = 5) -> Points:
    """Return the closed curve (n * steps, 2) through the control points (n, 2)."""
    curve: Points = _spline_basis(len(control), steps) @ control
    return curve


def points(*flat: float) -> Points:
    """Return x, y, x, y, ... as an array (n, 2)."""
    return np.array(flat, dtype=np.float64).reshape(-1, 2)


def turned(shape: Points, angle: float, centre: tuple[float, float]) -> Points:
    """Return ``shape`` turned by ``angle`` radians about ``centre``."""
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    rotation = np.array([[cos, sin], [-sin, cos]])
    middle = np.array(centre)
    result: Points = (shape - middle) @ rotation + middle
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One filled polygon, ellipse (cx, cy, rx, ry) or stroke, in a figure's unit box."""

    kind: Literal["polygon", "ellipse", "stroke"]
    data: Points
    colour: Rgb
    width: float = 0.0
    round: bool = False
    inked: bool = True


def polygon(data: Points, colour: Rgb, *, inked: bool = True) -> Shape:
    """Return a filled polygon through ``data`` (n, 2)."""
    return Shape(kind="polygon", data=data, colour=colour, inked=inked)


def ellipse(
    cx: float, cy: float, rx: float, ry: float, colour: Rgb, *, volume: bool = False, inked: bool = True
) -> Shape:
    """Return a filled ellipse; ``volume`` asks for shading in the photo style."""
    return Shape(kind="ellipse", data=points(cx, cy, rx, ry), colour=colour, round=volume, inked=inked)


def stroke(data: Points, colour: Rgb, width: float, *, inked: bool = True) -> Shape:
    """Return an open line of ``width`` (unit box) through ``data`` (n, 2)."""
    return Shape(kind="stroke", data=data, colour=colour, width=width, inked=inked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """Where a figure's unit box lies on the canvas: left x, top y, side; all in pixels."""

    left: float
    top: float
    side: float
    mirrored: bool = False

    def xy(self, data: Points) -> list[tuple[float, float]]:
        """Return the canvas coordinates of unit-box points (n, 2)."""
        x = self.left + self.side * ((1.0 - data[:, 0]) if self.mirrored else data[:, 0])
        y = self.top + self.side * data[:, 1]
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def fill(self, draw: ImageDraw.ImageDraw, shape: Shape, colour: Rgb, grow: float) -> None:
        """Fill one shape, grown by ``grow`` pixels on every side."""
        if shape.kind == "ellipse":
            ((cx, cy),) = self.xy(shape.data[:1])
            rx, ry = (shape.data[1] * self.side + grow).tolist()
            draw.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=colour)
        elif shape.kind == "polygon":
            outline = self.xy(shape.data)
            draw.polygon(outline, fill=colour)
            if grow:
                draw.line([*outline, *outline[:2]], fill=colour, width=round(2 * grow))
        else:
            width = max(1, round(shape.width * self.side + 2 * grow))
            draw.line(self.xy(shape.data), fill=colour, width=width, joint="curve")

    def shade(self, draw: ImageDraw.ImageDraw, shape: Shape) -> None:
        """Fill an ellipse from a dark rim to a light spot up left, as a lit ball."""
        ((cx, cy),) = self.xy(shape.data[:1])
        rx, ry = (shape.data[1] * self.side).tolist()
        dark, light = mix(shape.colour, (0, 0, 0), 0.22), mix(shape.colour, (255, 255, 255), 0.22)
        for k in range(4):
            s = 1.0 - 0.22 * k
            x, y = cx - 0.10 * k * rx, cy - 0.10 * k * ry
            box = (x - s * rx, y - s * ry, x + s * rx, y + s * ry)
            draw.ellipse(box, fill=mix(dark, light, k / 3))


def paint(
    draw: ImageDraw.ImageDraw, shapes: Sequence[Shape], pen: Pen, *, ink: Rgb | None, line: float
) -> None:
    """Paint a figure: with ``ink`` an outline of ``line`` pixels, without it shaded."""
    if ink is not None:
        for shape in shapes:
            if shape.inked:
                pen.fill(draw, shape, ink, line)
    for shape in shapes:
        if ink is None and shape.round:
            pen.shade(draw, shape)
        else:
            pen.fill(draw, shape, shape.colour, 0.0)
