"""The promise of each class, worked out beside the pages; it takes seconds to minutes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from clarify.errors import ClarifyError
from clarify.ui.pieces import blocks
from clarify.workflow.describe.suggest import promises

if TYPE_CHECKING:
    from clarify.data.parallel import Progress
    from clarify.ui.pieces.page import Page
    from clarify.ui.server.background import Say, Work
    from clarify.workflow.model.failures import Failures

__all__ = ["Promised", "promised", "wait_for_promises"]

LOOKED_AFTER_S = 2.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What is known of the promises: None while `work` works them out, and where `trouble` says why not."""

    by_class: Mapping[str, float] | None = None
    trouble: str = ""
    work: Work | None = None


def promised(page: Page, failures: Failures) -> Promised:
    """Return the promises of a model's classes as far as they are known.

    The first call for a model begins to work them out, for all sessions.
    """
    project = page.desk.project

    def search(say: Say) -> dict[str, float]:
        def tell(what: str, progress: Progress) -> None:
            say(f"{progress.done:,} of {progress.total:,} {what}")

        found = promises(
            project,
            failures.model,
            failures.data,
            progress=lambda progress: tell("phrases embedded", progress),
            searched=lambda progress: tell("classes done", progress),
        )
        return {each.class_name: each.found.promise for each in found}

    work = page.shared.background.once(("promises", failures.model.run_id), search)
    if not work.future.done():
        return Promised(work=work)
    try:
        return Promised(by_class=work.future.result(), work=work)
    except ClarifyError as error:
        return Promised(trouble=str(error), work=work)


@st.fragment(run_every=LOOKED_AFTER_S)
def wait_for_promises(work: Work) -> None:
    """Say how far they are; draw the page again when they are there."""
    if work.future.done():
        st.rerun()
    said = f": {work.said}" if work.said else ""
    st.html(blocks.muted(f"First where many images are wrong. The promise is worked out{said}."))
