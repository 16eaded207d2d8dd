"""The places of the rendered scenes; every place is a function that paints the whole canvas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clarify.demo.canvas import SKY, WHITE, Canvas, Light, open_sky, wave
from clarify.demo.shapes import Rgb, mix, tint


def _fir(canvas: Canvas, x: float, foot: float, tall: float, leaf: Rgb, bark: Rgb) -> None:
    canvas.box(x - 0.03 * tall, foot - 0.2 * tall, x + 0.03 * tall, foot, bark)
    for k in range(3):
        base = foot - tall * (0.14 + 0.25 * k)
        half = tall * (0.27 - 0.06 * k)
        shade = mix(leaf, (255, 255, 255), 0.05 * k)
        canvas.polygon(np.array([x - half, x, x + half]), np.array([base, base - 0.40 * tall, base]), shade)


def _crown(canvas: Canvas, x: float, foot: float, tall: float, leaf: Rgb, bark: Rgb) -> None:
    canvas.box(x - 0.045 * tall, foot - 0.6 * tall, x + 0.045 * tall, foot, bark)
    for dx, dy, r in ((-0.16, 0.62, 0.19), (0.16, 0.62, 0.19), (0.0, 0.80, 0.23)):
        canvas.ellipse(x + dx * tall, foot - dy * tall, r * tall, r * tall, leaf)
    light = mix(leaf, (255, 255, 255), 0.1)
    canvas.ellipse(x - 0.05 * tall, foot - 0.86 * tall, 0.12 * tall, 0.11 * tall, light)


def forest(light: Light) -> Canvas:
    """Paint a wood: two rows of firs or leafy trees over a dark floor."""
    rng, lit = light.rng, light.ground
    canvas = open_sky(light, 0.5)
    leaf: Rgb = (38, 104, 50) if rng.random() < 0.6 else (70, 118, 44)
    tree = _fir if rng.random() < 0.5 else _crown
    canvas.ridge(*wave(rng, 0.30, 0.06), lit(mix(leaf, (60, 110, 100), 0.45)))
    for x in np.linspace(0.0, 1.0, 8) + rng.uniform(-0.05, 0.05, 8):
        tall = float(rng.uniform(0.42, 0.62))
        tree(canvas, float(x), 0.66, tall, lit(mix(leaf, (96, 132, 110), 0.3)), lit((84, 66, 52)))
    canvas.ground([(0.64, lit((52, 84, 40))), (1.0, lit((70, 74, 38)))])
    for x in (
        rng.uniform(-0.02, 0.14),
        rng.uniform(0.20, 0.36),
        rng.uniform(0.64, 0.80),
        rng.uniform(0.88, 1.02),
    ):
        tall = float(rng.uniform(0.66, 0.9))
        foot = float(rng.uniform(0.70, 0.80))
        tree(canvas, float(x), foot, tall, lit(leaf), lit((78, 54, 38)))
    for x, y in rng.uniform(0, 1, (10, 2)).tolist():
        canvas.ellipse(x, 0.82 + 0.18 * y, 0.03, 0.012, lit((96, 92, 48)))
    return canvas


def meadow(light: Light) -> Canvas:
    """Paint rolling green grass with tufts and tiny flowers."""
    rng, lit = light.rng, light.ground
    horizon = float(rng.uniform(0.40, 0.52))
    canvas = open_sky(light, horizon)
    canvas.ridge(*wave(rng, horizon, 0.05), lit((128, 190, 96)))
    canvas.ridge(*wave(rng, horizon + 0.12, 0.04), lit((108, 182, 72)))
    canvas.ridge(*wave(rng, horizon + 0.26, 0.03), lit((92, 168, 58)))
    blade, spots = lit((66, 138, 44)), ((250, 240, 150), (250, 250, 250), (240, 170, 200))
    for k, (x, y) in enumerate(rng.uniform(0, 1, (22, 2)).tolist()):
        gy = 0.64 + 0.36 * y
        canvas.line(x, gy, x - 0.012, gy - 0.045, blade, 0.008)
        canvas.line(x, gy, x + 0.014, gy - 0.04, blade, 0.008)
        if k % 2:
            canvas.ellipse(1 - x, gy, 0.009, 0.009, lit(spots[k % 3]))
    return canvas


def field(light: Light) -> Canvas:
    """Paint a ploughed or ripe field whose rows run to the horizon, with a fence."""
    rng, lit = light.rng, light.ground
    canvas = open_sky(light, 0.46)
    canvas.ridge(*wave(rng, 0.44, 0.02), lit((110, 140, 80)))
    ripe = rng.random() < 0.5
    soil, row = ((226, 188, 84), (176, 134, 46)) if ripe else ((150, 106, 70), (100, 66, 42))
    canvas.ground([(0.48, lit(mix(soil, (220, 210, 170), 0.25))), (1.0, lit(soil))])
    vanish = float(rng.uniform(0.35, 0.65))
    for k in range(-9, 10):
        x = vanish + k * 0.17
        canvas.polygon(
            np.array([vanish + k * 0.02, x - 0.035, x + 0.035]), np.array([0.48, 1.02, 1.02]), lit(row)
        )
    wood = lit((120, 92, 66))
    for x in np.arange(0.04, 1.0, 0.155).tolist():
        canvas.box(x, 0.40, x + 0.018, 0.52, wood)
    canvas.box(-0.1, 0.425, 1.1, 0.44, wood)
    canvas.box(-0.1, 0.47, 1.1, 0.485, wood)
    return canvas


def desert(light: Light) -> Canvas:
    """Paint sand dunes and cactuses."""
    rng, lit = light.rng, light.ground
    canvas = open_sky(light, 0.5)
    canvas.ridge(*wave(rng, 0.50, 0.07), lit((232, 186, 118)))
    x, y = wave(rng, 0.62, 0.06)
    canvas.ridge(x, y, lit((240, 204, 140)))
    canvas.ridge(x + 0.1, y + 0.09, lit((222, 180, 112)))
    green = lit((74, 128, 78))
    for cx in (rng.uniform(0.06, 0.22), rng.uniform(0.78, 0.94)):
        foot, tall = float(rng.uniform(0.62, 0.74)), float(rng.uniform(0.22, 0.34))
        w = 0.026
        canvas.box(cx - w, foot - tall, cx + w, foot, green)
        canvas.ellipse(cx, foot - tall, w, w, green)
        for side, at in ((-1, 0.45), (1, 0.6)):
            ax, ay = cx + side * 0.085, foot - tall * at
            canvas.box(min(cx, ax), ay - 0.014, max(cx, ax), ay + 0.014, green)
            canvas.box(ax - 0.017, ay - 0.09, ax + 0.017, ay + 0.014, green)
    return canvas


def mountain(light: Light) -> Canvas:
    """Paint grey-blue peaks with light caps over a dark foothill."""
    rng, lit = light.rng, light.ground
    canvas = open_sky(light, 0.6)
    rock, cap = lit((112, 122, 144)), lit((226, 232, 240))
    far = lit((150, 164, 188))
    for x in (rng.uniform(-0.05, 0.25), rng.uniform(0.5, 0.8)):
        canvas.polygon(np.array([x - 0.4, x, x + 0.4]), np.array([0.7, 0.22, 0.7]), far)
    for x, top in (
        (rng.uniform(0.12, 0.32), rng.uniform(0.10, 0.2)),
        (rng.uniform(0.66, 0.88), rng.uniform(0.06, 0.16)),
    ):
        half = 0.46
        canvas.polygon(np.array([x - half, x, x + half]), np.array([0.72, top, 0.72]), rock)
        canvas.polygon(
            np.array([x, x + half, x + 0.06]), np.array([top, 0.72, 0.72]), mix(rock, (20, 24, 40), 0.25)
        )
        slope = half / (0.72 - top)
        d = 0.15
        canvas.polygon(
            x + slope * np.array([0.0, d, 0.4 * d, 0.0, -0.5 * d, -d]),
            top + np.array([0.0, d, 0.75 * d, 1.1 * d, 0.75 * d, d]),
            cap,
        )
    canvas.ridge(*wave(rng, 0.68, 0.03), lit((92, 112, 92)))
    canvas.ridge(*wave(rng, 0.80, 0.02), lit((112, 118, 98)))
    stone = lit((134, 134, 138))
    for x, y in rng.uniform(0, 1, (8, 2)).tolist():
        canvas.ellipse(x, 0.80 + 0.2 * y, 0.03, 0.016, stone)
    return canvas


def beach(light: Light) -> Canvas:
    """Paint sand in front of a strip of sea, with foam, and a palm or a sunshade."""
    rng, lit = light.rng, light.ground
    canvas = open_sky(light, 0.40)
    canvas.ground([(0.38, lit((38, 126, 176))), (0.58, lit((92, 194, 204)))])
    x, y = wave(rng, 0.58, 0.02)
    canvas.ridge(x, y, lit((244, 248, 246)))
    canvas.ridge(x, y + 0.025, lit((214, 190, 140)))
    canvas.ridge(x, y + 0.07, lit((244, 222, 168)))
    side = float(rng.choice([0.1, 0.9]))
    foot = 0.74
    if rng.random() < 0.5:
        canvas.line(side, foot, side + 0.05, 0.30, lit((138, 100, 62)), 0.032)
        leaf = lit((56, 138, 70))
        for a in (0.2, 0.9, 1.6, 2.4, 3.0):
            px, py = side + 0.05 + 0.19 * np.cos(a), 0.30 - 0.10 * np.sin(a) + 0.05
            canvas.polygon(
                np.array([side + 0.05, (side + 0.05 + px) / 2, px]), np.array([0.31, py - 0.08, py]), leaf
            )
    else:
        canvas.line(side, foot, side, 0.38, lit((240, 240, 236)), 0.018)
        for k in range(4):
            c = lit((220, 70, 70)) if k % 2 else lit((250, 246, 240))
            canvas.polygon(
                np.array([side - 0.18 + 0.09 * k, side - 0.09 + 0.09 * k, side]),
                np.array([0.44, 0.44, 0.30]),
                c,
            )
    for x1, y1 in rng.uniform(0, 1, (8, 2)).tolist():
        canvas.ellipse(x1, 0.76 + 0.24 * y1, 0.012, 0.007, lit((196, 166, 116)))
    return canvas


def city(light: Light) -> Canvas:
    """Paint a row of tall buildings with windows over a road."""
    rng = light.rng
    canvas = open_sky(light, 0.7)
    at, night = -0.04, light.time == "night"
    far = light.ground((150, 158, 176))
    for x in np.arange(-0.05, 1.05, 0.14).tolist():
        canvas.box(x, float(rng.uniform(0.22, 0.42)), x + 0.11, 0.8, far)
    walls: tuple[Rgb, ...] = ((120, 116, 124), (150, 118, 104), (104, 122, 140), (164, 152, 138))
    while at < 1.0:
        wide, top = float(rng.uniform(0.14, 0.22)), float(rng.uniform(0.16, 0.46))
        canvas.box(at, top, at + wide, 0.8, light.ground(walls[int(rng.integers(4))]))
        pane = light.ground((206, 222, 234))
        for wy in np.arange(top + 0.035, 0.70, 0.075).tolist():
            for wx in np.arange(at + 0.02, at + wide - 0.03, 0.05).tolist():
                lit_up = night and (wx * 977 + wy * 531) % 1.0 < 0.55
                canvas.box(wx, wy, wx + 0.026, wy + 0.036, (252, 214, 110) if lit_up else pane)
        at += wide + 0.012
    canvas.box(-0.1, 0.74, 1.1, 0.78, light.ground((178, 178, 180)))
    canvas.ground([(0.78, light.ground((84, 86, 92))), (1.0, light.ground((66, 68, 74)))])
    for x in np.arange(0.02, 1.0, 0.26).tolist():
        canvas.box(x, 0.90, x + 0.13, 0.915, light.ground((236, 232, 214)))
    return canvas


def room(light: Light) -> Canvas:
    """Paint a room: a wall, a wooden floor, a window to the outside, a lamp and a picture."""
    rng = light.rng
    dim = {"day": (1.0, 1.0, 1.0), "sunset": (1.0, 0.80, 0.64), "night": (0.42, 0.42, 0.56)}
    walls: tuple[Rgb, ...] = ((232, 214, 190), (204, 220, 208), (214, 208, 226), (226, 200, 190))

    def lit(colour: Rgb) -> Rgb:
        return tint(colour, dim[light.time])

    wall = lit(walls[int(rng.integers(4))])
    canvas = Canvas(light, [(0.0, mix(wall, WHITE, 0.1)), (0.7, wall), (1.0, wall)])
    canvas.ground([(0.70, lit((156, 112, 76))), (1.0, lit((186, 140, 96)))])
    for k in range(-6, 7):
        canvas.line(0.5 + 0.1 * k, 0.70, 0.5 + 0.24 * k, 1.0, lit((128, 88, 58)), 0.007)
    canvas.box(-0.1, 0.675, 1.1, 0.705, lit((244, 238, 228)))
    wx = float(rng.choice([0.10, 0.56]))
    top, low = SKY[light.time]
    frame = lit((250, 248, 242))
    canvas.box(wx - 0.02, 0.10, wx + 0.36, 0.48, frame)
    canvas.box(wx, 0.12, wx + 0.34, 0.30, mix(top, low, 0.25))
    canvas.box(wx, 0.30, wx + 0.34, 0.46, low)
    canvas.box(wx + 0.16, 0.12, wx + 0.18, 0.46, frame)
    canvas.box(wx, 0.28, wx + 0.34, 0.30, frame)
    cloth = lit((178, 74, 70) if rng.random() < 0.5 else (72, 106, 140))
    canvas.box(wx - 0.06, 0.07, wx + 0.03, 0.56, cloth)
    canvas.box(wx + 0.31, 0.07, wx + 0.40, 0.56, cloth)
    px = 0.72 if wx < 0.4 else 0.14
    canvas.box(px, 0.16, px + 0.2, 0.36, lit((126, 88, 52)))
    canvas.box(px + 0.02, 0.18, px + 0.18, 0.34, lit((170, 196, 190)))
    canvas.ellipse(0.5, 0.90, 0.42, 0.08, lit((188, 96, 86)))
    canvas.ellipse(0.5, 0.90, 0.34, 0.06, lit((222, 182, 140)))
    return canvas


def sea(light: Light) -> Canvas:
    """Paint the open sea: a straight horizon and rows of wave crests."""
    rng, lit = light.rng, light.ground
    horizon = float(rng.uniform(0.30, 0.40))
    canvas = open_sky(light, horizon)
    canvas.ground([(horizon, lit((26, 92, 150))), (1.0, lit((22, 122, 168)))])
    crest, foam = lit((104, 178, 208)), lit((222, 240, 246))
    for k in range(7):
        y = horizon + 0.05 + (0.64 - horizon + 0.35) * (k / 7) ** 1.25
        n = 26
        x = np.linspace(-0.1, 1.1, n)
        swell = np.abs(np.sin((9 - k * 0.6) * x + rng.uniform(0, 6.28)))
        lift = 0.012 + 0.007 * k
        top = y - lift * swell
        canvas.polygon(
            np.concatenate([x, x[::-1]]),
            np.concatenate([top, (top + 0.010 + 0.002 * k)[::-1]]),
            foam if k % 3 == 2 else crest,
        )
    return canvas


def lake(light: Light) -> Canvas:
    """Paint a still lake: a far shore with trees, their reflection, and reeds in front."""
    rng, lit = light.rng, light.ground
    canvas = open_sky(light, 0.40)
    hill = lit((112, 146, 122))
    canvas.ridge(*wave(rng, 0.30, 0.05), hill)
    leaf = lit((44, 104, 60))
    xs, ys = np.linspace(-0.1, 1.1, 40), 0.36 + 0.04 * rng.random(40)
    canvas.ridge(xs, ys, leaf)
    low = light.sky()[1]
    water = lit((104, 172, 206))
    canvas.ground([(0.44, mix(leaf, water, 0.35)), (0.56, mix(water, low, 0.3))])
    canvas.ground([(0.56, mix(water, low, 0.25)), (1.0, lit((62, 136, 182)))])
    canvas.box(-0.1, 0.435, 1.1, 0.447, lit((206, 190, 140)))
    glint = mix(water, WHITE, 0.35 if light.time == "day" else 0.18)
    for x, y in rng.uniform(0, 1, (9, 2)).tolist():
        canvas.ellipse(x, 0.52 + 0.46 * y, 0.10, 0.005, glint)
    reed, head = lit((84, 128, 58)), lit((116, 74, 44))
    for side in (rng.uniform(0.02, 0.14), rng.uniform(0.86, 0.98)):
        for dx in rng.uniform(-0.07, 0.07, 5).tolist():
            top = float(rng.uniform(0.56, 0.72))
            canvas.line(side + dx, 1.02, side + dx * 1.4, top, reed, 0.011)
            canvas.ellipse(side + dx * 1.4, top, 0.012, 0.034, head)
    return canvas


def river(light: Light) -> Canvas:
    """Paint a river that winds from the horizon through green banks and widens."""
    rng, lit = light.rng, light.ground
    canvas = open_sky(light, 0.34)
    canvas.ridge(*wave(rng, 0.32, 0.03), lit((122, 162, 100)))
    canvas.ground([(0.36, lit((126, 176, 90))), (1.0, lit((92, 150, 62)))])
    t = np.linspace(0, 1, 24)
    bend, swing = rng.uniform(0, 6.28), rng.uniform(0.06, 0.13)
    middle = 0.5 + (1 - t) * swing * 1.6 * np.sin(5.5 * t**0.7 + bend)
    half = 0.03 + 0.46 * t**1.15
    y = 0.36 + 0.68 * t
    bank, water = lit((196, 172, 120)), lit((70, 148, 196))
    for grow, colour in ((0.03, bank), (0.0, water), (-0.45, mix(water, lit(WHITE), 0.14))):
        wide = half + grow * (0.4 + t) if grow > 0 else half * (1 + grow)
        canvas.polygon(
            np.concatenate([middle - wide, (middle + wide)[::-1]]), np.concatenate([y, y[::-1]]), colour
        )
    flow = mix(water, lit(WHITE), 0.5)
    for x, v in rng.uniform(0, 1, (8, 2)).tolist():
        k = int(6 + 17 * v)
        cx = float(middle[k] + (x - 0.5) * half[k])
        canvas.line(cx - 0.06, float(y[k]), cx + 0.06, float(y[k]) + 0.01, flow, 0.008)
    for x, v in rng.uniform(0, 1, (6, 2)).tolist():
        k = int(15 * v)
        side = -1 if x < 0.5 else 1
        cx = float(middle[k] + side * (half[k] + 0.06 + 0.3 * x))
        canvas.ellipse(cx, float(y[k]) - 0.015, 0.055, 0.04, lit((58, 118, 56)))
    return canvas


def plain(light: Light, colour: Rgb) -> Canvas:
    """Paint one colour, a little lighter at the top."""
    return Canvas(light, [(0.0, mix(colour, WHITE, 0.08)), (1.0, mix(colour, (0, 0, 0), 0.06))])


PLACES: dict[str, Callable[[Light], Canvas]] = {
    painter.__name__: painter
    for painter in (forest, meadow, field, desert, mountain, beach, city, room, sea, lake, river)
}
"""The painter of each place; ``plain`` is painted by :func:`plain` in a colour."""

WATER_PLACES = frozenset({"sea", "lake", "river"})
