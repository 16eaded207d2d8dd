"""The animals of the rendered scenes, each a few shapes in a unit box, facing right.

Birds lie on a continuous dial: 0 is a songbird, 1 is a duck, and everything between is drawn
by moving the same control points.
"""

from __future__ import annotations

import numpy as np

from clarify.demo.shapes import Points, Rgb, Shape, ellipse, mix, points, polygon, smooth, stroke

WHITE: Rgb = (255, 255, 255)
BLACK: Rgb = (0, 0, 0)
INK: Rgb = (34, 30, 34)

# Outlines: x of all points, then y of them.
_SONGBIRD = np.column_stack(
    [
        (0.84, 0.71, 0.54, 0.42, 0.22, -0.10, -0.10, 0.20, 0.36, 0.58, 0.77, 0.84),
        (0.24, 0.09, 0.17, 0.30, 0.50, 0.62, 0.70, 0.68, 0.82, 0.84, 0.68, 0.44),
    ]
)
_DUCK = np.column_stack(
    [
        (0.90, 0.80, 0.66, 0.62, 0.26, -0.10, -0.06, 0.06, 0.28, 0.60, 0.86, 0.82),
        (0.20, 0.07, 0.16, 0.47, 0.49, 0.36, 0.55, 0.76, 0.90, 0.91, 0.73, 0.38),
    ]
)
_BEAK = (points(0.82, 0.21, 0.97, 0.30, 0.82, 0.35), points(0.88, 0.19, 1.12, 0.27, 1.15, 0.34, 0.86, 0.35))
_WING = (
    points(0.60, 0.42, 0.40, 0.40, 0.06, 0.64, 0.34, 0.66, 0.54, 0.62),
    points(0.66, 0.56, 0.44, 0.50, 0.04, 0.50, 0.22, 0.74, 0.52, 0.76),
)
_BREAST = (
    points(0.83, 0.42, 0.66, 0.48, 0.52, 0.68, 0.42, 0.82, 0.60, 0.83, 0.76, 0.68),
    points(0.80, 0.44, 0.74, 0.60, 0.52, 0.82, 0.34, 0.88, 0.62, 0.90, 0.85, 0.73),
)


def _between(a: Points, b: Points, share: float) -> Points:
    result: Points = a + (b - a) * share
    return result


