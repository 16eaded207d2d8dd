"""The models side by side as one table; a click on a row chooses its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from clarify.ui.pieces import blocks
from clarify.ui.retrain.outcomes import part_words
from clarify.workflow.decide.compared import CONTROL, DESCRIBED, halves_are_alike

if TYPE_CHECKING:
    from clarify.workflow.decide.compared import Compared

__all__ = ["corrected_by", "day", "distinct", "minute", "model_table", "table_html", "title_of"]

COLUMNS = {
    "average_accuracy": "average",
    "adjusted_average_accuracy": "average, adjusted",
    "worst_group_accuracy": "worst group",
    "described_worst_group_accuracy": "worst described half",
    "gap": "gap",
}
GAINS = {"average_accuracy": "average", "worst_group_accuracy": "worst_group"}
LOWER_IS_BETTER = {"gap"}
WIDTH, EDGE = 150, 7
"""Of a dumbbell, in pixels."""

DEVIATION_SAYS = "standard deviation over the seeds"
INTERVAL_SAYS = "95 % Wilson interval"
GAIN_SAYS = "points gained over the base model on the same images, 95 % paired bootstrap interval"


def title_of(row: Compared) -> str:
    """Return what a model is called on a page: its phrases, not the name of its run."""
    if row.kind == "base":
        return "Imported model" if row.objective == "imported" else "Base model"
    if row.kind == CONTROL:
        return row.name[:1].upper() + row.name[1:]
    return corrected_by([each.phrase for each in row.descriptions])


def corrected_by(phrases: Sequence[str]) -> str:
    """Return what a model is called that was retrained with phrases; with none, an oracle."""
    each = list(dict.fromkeys(phrases))
    if not each:
        return "Oracle: true groups"
    text = " and ".join([", ".join(each[:-1]), each[-1]] if each[1:] else each)
    return text[:1].upper() + text[1:]


def distinct(names: Sequence[str]) -> list[str]:
    """Return names of which no two are alike: Streamlit knows the entries of a list by them."""
    found: list[str] = []
    for name in names:
        same = sum(each == name or each.startswith(f"{name}, the ") for each in found)
        found.append(f"{name}, the {same + 1}. of that name" if same else name)
    return found


def day(milliseconds: int) -> str:
    """Return a date as people say it: 24 Nov 2026."""
    when = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return f"{when.day} {when:%b %Y}"


def minute(milliseconds: int) -> str:
    """Return a date with the time of day where the visitor is, or else in UTC: 24 Nov 2026, 14:05 UTC."""
    import streamlit as st

    try:
        zone = ZoneInfo(st.context.timezone or "")
    except (ValueError, ZoneInfoNotFoundError):
        return f"{day(milliseconds)}, {datetime.fromtimestamp(milliseconds / 1000, tz=UTC):%H:%M} UTC"
    when = datetime.fromtimestamp(milliseconds / 1000, tz=zone)
    return f"{when.day} {when:%b %Y, %H:%M}"


def model_table(
    rows: Sequence[Compared],
    verdicts: Mapping[str, bool],
    *,
    chosen: str,
    choose: Callable[[str], None],
    key: str,
) -> None:
    """Draw the table.

    Parameters
    ----------
    rows : sequence of Compared
        The base first.
    verdicts : mapping of run to bool
        Whether the gate lets a model pass; those that it does not judge are left out.
    chosen : str
        The run that is marked.
    choose : callable
        Told the run of a retrained model that was clicked, before the page is drawn again.
    key : str
        Of the widget, unique on the page.
    """
    import streamlit as st

    def clicked() -> None:
        number = st.session_state[key].chosen
        if number is not None and int(number) < len(rows) and _is_choice(rows[int(number)]):
            choose(rows[int(number)].run_id)

    data = {"html": table_html(rows, verdicts, chosen=chosen)}
    blocks.component("models", "models", "style")(key=key, data=data, on_chosen_change=clicked)


def table_html(rows: Sequence[Compared], verdicts: Mapping[str, bool], *, chosen: str) -> str:
    """Return the table as HTML; what people wrote in it is escaped."""
    shown = [key for key in COLUMNS if any(key in row.figures for row in rows)]
    worst = next(key for key in ("worst_group_accuracy", DESCRIBED, "average_accuracy") if key in shown)
    heads = ["Model", *(COLUMNS[key] for key in shown), "cost", f"{COLUMNS[worst]}, base to now", "gate"]
    head = "".join(f"<th>{blocks.cell(name)}</th>" for name in heads)
    ranked = [key for key in shown if key != DESCRIBED or halves_are_alike(rows)]
    best = {key: _best(rows, key) if key in ranked else None for key in shown}
    body = []
    for number, row in enumerate(rows):
        cells = [
            _model(row),
            *(_figure(row, key, best=_wins(row, key, best[key])) for key in shown),
            _cost(row),
            _dumbbell(_before(rows, row, worst), row.figures.get(worst)),
            _gate(verdicts.get(row.run_id) if _is_choice(row) else None),
        ]
        mark = f' data-model="{number}"' if _is_choice(row) else ""
        name = ' class="chosen"' if _is_choice(row) and row.run_id == chosen else ""
        named = zip(heads, cells, strict=True)
        body.append(
            f"<tr{mark}{name}>"
            + "".join(f'<td data-name="{blocks.cell(head)}">{each}</td>' for head, each in named)
            + "</tr>"
        )
    rows_html = "".join(body)
    return f'<table class="c-table"><thead><tr>{head}</tr></thead><tbody>{rows_html}</tbody></table>'


def _wins(row: Compared, key: str, best: float | None) -> bool:
    return best is not None and not row.oracle and row.figures.get(key) == best


def _before(rows: Sequence[Compared], row: Compared, key: str) -> float | None:
    """Return what the base model comes to, on the same halves where these count."""
    return row.base_half if key == DESCRIBED else rows[0].figures.get(key)


def _is_choice(row: Compared) -> bool:
    """Whether a click chooses the row's model; the base and controls are what these stand beside."""
    return row.kind not in ("base", CONTROL)


