"""What MLflow's own pages show of a data set: how its experiment opens, and what stands on a run.

All of it is made from the record as it is written, so that it is never a second source: nothing here is
read back.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from clarify.track.artifacts import TABLE
from clarify.track.markdown import plain, shortened
from clarify.track.notes import ACCURACIES, SPLITS, note_of, pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.track.artifacts import Artifact
    from clarify.track.record import RunRecord

__all__ = ["CONTENT", "EXPERIMENT_KIND", "experiment_tags", "run_tags", "with_pictures"]

CONTENT = "mlflow.note.content"
"""Tag of what MLflow shows as the description, in Markdown."""

EXPERIMENT_KIND = "mlflow.experimentKind"
KIND = "custom_model_development"
"""Without it MLflow opens an experiment as one of language models, with tabs that stay empty; MLflow 3.17
looks at the browser's own choice instead, which the links make."""

VIEW = "mlflow.sharedViewState."
PARENT = "mlflow.parentRunId"
TABLES = "mlflow.loggedArtifacts"
FOLDED = ("description", "promotion")
"""Kinds that lie folded under the model that they are about. Retrained models stand beside their base: of
what is folded MLflow draws no chart."""

LONGEST = 7800
"""Characters of a description; MLflow cuts tags of 8,000 off."""

FIGURES = [f"{split}/{name}" for split in SPLITS for name in ACCURACIES]
SCORES = [
    f"metrics.`validation/{name}`"
    for name in ("error_score", "score_low", "score_high", "with_accuracy", "without_accuracy")
]
BEGUN = "attributes.start_time"
VIEWS: dict[str, tuple[str, str, list[str]]] = {
    # name: which runs, what they are ordered by, which columns. By their beginning MLflow folds runs under
    # their parents, by anything else it lists them.
    "models": (
        " AND ".join(
            f"tags.`clarify.kind` != '{kind}'" for kind in (*FOLDED, "cell", "bridge", "collection")
        ),
        BEGUN,
        ["params.`objective`", *(f"metrics.`{name}`" for name in FIGURES)],
    ),
    "phrases": (
        "tags.`clarify.kind` = 'description' AND tags.`clarify.kept` = 'true'",
        SCORES[0],
        ["tags.`clarify.class`", *SCORES],
    ),
    "tried": ("tags.`clarify.kind` = 'description'", SCORES[0], ["tags.`clarify.class`", *SCORES]),
    "promotions": (
        "tags.`clarify.kind` = 'promotion'",
        "attributes.end_time",
        [f"params.`{name}`" for name in ("action", "from_version", "to_version", "note")],
    ),
}
"""Tables that a link opens; MLflow has no other way to choose the columns for everybody."""


def experiment_tags(data_set: str, experiment: str) -> dict[str, str]:
    """Return how a data set's experiment opens: its kind, a description, and tables that links open."""
    runs = f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey="
    links = " · ".join(f"[{name}]({runs}{name})" for name in VIEWS)  # one line: MLflow hides what follows
    views = {
        VIEW + name: json.dumps(
            {
                "searchFilter": asked,
                "orderByKey": order,
                "orderByAsc": False,
                "selectedColumns": ["attributes.`User`", *columns],
            }
        )
        for name, (asked, order, columns) in VIEWS.items()
    }
    told = f"Of the data set **{plain(data_set)}**: {links}"
    return {CONTENT: told, **views, EXPERIMENT_KIND: KIND}


def run_tags(record: RunRecord, run: str, experiment: str) -> dict[str, str]:
    """Return what MLflow's page of a run shows beside its values: a description, its parent, its tables."""
    note = "\n\n".join(filter(None, (note_of(record, experiment), pictures(record.artifacts, run))))
    found = {CONTENT: shortened(note, LONGEST, "the run's files")}
    if record.kind in FOLDED and record.tags["parent"]:
        found[PARENT] = record.tags["parent"]
    tables = [{"path": each.path, "type": "table"} for each in record.artifacts if each.path.endswith(TABLE)]
    return found | ({TABLES: json.dumps(tables)} if tables else {})


def with_pictures(note: str, artifacts: Sequence[Artifact], run: str) -> str:
    """Return a run's description with the pictures that it gets later."""
    shown = pictures(artifacts, run)
    return note if not shown or shown in note else f"{note}\n\n{shown}".strip()
