"""Grids of pictures that can be looked at closely: one component, mounted for each grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from clarify.ui.pieces import blocks

__all__ = ["Picture", "gallery"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of a grid: its thumbnail's address, its name (shown on hover), and if it is framed.

    Where one of a grid has a caption, each picture stands over its own, cut to two lines.
    """

    address: str
    name: str
    wrong: bool
    caption: str = ""


def gallery(pictures: Sequence[Picture], *, key: str, none: str, side: int = 48) -> int | None:
    """Draw a grid; return the number of the picture that was just clicked, else None.

    Parameters
    ----------
    key : str
        Of the widget, unique on the page.
    none : str
        What to say where there are no pictures.
    side : int
        Pixels that a picture takes at least.
    """
    data = {
        "pictures": [
            {"src": each.address, "name": each.name, "wrong": each.wrong, "caption": each.caption}
            for each in pictures
        ],
        "none": none,
        "side": side,
    }
    grid = blocks.component("gallery", "grid")
    opened = grid(key=key, data=data, on_opened_change=blocks.nothing).opened
    return int(opened) if opened is not None and 0 <= int(opened) < len(pictures) else None