def _model(row: Compared) -> str:
    title = blocks.cell(title_of(row))
    name = f"<button>{title}</button>" if _is_choice(row) else f"<span>{title}</span>"
    how = row.objective.replace("_", " ") + (" + refit" if row.refit else "")
    if row.part != "head":
        how += f", {part_words(row.part)}"
    if row.seeds > 1:
        how += f", {row.seeds} seeds"
    facts = f"<small>{blocks.cell(f'{how}, by {row.by}, {day(row.started)}')}</small>"
    chips = [f"{each.class_name}: {each.phrase}" for each in row.descriptions]
    if row.oracle:
        chips = ["labels used"]
    if row.champion:
        chips.insert(0, f"champion, version {row.champion}")
    return name + facts + "".join(blocks.chip(each) for each in chips)


def _figure(row: Compared, key: str, *, best: bool) -> str:
    text = blocks.percent(row.figures.get(key))
    text = f"<b>{text}</b>" if best else text
    if key in row.deviations:
        text += f' <i title="{DEVIATION_SAYS}">± {100 * row.deviations[key]:.1f}</i>'
    if key in row.intervals:
        text += f'<i title="{INTERVAL_SAYS}">{row.within(key)}</i>'
    if key == DESCRIBED and row.half and row.kind == "retraining":
        base = "" if row.base_half is None else f"; worst of the base {blocks.percent(row.base_half)}"
        return f'{text}<small class="c-half-name">{blocks.cell(row.half + base)}</small>'
    gain = row.gains.get(GAINS.get(key, ""))
    if gain is None:
        return text
    low, high = 100 * gain.low, 100 * gain.high
    return f'{text}<small title="{blocks.cell(GAIN_SAYS)}">{low:+.1f} to {high:+.1f}</small>'


def _cost(row: Compared) -> str:
    """Return what training it took: time, and small the parameters that it changed and memory."""
    if not row.cost:
        return "–"
    count = row.cost["parameters"]
    many = f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count:,.0f}"
    memory = f"{row.cost['peak_memory_mib'] / 1024:.1f} GiB"
    return f"{_time(row.cost['seconds'])}<small>{many} parameters, {memory}</small>"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _best(rows: Sequence[Compared], key: str) -> float | None:
    """Return the best value of a column; an oracle is out of competition, for it saw the labels.

    Of worst described halves there is none where these are other ones from row to row.
    """
    values = [row.figures[key] for row in rows if key in row.figures and not row.oracle]
    if len(values) < 2:
        return None
    return min(values) if key in LOWER_IS_BETTER else max(values)


def _dumbbell(before: float | None, now: float | None) -> str:
    """Draw a line from the base (hollow) to now (filled), on a scale of 0 to 100 %."""
    if before is None or now is None:
        return "–"
    start, end = (EDGE + value * (WIDTH - 2 * EDGE) for value in (before, now))
    said = f"from {blocks.percent(before)} to {blocks.percent(now)}"
    hollow = (
        f'<line x1="{start:.1f}" x2="{end:.1f}" y1="11" y2="11" stroke="#B9B8B2" stroke-width="2"/>'
        f'<circle cx="{start:.1f}" cy="11" r="4.5" fill="var(--panel, #fff)" '
        'stroke="currentColor" stroke-width="1.5"/>'
    )
    hollow = "" if before == now else hollow
    return (
        f'<svg class="dumbbell" viewBox="0 0 {WIDTH} 22" role="img" aria-label="{said}">'
        f"<title>{said}</title>{hollow}"
        f'<circle cx="{end:.1f}" cy="11" r="5.5" fill="currentColor"/></svg>'
    )


def _gate(passed: bool | None) -> str:
    if passed is None:
        return "–"
    word, kind = ("passes", "c-passes") if passed else ("refused", "c-fails")
    return f'<span class="{kind}">{word}</span>'