def bird(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a bird; ``dial`` 0 a songbird, 1 a duck."""
    d = float(dial)
    beak_songbird = np.vstack([_BEAK[0], _BEAK[0][2:]])
    bill: Rgb = (236, 150, 40) if max(colour) < 250 or colour[2] > 120 else (190, 90, 30)
    leg = mix(bill, (70, 50, 40), 0.55 * (1 - d))
    foot = 1.0
    dark, light = mix(colour, BLACK, 0.26), mix(colour, WHITE, 0.42)
    shapes: list[Shape] = []
    for x in (0.42 + 0.02 * d, 0.56 + 0.02 * d):
        hip = 0.74 + 0.12 * d
        shapes.append(stroke(points(x, hip, x + 0.01, foot), leg, 0.035 + 0.01 * d))
        web = 0.07 + 0.03 * d
        shapes.append(polygon(points(x - 0.03, foot - 0.03, x + web, foot - 0.025, x + web, foot), leg))
    shapes.append(polygon(smooth(_between(_SONGBIRD, _DUCK, d)), colour))
    shapes.append(polygon(smooth(_between(_BREAST[0], _BREAST[1], d), 4), light, inked=False))
    shapes.append(polygon(_between(beak_songbird, _BEAK[1], d), bill))
    wing = _between(_WING[0], _WING[1], d)
    shapes.append(polygon(smooth(wing, 4), dark, inked=False))
    feather = mix(colour, BLACK, 0.45)
    for k in (0.35, 0.6):
        start = wing[1] * (1 - k) + wing[4] * k
        end = wing[2] * (1 - k) + wing[3] * k
        shapes.append(stroke(np.vstack([start, end]), feather, 0.018, inked=False))
    ex, ey = 0.70 + 0.09 * d, 0.215 - 0.03 * d
    shapes.append(ellipse(ex, ey, 0.045, 0.045, WHITE, inked=False))
    shapes.append(ellipse(ex + 0.008, ey, 0.031, 0.031, INK, inked=False))
    return shapes


def cat(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a sitting cat, seen from the front."""
    dark, light = mix(colour, BLACK, 0.22), mix(colour, WHITE, 0.4)
    tail = smooth(points(0.30, 0.90, 0.02, 0.92, 0.0, 0.60, 0.10, 0.50, 0.09, 0.62, 0.10, 0.82, 0.30, 0.84))
    body = smooth(points(0.36, 0.42, 0.26, 0.70, 0.24, 0.98, 0.50, 1.0, 0.76, 0.98, 0.74, 0.70, 0.64, 0.42))
    return [
        polygon(tail, dark),
        polygon(body, colour),
        polygon(points(0.25, 0.30, 0.24, 0.00, 0.48, 0.15), colour),
        polygon(points(0.75, 0.30, 0.76, 0.00, 0.52, 0.15), colour),
        ellipse(0.50, 0.30, 0.27, 0.21, colour, volume=True),
        polygon(points(0.29, 0.19, 0.28, 0.07, 0.38, 0.14), (240, 170, 170), inked=False),
        polygon(points(0.71, 0.19, 0.72, 0.07, 0.62, 0.14), (240, 170, 170), inked=False),
        ellipse(0.50, 0.74, 0.13, 0.18, light, inked=False),
        ellipse(0.40, 0.28, 0.055, 0.065, (190, 225, 110), inked=False),
        ellipse(0.60, 0.28, 0.055, 0.065, (190, 225, 110), inked=False),
        ellipse(0.40, 0.28, 0.02, 0.06, INK, inked=False),
        ellipse(0.60, 0.28, 0.02, 0.06, INK, inked=False),
        ellipse(0.50, 0.39, 0.09, 0.065, light, inked=False),
        polygon(points(0.46, 0.36, 0.54, 0.36, 0.50, 0.41), (225, 110, 120), inked=False),
        stroke(points(0.40, 0.40, 0.14, 0.37), mix(dark, INK, 0.4), 0.014, inked=False),
        stroke(points(0.60, 0.40, 0.86, 0.37), mix(dark, INK, 0.4), 0.014, inked=False),
        stroke(points(0.44, 0.80, 0.44, 0.99), dark, 0.02, inked=False),
        stroke(points(0.56, 0.80, 0.56, 0.99), dark, 0.02, inked=False),
    ]


def dog(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a standing dog with a hanging ear and its tail up, seen from the side."""
    dark, light = mix(colour, BLACK, 0.3), mix(colour, WHITE, 0.35)
    body = smooth(
        points(0.10, 0.46, 0.45, 0.45, 0.74, 0.42, 0.80, 0.62, 0.66, 0.73, 0.40, 0.69, 0.14, 0.72, 0.04, 0.58)
    )
    muzzle = smooth(points(0.86, 0.28, 1.10, 0.32, 1.14, 0.40, 1.06, 0.46, 0.84, 0.46))
    legs = [
        polygon(points(x, 0.60, x + 0.12, 0.60, x + 0.11, 1.0, x - 0.01, 1.0), c)
        for x, c in ((0.18, dark), (0.58, dark), (0.06, colour), (0.69, colour))
    ]
    return [
        polygon(
            smooth(points(0.12, 0.50, -0.06, 0.34, -0.10, 0.12, 0.0, 0.16, 0.06, 0.34, 0.18, 0.46)), colour
        ),
        *legs,
        polygon(points(0.62, 0.45, 0.74, 0.25, 0.94, 0.40, 0.80, 0.66), colour),
        polygon(body, colour),
        ellipse(0.82, 0.29, 0.17, 0.17, colour, volume=True),
        polygon(muzzle, light),
        ellipse(1.12, 0.35, 0.045, 0.04, INK, inked=False),
        polygon(smooth(points(0.66, 0.15, 0.78, 0.17, 0.80, 0.36, 0.72, 0.50, 0.63, 0.36)), dark),
        ellipse(0.90, 0.25, 0.03, 0.035, INK, inked=False),
        stroke(points(0.66, 0.52, 0.80, 0.56), (200, 50, 50), 0.05, inked=False),
    ]


def horse(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a horse: long legs, long neck, mane and a hanging tail, seen from the side."""
    dark, mane = mix(colour, BLACK, 0.25), mix(colour, BLACK, 0.55)
    body = smooth(
        points(0.08, 0.40, 0.36, 0.42, 0.62, 0.36, 0.72, 0.52, 0.58, 0.66, 0.34, 0.66, 0.12, 0.64, 0.02, 0.52)
    )
    neck = smooth(points(0.50, 0.44, 0.66, 0.22, 0.80, 0.06, 0.92, 0.12, 0.86, 0.26, 0.74, 0.56, 0.60, 0.60))
    head = smooth(points(0.78, 0.04, 0.92, 0.06, 1.14, 0.26, 1.14, 0.35, 1.04, 0.36, 0.86, 0.26))
    legs = [
        polygon(points(x, 0.55, x + 0.11, 0.55, x + 0.07, 1.0, x, 1.0), c)
        for x, c in ((0.17, dark), (0.52, dark), (0.06, colour), (0.62, colour))
    ]
    return [
        polygon(
            smooth(points(0.10, 0.40, -0.06, 0.44, -0.12, 0.66, -0.06, 0.82, 0.0, 0.62, 0.06, 0.52)), mane
        ),
        *legs,
        polygon(body, colour),
        polygon(neck, colour),
        polygon(head, colour),
        polygon(points(0.80, 0.06, 0.82, -0.06, 0.90, 0.06), colour),
        polygon(
            smooth(points(0.80, 0.02, 0.64, 0.12, 0.46, 0.42, 0.56, 0.40, 0.70, 0.24, 0.80, 0.10)),
            mane,
            inked=False,
        ),
        ellipse(0.92, 0.15, 0.024, 0.028, INK, inked=False),
        ellipse(1.10, 0.29, 0.015, 0.015, INK, inked=False),
    ]


def fish(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a fish seen from the side."""
    dark, light = mix(colour, BLACK, 0.28), mix(colour, WHITE, 0.4)
    return [
        polygon(points(0.22, 0.52, -0.12, 0.24, -0.04, 0.52, -0.12, 0.80), dark),
        polygon(smooth(points(0.40, 0.30, 0.62, 0.10, 0.78, 0.28, 0.60, 0.36), 4), dark),
        polygon(smooth(points(0.50, 0.74, 0.56, 0.92, 0.68, 0.90, 0.66, 0.74), 4), dark),
        ellipse(0.60, 0.52, 0.46, 0.28, colour, volume=True),
        polygon(smooth(points(0.30, 0.60, 0.62, 0.62, 0.98, 0.60, 0.62, 0.78), 4), light, inked=False),
        stroke(points(0.80, 0.34, 0.74, 0.52, 0.80, 0.70), dark, 0.025, inked=False),
        polygon(points(0.64, 0.50, 0.46, 0.42, 0.46, 0.62), dark, inked=False),
        ellipse(0.90, 0.45, 0.06, 0.06, WHITE, inked=False),
        ellipse(0.91, 0.45, 0.035, 0.035, INK, inked=False),
    ]


def butterfly(colour: Rgb, dial: float, rng: np.random.Generator) -> list[Shape]:
    """Return a butterfly with open wings, seen from above."""
    dark, light = mix(colour, BLACK, 0.35), mix(colour, WHITE, 0.45)
    upper = points(0.50, 0.46, 0.40, 0.14, 0.10, 0.02, -0.06, 0.16, 0.06, 0.46, 0.30, 0.54)
    lower = points(0.50, 0.52, 0.22, 0.56, 0.06, 0.74, 0.18, 0.94, 0.36, 0.92, 0.48, 0.66)
    shapes: list[Shape] = []
    for side in (1.0, -1.0):
        for wing, c in ((lower, mix(colour, WHITE, 0.12)), (upper, colour)):
            w = wing if side > 0 else np.column_stack([1.0 - wing[:, 0], wing[:, 1]])
            shapes.append(polygon(smooth(w), c))
        x = 0.5 - side * 0.32
        shapes.append(ellipse(x, 0.26, 0.09, 0.10, light, inked=False))
        shapes.append(ellipse(0.5 - side * 0.28, 0.76, 0.06, 0.07, dark, inked=False))
        shapes.append(stroke(points(0.5, 0.28, 0.5 - side * 0.12, 0.06), INK, 0.022, inked=False))
    shapes.append(ellipse(0.50, 0.52, 0.045, 0.26, INK))
    return shapes
