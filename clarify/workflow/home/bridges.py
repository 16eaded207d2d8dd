"""Learn a bridge for a data set: choose its parts, embed what is needed, keep it, say how good it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from clarify.data.captions import Captions, keep_captions, read_captions
from clarify.data.files import locked
from clarify.data.parallel import Progress
from clarify.embed.bridge import Bridge, BridgeEncoder, write_bridge
from clarify.embed.bridging import Captioned, bridge_from_captions, bridge_from_names, check_enough
from clarify.embed.encoders import ImageEncoder, load_backbone, load_classifier
from clarify.embed.imported import LABEL, imported_folder
from clarify.embed.packages import EXTRA, NETWORKS
from clarify.embed.sentences import SentenceEncoder, find_sentences
from clarify.errors import FeatureError, InputError, NotFoundError, shown
from clarify.track.records import bridge_record
from clarify.track.runs import IN_RUN, BaseRun
from clarify.workflow.home.settling import PHOTO_NETWORK, lasting
from clarify.workflow.model.backbones import body_of_run
from clarify.workflow.model.project import Workspace, embed, run_context

__all__ = ["BridgePlan", "learn_bridge"]

Bar = Callable[..., Any]
OF_BASE = "base"
"""In place of a network: the newest base network that was trained here."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BridgePlan:
    """What a bridge is to be made of.

    Parameters
    ----------
    label : str
        It is called ``bridge:LABEL`` from then on; empty is the way that it was learned.
    network : str
        ``timm:MODEL[:PATH]``, ``imported:LABEL``, or ``base`` for the newest base network that was
        trained here; empty is the one that the extra ``photos`` brings.
    classifier : str
        Whose last layer takes the network's features, where they were imported: ``timm:MODEL[:PATH]``.
    text : str
        A folder of sentence-transformers, or a name on the hub; empty is the one of the extra.
    captions : Path or None
        Captions to learn from; without them it is learned from the network's own class names.
    with_test : bool
        Whether captions of test images count.
    workers : int
        Threads that decode images.
    """

    label: str = ""
    network: str = ""
    classifier: str = ""
    text: str = ""
    captions: Path | None = None
    with_test: bool = False
    workers: int = 2


def learn_bridge(project: Workspace, plan: BridgePlan, *, bar: Bar) -> BridgeEncoder:
    """Learn a bridge, keep it and its captions, and return it.

    The images are embedded by it if they are by its network.

    Raises
    ------
    InputError
        For a label or a network that will not do, too few captions, captions of unknown images or of
        test.
    NotFoundError
        If a part is not here; tells what brings it.
    ManifestError, FeatureError, StoreError, AwayError
        As reading, embedding, recording and writing do; nothing is written then.
    """
    label = plan.label or ("names" if plan.captions is None else "captions")
    if not LABEL.fullmatch(label):
        raise InputError(f"label is {shown(label)}; legal are 1 to 64 letters, digits, '.', '_' or '-'")
    captions = None
    if plan.captions is not None:
        captions = read_captions(plan.captions, project.manifest, with_test=plan.with_test)
        check_enough(len(np.unique(captions.rows)))  # before anything takes long
    spec, network = _network(project, plan.network)
    sentences = find_sentences(plan.text)
    # A folder is found again wherever the next command is given.
    text = str(sentences.folder) if plan.text and Path(plan.text).expanduser().is_dir() else plan.text
    parts: dict[str, Any] = {
        "network": {
            "spec": spec,
            "identity": network.identity.to_dict(),
            "width": network.width,
            "unit": network.unit,
        },
        "text": {"name": sentences.name, "spec": text, "sha256": sentences.digest},
    }
    if captions is None:
        bridge = _from_names(plan, spec, network, sentences, parts, bar)
    else:
        bridge = _from_captions(project, plan, captions, network, sentences, parts, bar)
    made = BridgeEncoder(name=f"bridge:{label}", bridge=bridge, network=network)
    name = project.manifest.name
    busy = f"another clarify bridge of {name} is just being written; try again"
    with locked(project.home / "cache" / "bridges" / name, hint="then learn it again", taken=busy):
        _record(project, made)  # first: a store that is away leaves nothing half-written
        if captions is not None:
            keep_captions(project.home, project.manifest, captions)
        write_bridge(imported_folder(project.home, name), label, bridge)
    if project.store.open(project.manifest, network.identity) is not None:
        embed(project, made, workers=plan.workers)
    return made


def _record(project: Workspace, made: BridgeEncoder) -> None:
    bridge = made.bridge
    context = run_context(dataclasses.replace(project, encoder=made, backbone=made.network), "validation")
    record = bridge_record(context, name=made.name, described=bridge.describe(), words=bridge.terms.rows())
    project.tracking.log(record)


def _network(project: Workspace, spec: str) -> tuple[str, ImageEncoder]:
    """Return a network by its lasting name, and itself."""
    if spec == OF_BASE:
        runs = project.tracking.runs(project.manifest.name, BaseRun)
        run = next((each for each in runs if each.body == IN_RUN), None)
        if run is None:
            raise NotFoundError(
                f"data set {project.manifest.name}: no base network was trained here; clarify train --model "
                "timm:MODEL, or name another --network"
            )
        return f"run:{run.origin}", body_of_run(project.home, project.tracking, run.id)
    if not spec:
        if not NETWORKS[PHOTO_NETWORK.partition(":")[2]].installed():
            raise NotFoundError(f"no network is installed that knows photographs: {EXTRA}, or name --network")
        spec = PHOTO_NETWORK
    spec = lasting(spec)
    return spec, load_backbone(spec, imported=imported_folder(project.home, project.manifest.name))


def _from_names(
    plan: BridgePlan,
    spec: str,
    network: ImageEncoder,
    sentences: SentenceEncoder,
    parts: dict[str, Any],
    bar: Bar,
) -> Bridge:
    weight, names = load_classifier(plan.classifier or spec)
    if weight.shape[1] != network.width:
        raise FeatureError(
            f"the last layer of {plan.classifier or spec} takes {weight.shape[1]} features, {network.name} "
            f"has {network.width}; name the network that made them with --classifier"
        )
    with bar(f"embed {len(names):,} class names", unit="text") as move:
        return bridge_from_names(weight, names, _encode(sentences, move), **parts)


def _from_captions(
    project: Workspace,
    plan: BridgePlan,
    captions: Captions,
    network: ImageEncoder,
    sentences: SentenceEncoder,
    parts: dict[str, Any],
    bar: Bar,
) -> Bridge:
    with bar(f"embed {project.manifest.name} by {network.name}") as move:
        features = embed(project, network, workers=plan.workers, progress=move)
    readable = features.valid[captions.rows]
    rows, image = np.unique(captions.rows[readable], return_inverse=True)
    found = Captioned(
        features=features.take(rows),
        texts=tuple(text for text, kept in zip(captions.texts, readable, strict=True) if kept),
        image=image.astype(np.int64),
    )
    with bar(f"embed {len(found.texts):,} captions", unit="text") as move:
        encode = _encode(sentences, move)
        return bridge_from_captions(found, encode, **parts, captions=captions.to_dict())


def _encode(sentences: SentenceEncoder, move: Callable[[Progress], None]) -> Any:
    def encode(texts: Any) -> Any:
        return sentences.encode(
            texts, progress=lambda done, total: move(Progress(done=done, total=total, bad=0))
        )

    return encode
