"""Judge a retrained model by the gate; register it; make it the champion if the gate passes."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from clarify.embed.encoders import ImageEncoder
from clarify.embed.packing import can_pack, pack
from clarify.errors import InputError, RefusedError
from clarify.track.model_folder import ModelEncoder
from clarify.track.promotion import Gate
from clarify.track.registry import Version, crown, register
from clarify.track.verdict import Verdict
from clarify.workflow.decide.card import model_card
from clarify.workflow.decide.champions import registry_state, turn
from clarify.workflow.decide.gate import judge
from clarify.workflow.model.models import open_model
from clarify.workflow.model.project import Workspace, model_name, run_context

__all__ = ["Promotion", "promote"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What a promotion came to.

    Parameters
    ----------
    model_name, version : str
        The version in the registry; made whether or not the gate passes, with the verdict on it.
    verdict : Verdict
        It is the champion if this stands.
    """

    model_name: str
    version: str
    run_id: str
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "model": self.model_name,
            "version": self.version,
            "run": self.run_id,
            "champion": self.verdict.stands,
            "verdict": self.verdict.to_dict(),
        }


def promote(
    project: Workspace,
    run: str | None,
    *,
    note: str = "",
    gate: Gate | None = None,
    by_hash: bool = False,
    overrule: str = "",
) -> Promotion:
    """Register a retrained model, and make it the champion if the gate passes, or a lead overrules it.

    The registered model takes images; of a backbone that was imported it takes features.

    Parameters
    ----------
    by_hash : bool
        Leave the backbone out of the registered model, which then looks for it by its name and
        refuses other weights.
    overrule : str
        Why the model is to be champion although the gate refuses it; stays with the version.

    Raises
    ------
    NotFoundError, InputError
        As `judge`; `by_hash` of a backbone that was imported, or trained here; and a blank `overrule`.
    RefusedError
        If somebody overrules who is no lead.
    """
    if overrule and not overrule.strip():
        raise InputError("overrule: the reason is blank; say why the model is to be champion all the same")
    if overrule and project.leads and project.reviewer not in project.leads:
        raise RefusedError(
            f"{project.reviewer} may not overrule the gate; {', '.join(project.leads)} may (setting leads)"
        )
    model = open_model(project, run, kind="retraining")
    if by_hash and model.is_network:
        raise InputError(
            f"{model.name}: its network was trained here, so nobody could look for it elsewhere; "
            "promote without --encoder-by-hash"
        )
    verdict = judge(project, run, gate=gate)
    if overrule and not verdict.passed:
        verdict = dataclasses.replace(verdict, overruled=overrule)
    backbone = model.body(project)
    images_by = _images_by(backbone, by_hash=by_hash)
    packed = images_by is not None and images_by.pack is not None
    version = _begun(project, model.run_id, verdict, packed=packed) or register(
        project.tracking,
        model_name=model_name(project),
        run_id=model.run_id,
        head=model.own_head(),
        encoder=backbone.identity.to_dict(),
        verdict=verdict,
        by=project.reviewer,
        note=note,
        card=model_card(project, model.run_id, verdict, note=note),
        images_by=images_by,
    )
    if verdict.stands:
        with turn(project):
            context = run_context(project, "validation", backbone)
            crown(project.tracking, version, context, note=note)
    return Promotion(
        model_name=version.model_name, version=version.version, run_id=model.run_id, verdict=verdict
    )


def _begun(project: Workspace, run_id: str, verdict: Verdict, *, packed: bool) -> Version | None:
    """Return the version of an equal promotion that was killed before it became champion; None of none."""
    if not verdict.stands:
        return None
    known = registry_state(project)
    crowned = {event.to_version for event in known.events if event.done}
    for each in known.versions:
        same = (each.run_id, each.verdict, each.by, each.packed) == (
            run_id,
            verdict,
            project.reviewer,
            packed,
        )
        if same and each.version not in crowned:
            return each
    return None


def _images_by(backbone: ImageEncoder, *, by_hash: bool) -> ModelEncoder | None:
    """Return what the registered model embeds images with; None if only features are known."""
    if not can_pack(backbone):
        if by_hash:
            raise InputError(
                f"encoder {backbone.name} was imported and embeds no images, so a model cannot "
                "look for it; promote without --encoder-by-hash"
            )
        return None
    return ModelEncoder(
        spec=backbone.name,
        identity=backbone.identity.to_dict(),
        pack=None if by_hash else functools.partial(pack, backbone),
    )
