"""The tutorial's grids, and what stands there until its lesson is ready."""

from __future__ import annotations

import base64
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from clarify.ui.pieces import blocks
from clarify.ui.pieces.gallery import Picture, gallery

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clarify.data.thumbnails import Thumbnails
    from clarify.ui.server.background import Work
    from clarify.workflow.model.failures import Failures
    from clarify.workflow.shows.tutorial import Lesson

__all__ = ["draw_grid", "wait_for_lesson"]

SHOWN = 40


@st.fragment(run_every=1.0)
def wait_for_lesson(work: Work) -> None:
    """Say how far it is; draw the page again when it is ready."""
    if work.future.done():
        st.rerun()
    st.html(blocks.muted(f"A few seconds, the first time only: {work.said}."))


def draw_grid(ready: Lesson, failures: Failures, rows: NDArray[np.int64], title: str, key: str) -> None:
    """Draw some squares under a title, with their share right; wrong ones framed."""
    share = float(failures.right[rows].mean()) if len(rows) else None
    st.html(blocks.half(title, f"{len(rows):,} squares", share))
    order = np.sort(np.random.default_rng(0).permutation(len(rows))[:SHOWN])
    thumbnails, root = ready.project.thumbnails, ready.project.manifest.root
    pictures = [
        Picture(
            address=_inline(thumbnails, failures.data.path(row), root),
            name=str(failures.data.ids[row]),
            wrong=not failures.right[row],
        )
        for row in rows[order]
    ]
    gallery(pictures, key=key, none="No square falls on this side.")


@functools.lru_cache(maxsize=512)
def _inline(thumbnails: Thumbnails, path: Path, root: Path) -> str:
    """Return a thumbnail as an address that holds it: the tutorial's home has no other."""
    content = base64.b64encode(thumbnails.of(path, inside=root)).decode()
    return f"data:image/webp;base64,{content}"
