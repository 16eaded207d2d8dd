"""Models as values: what one came to, what the gate says of it, and several side by side."""

from __future__ import annotations

import dataclasses
import html
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from clarify.errors import InputError, NotFoundError, RefusedError, shown
from clarify.face.pages import bar, check_home, percent, table
from clarify.track.runs import BaseRun
from clarify.track.verdict import Verdict
from clarify.workflow.decide.compared import DESCRIBED, Compared, comparison_table, halves_are_alike, remarks
from clarify.workflow.decide.gate import judge
from clarify.workflow.decide.promote import Promotion, promote
from clarify.workflow.exchange.predict import predict
from clarify.workflow.model.project import Workspace
from clarify.workflow.model.trained import Trained

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Comparison", "GateVerdict", "TrainedModel"]

FIGURES = {
    "average_accuracy": "average",
    "adjusted_average_accuracy": "average, adjusted",
    "worst_group_accuracy": "worst group",
    "described_worst_group_accuracy": "worst described",
}


class GateVerdict(Verdict):
    """What the gate says of a model, check by check."""

    def to_polars(self) -> pl.DataFrame:
        """Return a row a check: ``name, passed, text, seen, limit``."""
        return pl.DataFrame([dataclasses.asdict(each) for each in self.reasons])

    def __repr__(self) -> str:
        """Say in one line how it ended, and what failed."""
        failed = "; ".join(each.text for each in self.reasons if not each.passed)
        return "<the gate passes it>" if self.passed else f"<the gate refuses it: {failed}>"

    def _repr_html_(self) -> str:
        rows = [["✓" if each.passed else "✗", each.text] for each in self.reasons]
        return table("The gate", "passes it" if self.passed else "refuses it", ["", "check"], rows)


class TrainedModel:
    """A base model or a corrected one, as it was recorded."""

    def __init__(self, workspace: Workspace, trained: Trained) -> None:
        self._workspace, self.trained = workspace, trained

    @property
    def run(self) -> str:
        """The run that records it."""
        return self.trained.model.run_id

    def verdict(self) -> GateVerdict:
        """Return what the gate says, without promoting.

        Raises
        ------
        NotFoundError, InputError
            For a base model, an oracle, or a run that is gone.
        """
        found = judge(self._corrected(), self.run)
        return GateVerdict(reasons=found.reasons)

    def promote(self, note: str = "") -> Promotion:
        """Register the model, and make it the champion.

        Raises
        ------
        RefusedError
            If the gate refuses it; it is registered with the reasons.
        NotFoundError, InputError, StoreError
            As `verdict`; if the store cannot be written.
        """
        done = promote(self._corrected(), self.run, note=note)
        if not done.verdict.stands:
            raise RefusedError(f"not promoted, run {done.run_id[:8]}: {done.verdict.failed}")
        return done

    def predict(self, paths: Sequence[str | Path]) -> pl.DataFrame:
        """Return ``path``, ``label`` and a column of probabilities a class.

        Files that are no images are left out, and told on stderr.

        Raises
        ------
        NotFoundError
            If a file is not there.
        InputError
            If the backbone was imported and embeds no images, or there is no path.
        """
        check_home(self._workspace.home)
        if isinstance(paths, str | Path) or not paths:
            raise InputError(f"paths is {shown(paths)}; a list of one or more files is legal")
        places = [Path(each) for each in paths]
        missing = next((each for each in places if not each.is_file()), None)
        if missing is not None:
            raise NotFoundError(f"there is no file {missing}")
        with bar("predict") as move:
            found = list(predict(self._workspace, self.trained.model, places, workers=2, progress=move))
        for bad in (each for answered in found for each in answered.bad):
            print(f"left out {bad.path}: {bad.reason}", file=sys.stderr)
        return pl.concat([each.table() for each in found])

    def _corrected(self) -> Workspace:
        """Return the workspace, of a model that was corrected."""
        check_home(self._workspace.home)
        name = self._workspace.manifest.name
        if any(base.id == self.run for base in self._workspace.tracking.runs(name, BaseRun)):
            raise InputError(
                f"{self.trained.model.name} (run {self.run[:8]}) is a base model: the gate compares with it; "
                "judge and promote what was retrained from it"
            )
        return self._workspace

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of `clarify retrain`."""
        return self.trained.to_dict()

    def to_polars(self) -> pl.DataFrame:
        """Return a row a split, a column a figure."""
        splits = self.trained.evaluations
        figures = [{"split": name, **found.to_dict()} for name, found in splits.items()]
        keys = ["split", *(key for key in FIGURES if any(key in each for each in figures))]
        return pl.DataFrame([{key: each.get(key) for key in keys} for each in figures])

    def __repr__(self) -> str:
        """Say in one line what it is."""
        return f"<{self.trained.model.name}, run {self.run[:8]}>"

    def _repr_html_(self) -> str:
        found = self.to_polars()
        shown = [key for key in found.columns if key != "split"]
        rows = [[row["split"], *(percent(row[key]) for key in shown)] for row in found.iter_rows(named=True)]
        return table(
            self.trained.model.name, f"run {self.run[:8]}", ["split", *(FIGURES[key] for key in shown)], rows
        )


class Comparison:
    """Models side by side on one split, the base first."""

    def __init__(self, rows: Sequence[Compared], split: str) -> None:
        self.rows, self.split = tuple(rows), split

    def __iter__(self) -> Iterator[Compared]:
        """Yield the models."""
        return iter(self.rows)

    def __len__(self) -> int:
        """How many models."""
        return len(self.rows)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said of it: between which rows no order is claimed, say."""
        return remarks(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of `clarify compare`."""
        return {"models": [row.to_dict() for row in self.rows], "remarks": list(self.remarks)}

    def to_polars(self) -> pl.DataFrame:
        """Return a row a model, a column a figure."""
        return comparison_table(self.rows)

    def plot(self) -> Figure:
        """Return each model's figures as points on one line a figure; of figures that can be ranked."""
        import plotly.graph_objects as go

        shown = [key for key in self._shown() if key != DESCRIBED or halves_are_alike(self.rows)]
        figure = go.Figure(layout={"template": "plotly_white", "xaxis": {"tickformat": ".0%"}})
        for row in self.rows:
            values = [row.figures.get(key) for key in shown]
            names = [FIGURES[key] for key in shown]
            title, marker = html.escape(row.name), {"size": 12}
            figure.add_scatter(x=values, y=names, name=title, mode="markers", marker=marker)
        return figure

    def _shown(self) -> list[str]:
        return [key for key in FIGURES if any(key in row.figures for row in self.rows)]

    def __repr__(self) -> str:
        """Say in one line what is compared."""
        return f"<Comparison of {len(self.rows)} models on {self.split} images>"

    def _repr_html_(self) -> str:
        shown = self._shown()
        rows = [
            [row.name, *(percent(row.figures.get(key)) + row.within(key) for key in shown)]
            for row in self.rows
        ]
        header = ["model", *(FIGURES[key] for key in shown)]
        said = " ".join([f"{self.split} images, with 95 % intervals.", *self.remarks])
        return table("Models side by side", said, header, rows)
