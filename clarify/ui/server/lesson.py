"""The tutorial's lesson, made ready beside the pages once."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from clarify.assembly import open_project
from clarify.workflow.shows.tutorial import prepare_tutorial

if TYPE_CHECKING:
    from clarify.ui.server.background import Say, Work
    from clarify.ui.server.shared import Shared
    from clarify.workflow.shows.tutorial import Lesson

__all__ = ["forget_lesson", "lesson"]

KEY = "tutorial"


def lesson(found: Shared) -> Work:
    """Return the lesson under way or ready; the first call begins to make it.

    It has a home of its own under the team's cache, and none of the team's settings: the encoder
    is the one that comes with Clarify.
    """
    settings = dataclasses.replace(
        found.settings,
        home=found.settings.home / "cache" / "tutorial",
        encoder="small-clip",
        backbone="",
        tracking_uri="",
    )

    def prepare(say: Say) -> Lesson:
        opened = functools.partial(open_project, settings)
        return prepare_tutorial(settings.home, opened, workers=settings.workers, say=say)

    return found.background.once(KEY, prepare)


def forget_lesson(found: Shared) -> None:
    """Make it anew at the next visit: it failed."""
    found.background.forget(KEY)
