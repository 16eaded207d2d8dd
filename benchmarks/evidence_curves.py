"""Curves of docs/evidence.md as plain SVG, made from the recorded figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["CURVES", "curve"]

CURVES: Mapping[str, tuple[str, str, str]] = {
    "threshold": ("way", "worst_group", "worst group after moving every threshold"),
    "wrong-images": ("way", "worst_group", "worst group by wrong images seen of each class"),
    "reviewers": ("distance", "worst group", "worst group by the phrases' lowest error score"),
}
"""By study: the column of names, that of values, and the title."""

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 50, 20, 40, 70


def curve(study: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the curve of a study as SVG: means, with deviations as bars, percent.

    Parameters
    ----------
    study : str
        One of `CURVES`.
    rows : sequence of mapping
        As the study gives them; one without a value leaves a gap.
    """
    names, values, title = CURVES[study]
    step = (WIDTH - LEFT - RIGHT) / len(rows)
    points = [
        (LEFT + step * (number + 0.5), row[values]["mean"], row[values]["sd"])
        for number, row in enumerate(rows)
        if row[values] is not None
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{title}, %</text>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _height(share)
        parts += [
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{100 * share:.0f}</text>',
        ]
    line = " ".join(f"{x:.1f},{_height(mean):.1f}" for x, mean, _ in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#0072b2" stroke-width="1.5"/>')
    for x, mean, deviation in points:
        low, high = _height(max(0.0, mean - deviation)), _height(min(1.0, mean + deviation))
        parts += [
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="#0072b2"/>',
            f'<circle cx="{x:.1f}" cy="{_height(mean):.1f}" r="4" fill="#0072b2"/>',
        ]
    for number, row in enumerate(rows):
        x, y = LEFT + step * (number + 0.5), HEIGHT - BOTTOM + 18
        parts.append(
            f'<text x="{x:.1f}" y="{y}" text-anchor="end" transform="rotate(-22 {x:.1f} {y})">'
            f"{row[names]}</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _height(share: float) -> float:
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)
