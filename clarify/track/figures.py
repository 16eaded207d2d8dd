"""How a phrase's scores are spread: a plotly figure for notebooks, a light page to be logged with a run."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

__all__ = ["RIGHT", "WRONG", "distribution_figure", "distribution_page"]

RIGHT = "#0072B2"
WRONG = "#D55E00"
BINS = 40
WIDTH, HEIGHT, LEFT, TOP = 720, 300, 56, 40
"""Of the page's drawing without what is written around it, in pixels."""


def distribution_figure(
    scores: NDArray[np.float64], right: NDArray[np.bool_], threshold: float, *, title: str
) -> Figure:
    """Draw how the phrase's scores are spread over right and over wrong images.

    Parameters
    ----------
    scores : (N,) float64
        Of one class's images.
    right : (N,) bool
        Which of them the model got right.
    threshold : float
        The cut, drawn as a line.
    title : str
        One sentence; shown as text.
    """
    import plotly.graph_objects as go

    edges = np.histogram_bin_edges(scores, bins=BINS)
    figure = go.Figure()
    for name, colour, counts, shares in _spread(scores, right, edges):
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=shares,
            width=np.diff(edges),
            name=f"{name} ({int(counts.sum()):,})",
            marker={"color": colour, "opacity": 0.6},
            customdata=counts,
            hovertemplate="%{customdata} " + name + " images<extra></extra>",
        )
    figure.add_vline(x=threshold, line={"color": "#1C1F23", "width": 2})
    figure.update_layout(
        title=html.escape(title),
        barmode="overlay",
        bargap=0,
        template="plotly_white",
        xaxis_title="similarity to the phrase",
        yaxis={"title": "share of images", "tickformat": ".0%"},
    )
    return figure


def distribution_page(
    scores: NDArray[np.float64], right: NDArray[np.bool_], threshold: float, *, title: str
) -> str:
    """Return the same as a page of its own: opens offline, in MLflow's viewer too, and runs no script.

    Plotly's own is 4.8 MB a phrase, most of it a script. Counts are told when a bar is pointed at.
    Parameters are those of `distribution_figure`.
    """
    edges = np.histogram_bin_edges(scores, bins=BINS)
    spread = list(_spread(scores, right, edges))
    most = max(float(shares.max()) for *_, shares in spread) or 1.0
    wide = float(edges[-1] - edges[0])

    def across(value: float) -> float:
        return LEFT + WIDTH * (value - float(edges[0])) / wide

    def text(x: float, y: float, said: str, more: str = "") -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{html.escape(said)}</text>'

    drawn = [text(LEFT, 18, title, 'font-size="16"')]
    for number, (name, colour, counts, shares) in enumerate(spread):
        for low, count, share in zip(edges, counts, shares, strict=False):
            high = HEIGHT * float(share) / most
            drawn.append(
                f'<rect x="{across(float(low)):.1f}" y="{TOP + HEIGHT - high:.1f}" '
                f'width="{WIDTH / BINS:.1f}" height="{high:.1f}" fill="{colour}" fill-opacity=".6">'
                f"<title>{count:,} {name} images from {low:.3f}</title></rect>"
            )
        drawn.append(
            text(
                LEFT + WIDTH,
                TOP + 16 * number,
                f"{name} ({counts.sum():,})",
                f'fill="{colour}" text-anchor="end"',
            )
        )
    cut = across(float(np.clip(threshold, edges[0], edges[-1])))
    drawn.append(
        f'<line x1="{cut:.1f}" x2="{cut:.1f}" y1="{TOP}" y2="{TOP + HEIGHT}" stroke="#1C1F23" '
        'stroke-width="2"/>'
    )
    drawn.append(text(cut, TOP - 4, f"threshold {threshold:.3f}", 'text-anchor="middle"'))
    for part in (0.0, 0.5, 1.0):
        level = TOP + HEIGHT * (1 - part)
        drawn.append(text(LEFT - 6, level + 4, f"{part * most:.0%}", 'text-anchor="end"'))
        value = float(edges[0]) + part * wide
        drawn.append(text(across(value), TOP + HEIGHT + 18, f"{value:.3f}", 'text-anchor="middle"'))
    drawn.append(
        text(
            LEFT + WIDTH / 2,
            TOP + HEIGHT + 38,
            "similarity to the phrase; share of images",
            'text-anchor="middle"',
        )
    )
    size = f"0 0 {LEFT + WIDTH + 24} {TOP + HEIGHT + 48}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" font-family="sans-serif" font-size="12">'
        + "".join(drawn)
        + "</svg></html>\n"
    )


def _spread(
    scores: NDArray[np.float64], right: NDArray[np.bool_], edges: NDArray[np.float64]
) -> Iterator[tuple[str, str, NDArray[np.int64], NDArray[np.float64]]]:
    """Yield name, colour, counts and shares (B,) of the right images and of the wrong ones."""
    for name, colour, chosen in (("right", RIGHT, right), ("wrong", WRONG, ~right)):
        counts, _ = np.histogram(scores[chosen], bins=edges)
        yield name, colour, counts, counts / max(1, counts.sum())
