"""The subjects of the rendered scenes, each a few shapes in a unit box, facing right.

Every figure stands on the line y = 1 and is about 1 high and at most 1.3 wide, so that a
scene can put it on the ground by its foot.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clarify.demo.animals import BLACK, INK, WHITE, bird, butterfly, cat, dog, fish, horse
from clarify.demo.shapes import Points, Rgb, Shape, ellipse, mix, points, polygon, smooth, stroke, turned


def house(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a house with a pitched roof, a door, a window and a chimney."""
    roof = mix(colour, (70, 40, 35), 0.62)
    pane, frame = (250, 225, 140), (250, 250, 245)
    return [
        polygon(points(0.76, 0.10, 0.88, 0.10, 0.88, 0.40, 0.76, 0.40), (120, 85, 75)),
        polygon(points(0.06, 0.42, 1.0, 0.42, 1.0, 1.0, 0.06, 1.0), colour),
        polygon(points(-0.06, 0.45, 0.53, 0.0, 1.12, 0.45), roof),
        polygon(points(0.62, 0.58, 0.84, 0.58, 0.84, 1.0, 0.62, 1.0), (105, 70, 45), inked=False),
        ellipse(0.80, 0.80, 0.018, 0.018, pane, inked=False),
        polygon(points(0.18, 0.54, 0.46, 0.54, 0.46, 0.80, 0.18, 0.80), frame, inked=False),
        polygon(points(0.21, 0.57, 0.43, 0.57, 0.43, 0.77, 0.21, 0.77), pane, inked=False),
        stroke(points(0.32, 0.57, 0.32, 0.77), frame, 0.025, inked=False),
        stroke(points(0.21, 0.67, 0.43, 0.67), frame, 0.025, inked=False),
    ]


def car(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a car seen from the side."""
    dark, glass = mix(colour, BLACK, 0.3), (190, 222, 235)
    cabin = points(0.16, 0.50, 0.30, 0.24, 0.72, 0.24, 0.92, 0.50)
    body = smooth(
        points(
            -0.12, 0.56, 0.02, 0.47, 0.50, 0.47, 0.96, 0.48, 1.16, 0.60, 1.18, 0.82, 0.5, 0.86, -0.12, 0.82
        )
    )
    shapes = [
        polygon(cabin, colour),
        polygon(body, colour),
        polygon(points(0.24, 0.48, 0.34, 0.30, 0.49, 0.30, 0.49, 0.48), glass, inked=False),
        polygon(points(0.55, 0.48, 0.55, 0.30, 0.69, 0.30, 0.83, 0.48), glass, inked=False),
        stroke(points(-0.08, 0.70, 1.12, 0.70), dark, 0.03, inked=False),
        ellipse(1.12, 0.63, 0.04, 0.05, (255, 240, 170), inked=False),
    ]
    for x in (0.18, 0.86):
        shapes.append(ellipse(x, 0.84, 0.16, 0.16, INK))
        shapes.append(ellipse(x, 0.84, 0.075, 0.075, (190, 192, 196), inked=False))
    return shapes


def boat(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a sailing boat."""
    dark, sail = mix(colour, BLACK, 0.25), mix(colour, WHITE, 0.35)
    hull = smooth(points(-0.08, 0.74, 0.52, 0.77, 1.14, 0.70, 0.94, 0.98, 0.50, 1.0, 0.10, 0.98))
    return [
        stroke(points(0.50, 0.76, 0.50, -0.02), (110, 75, 45), 0.04),
        polygon(points(0.45, 0.02, 0.45, 0.66, 0.02, 0.66), mix(sail, WHITE, 0.35)),
        polygon(points(0.55, 0.04, 0.55, 0.66, 1.02, 0.66), sail),
        polygon(hull, colour),
        stroke(points(0.06, 0.88, 0.98, 0.87), dark, 0.04, inked=False),
    ]


def flower(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return one flower on a stem with two leaves."""
    green, heart = (58, 140, 62), (120, 72, 30) if colour[0] > 220 < colour[1] else (248, 205, 60)
    shapes = [
        stroke(points(0.50, 0.36, 0.52, 0.70, 0.49, 1.0), green, 0.055),
        polygon(smooth(points(0.51, 0.84, 0.26, 0.62, 0.20, 0.66, 0.34, 0.82), 4), green),
        polygon(smooth(points(0.51, 0.78, 0.78, 0.58, 0.82, 0.62, 0.68, 0.78), 4), green),
    ]
    n = 5 + int(rng.integers(0, 4))
    petal = smooth(points(0.50, 0.34, 0.38, 0.16, 0.42, 0.01, 0.50, -0.03, 0.58, 0.01, 0.62, 0.16), 4)
    for k in range(n):
        shade = mix(colour, BLACK, 0.12) if k % 2 else colour
        shapes.append(polygon(turned(petal, 2 * np.pi * k / n, (0.50, 0.34)), shade))
    shapes.append(ellipse(0.50, 0.34, 0.12, 0.12, heart, volume=True))
    return shapes


def _rounded(angle: float, rx: float, ry: float, roundness: float) -> Points:
    """Return a superellipse: ``roundness`` near 0 has square corners, 1 is an ellipse."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** roundness
    y = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** roundness
    return turned(np.column_stack([0.5 + rx * x, 0.5 + ry * y]), angle, (0.5, 0.5))


def square(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a square, a little turned; its corners are the rounder the higher the dial."""
    angle = float(rng.uniform(-0.2, 0.2))
    if dial > 0:
        return [polygon(_rounded(angle, 0.42, 0.42, dial), colour)]
    corners = points(0.08, 0.08, 0.92, 0.08, 0.92, 0.92, 0.08, 0.92)
    return [polygon(turned(corners, angle, (0.5, 0.5)), colour)]


def oval(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return an ellipse of some aspect; it is the squarer the higher the dial."""
    wide = float(rng.uniform(0.85, 1.35))
    if dial > 0:
        return [polygon(_rounded(0.0, 0.43 * wide, 0.43 / wide, 1.0 - dial), colour)]
    return [ellipse(0.5, 0.5, 0.43 * wide, 0.43 / wide, colour)]


def triangle(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a plain triangle, a little turned."""
    corners = points(0.50, 0.02, 1.0, 0.94, 0.0, 0.94)
    return [polygon(turned(corners, float(rng.uniform(-0.25, 0.25)), (0.5, 0.6)), colour)]


def heart(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a plain heart."""
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [polygon(np.column_stack([0.5 + x / 34, 0.42 - y / 32]), colour)]


SUBJECTS: dict[str, Callable[[Rgb, float, np.random.Generator], list[Shape]]] = {
    "bird": bird,
    "cat": cat,
    "dog": dog,
    "horse": horse,
    "fish": fish,
    "butterfly": butterfly,
    "house": house,
    "car": car,
    "boat": boat,
    "flower": flower,
    "square": square,
    "ellipse": oval,
    "triangle": triangle,
    "heart": heart,
}
PLAIN_SHAPES = frozenset({"square", "ellipse", "triangle", "heart"})
