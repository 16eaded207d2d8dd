"""The gate asked: what it says of a retrained model, against its base and the champion of the day."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.data.files import write_atomically
from clarify.errors import InputError, StoreError
from clarify.method.decisions.paired import paired
from clarify.method.phrases.confirm import set_aside
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.phrases import parse_phrase
from clarify.track.gate_evidence import GateEvidence
from clarify.track.promotion import Gate
from clarify.track.registry import version_of
from clarify.track.runs import TrainedRun
from clarify.track.verdict import Reason, Verdict
from clarify.workflow.decide.elsewhere import imported_run, judge_elsewhere
from clarify.workflow.describe.phrases import halves_of, has_captions
from clarify.workflow.model.models import find_run
from clarify.workflow.model.project import SplitData, Workspace, model_name, split_data

__all__ = ["judge", "write_junit"]


def judge(project: Workspace, run: str | None, *, gate: Gate | None = None) -> Verdict:
    """Return what the gate says of a retrained model, or of an imported one. Nothing is recorded.

    Parameters
    ----------
    gate : Gate, optional
        With other limits than the project's.

    Raises
    ------
    NotFoundError
        For an unknown run.
    InputError
        For an oracle: it was made with annotated groups, which may not decide. For a run of an older version.
    """
    gate = gate or project.gate
    if (imported := imported_run(project, run)) is not None:
        return judge_elsewhere(project, imported, gate)
    found = find_run(project, run, kind="retraining")
    if found.oracle:
        raise InputError(
            f"run {found.id[:8]} is an oracle: it used annotated groups, so it is for comparison "
            "only; promote a model that was retrained with descriptions"
        )
    seen = json.loads(project.tracking.artifact(found.id, "gate.json"))
    looked_at = GateEvidence.from_dict(seen.get("evidence") or {})
    verdict = gate.judge(looked_at)
    against = _against_champion(project, found, gate, looked_at.divided)
    return verdict if against is None else Verdict(reasons=(*verdict.reasons, against))


def _against_champion(
    project: Workspace, run: TrainedRun, gate: Gate, divided: Collection[str]
) -> Reason | None:
    """Compare with the champion on validation; None where there is none, or it is this model.

    Of the divided classes on the images that were set aside.
    """
    champion = version_of(project.tracking, model_name(project))
    if champion is None or champion.run_id == run.id:
        return None
    data = split_data(project, "validation")
    both = _right(project, champion.run_id, "champion").join(_right(project, run.id, "now"), on="id")
    if both.is_empty():
        raise InputError(
            f"version {champion.version}, the champion, and run {run.id[:8]} share no validation image"
        )
    place = pl.DataFrame({"id": data.ids}).with_row_index("row")
    judged = data.ids[_judged(data, [project.manifest.class_index(name) for name in divided])]
    both = both.join(place, on="id").filter(pl.col("id").is_in(judged.tolist()))
    row, before, now = both["row"].to_numpy(), both["champion"].to_numpy(), both["now"].to_numpy()
    parts = {"all validation images": np.ones(len(data.labels), dtype=np.bool_)}
    for of_run in (champion.run_id, run.id):
        parts |= _halves(project, of_run, data)
    for label, name in enumerate(project.manifest.classes):
        parts[name] = data.labels == label
    return gate.against_champion(
        champion.version, {name: paired(before[mask[row]], now[mask[row]]) for name, mask in parts.items()}
    )


def _judged(data: SplitData, divided: Collection[int]) -> NDArray[np.bool_]:
    """Return which images (N,) may judge: of the divided classes those that were set aside."""
    return ~np.isin(data.labels, list(divided)) | set_aside(data.ids)


def _right(project: Workspace, run_id: str, name: str) -> pl.DataFrame:
    """Return which validation images a run's model gets right: ``id`` and a column of that name."""
    table = pl.read_parquet(project.tracking.artifact(run_id, "predictions.parquet"))
    return table.filter(pl.col("split") == "validation").select("id", pl.col("right").alias(name))


def _halves(project: Workspace, run_id: str, data: SplitData) -> dict[str, NDArray[np.bool_]]:
    """Return both halves of each description that a model was retrained with, as masks (N,)."""
    found = {}
    for values in json.loads(project.tracking.artifact(run_id, "descriptions.json")):
        each = Description.from_dict(values)
        of_class = data.labels == project.manifest.class_index(each.class_name)
        known = each.encoder == project.encoder.identity.digest
        if not known or not has_captions(parse_phrase(each.phrase), data, np.flatnonzero(of_class)).all():
            continue
        ((_, having),) = halves_of(project, [each], data)[each.class_name]
        found[f"{each.class_name} · with {each.phrase}"] = of_class & having
        found[f"{each.class_name} · without {each.phrase}"] = of_class & ~having
    return found


def write_junit(path: Path, name: str, verdict: Verdict) -> None:
    """Write a verdict as JUnit's XML: a test case a reason, so that a pipeline shows each.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    failed = [each for each in verdict.reasons if not each.passed]
    suite = ElementTree.Element(
        "testsuite", name=f"clarify gate {name}", tests=str(len(verdict.reasons)), failures=str(len(failed))
    )
    for each in verdict.reasons:
        case = ElementTree.SubElement(suite, "testcase", classname=f"clarify.gate.{name}", name=each.name)
        if each.passed:
            ElementTree.SubElement(case, "system-out").text = each.text
        else:
            ElementTree.SubElement(case, "failure", message=each.text)
    try:
        write_atomically(path, [ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)])
    except OSError as error:
        raise StoreError(
            f"cannot write {path} ({error.strerror or error}): give --junit another file"
        ) from None
