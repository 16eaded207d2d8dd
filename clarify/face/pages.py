"""How values show themselves in a notebook, and the bars that move meanwhile."""

from __future__ import annotations

import contextlib
import html
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from clarify.data.parallel import Progress
from clarify.errors import InputError, NotFoundError, shown

__all__ = ["bar", "check_home", "check_type", "percent", "table"]

STYLE = "font:13px/1.5 system-ui,sans-serif;color:#1c1f23;border-collapse:collapse"
CELL = "padding:3px 14px 3px 0;text-align:left;border-bottom:1px solid #e6e5e0"
MUTED = "color:#6b6a65"


@contextlib.contextmanager
def bar(title: str, unit: str = "image") -> Iterator[Callable[[Progress], None]]:
    """Show a bar with rate and time left, on stderr or in a notebook; yields what moves it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without widgets gets a bar of text
        from tqdm.auto import tqdm

        shown = tqdm(desc=title, unit=unit, file=sys.stderr, dynamic_ncols=True)
    with shown:

        def move(progress: Progress) -> None:
            shown.total = progress.total
            if progress.bad:
                shown.set_postfix_str(f"{progress.bad} left out", refresh=False)
            shown.update(progress.done - shown.n)

        yield move


def percent(value: float | None) -> str:
    """Return a fraction as percent with one decimal, or a dash."""
    return "–" if value is None else f"{100 * value:.1f} %"


def table(title: str, said: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a titled table as HTML; every text in it is escaped."""

    def line(cells: Sequence[object], tag: str) -> str:
        told = "".join(f'<{tag} style="{CELL}">{html.escape(str(each))}</{tag}>' for each in cells)
        return f"<tr>{told}</tr>"

    return (
        f'<div style="{STYLE}"><b>{html.escape(title)}</b> <span style="{MUTED}">{html.escape(said)}</span>'
        f'<table style="{STYLE}"><thead>{line(header, "th")}</thead>'
        f"<tbody>{''.join(line(each, 'td') for each in rows)}</tbody></table></div>"
    )


def check_home(home: Path) -> None:
    """Refuse what was made in a home that is gone, before anything of it is made again."""
    if not home.is_dir():
        raise NotFoundError(f"the home {home} is gone; put it back, or open a data set of another one")


def check_type(what: str, value: object, *kinds: type, legal: str) -> None:
    """Refuse a value of another type, as what stands on a command line could not be."""
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise InputError(f"{what} is {shown(value)}; legal is {legal}")
