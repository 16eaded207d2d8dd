"""The commands about what embeds a data set: bridge, encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.cli.shell import Commands, Shell, bar
from clarify.cli.words import CAPTIONS_HELP, kept_captions_text, percent

if TYPE_CHECKING:
    from clarify.embed.bridge import BridgeEncoder

__all__ = ["add_bridge", "add_encoder"]

WEAKEST = 12


def _bridge(shell: Shell) -> None:
    """Learn words for photographs: a network, a text model, and one matrix between them."""
    from clarify.assembly import open_project
    from clarify.data.captions import count_captioned
    from clarify.workflow.home.bridges import BridgePlan, learn_bridge
    from clarify.workflow.home.settling import Settled, is_first, settle_first, spec_of

    args, usual = shell.args, shell.settings.usual_encoder
    project = open_project(shell.settings, args.name, say=shell.say, embeds=False)
    first = is_first(project.home, project.manifest, usual)
    plan = BridgePlan(
        label=args.label,
        network=args.network,
        classifier=args.classifier,
        text=args.text,
        captions=None if args.captions is None else Path(args.captions),
        with_test=args.with_test,
        workers=shell.settings.workers,
    )
    name = project.manifest.name
    replaced = count_captioned(project.home, name)
    made = learn_bridge(project, plan, bar=bar)
    if plan.captions is not None:
        shell.say(kept_captions_text(made.bridge.captions["images"], replaced))
    if first:
        settle_first(project.home, name, Settled(encoder=made.name))
    own = spec_of(project.home, project.manifest, usual)
    told = {"data_set": name, "encoder": made.name, "settled": own, **_described(made)}
    shell.answer(told, _told(made, own, name))


def _described(made: BridgeEncoder) -> dict[str, Any]:
    words = made.bridge.terms.rows() if made.bridge.way == "captions" else []
    return {**made.bridge.describe(), "words": words}


def _told(made: BridgeEncoder, own: str, name: str) -> str:
    bridge, terms = made.bridge, made.bridge.terms
    lines = [f"{made.name}: from {made.network.name} to {bridge.text['name']}, learned from {bridge.way}"]
    quality = bridge.quality
    if quality is None:
        lines.append(
            f"  {len(terms.words):,} class names; how good it is nobody knows until captions measure it "
            "(--captions FILE)"
        )
    else:
        lines.append(
            f"  on {quality.images:,} images held out, {quality.among:,} at a time: of images "
            f"{percent(quality.caption_recall)} find a caption of theirs among the nearest 10, of captions "
            f"{percent(quality.image_recall)} their image (by chance {percent(min(1, 10 / quality.among))})"
        )
        lines.append(f"  {quality.told:,} of {quality.words:,} words are told (AUC .70 or more)")
        if not quality.told:
            lines.append(
                "  it tells no word, so what it says means nothing: give captions of what is in each image"
            )
        worst = sorted(zip(terms.auc.tolist(), terms.words, strict=True))[:WEAKEST]
        if worst:
            lines.append("  worst: " + ", ".join(f"{word} {auc:.2f}" for auc, word in worst))
    if own != made.name and (quality is None or quality.told):
        lines.append(
            f"  the data set's own encoder stays {own}; make this it: clarify encoder {name} {made.name}"
        )
    return "\n".join(lines)


def _encoder(shell: Shell) -> None:
    """Show what embeds a data set, or make another encoder its own."""
    import dataclasses

    from clarify.assembly import open_project
    from clarify.workflow.home.settling import Settled, settle, settled

    args, home = shell.args, shell.settings.home
    if args.spec:
        chosen = Settled(encoder=args.spec, backbone=shell.settings.backbone)
        named = dataclasses.replace(shell.settings, encoder=args.spec, backbone=chosen.backbone or args.spec)
        project = open_project(named, args.name)
        settle(home, args.name, chosen)
        for doubt in project.doubts:
            shell.say(f"note: {doubt}")
        embedded = project.store.open(project.manifest, project.encoder.identity) is not None
        hint = "" if embedded else f"\nnext: clarify embed {args.name}"
        result = {"data_set": args.name, **dataclasses.asdict(chosen), "embedded": embedded}
        shell.answer(result, f"{args.name}: embedded by {args.spec} from now on{hint}")
        return
    project = shell.project()
    own = settled(home, args.name) or Settled(encoder="")
    own = dataclasses.replace(own, encoder=own.encoder or project.encoder.name)
    result = {"data_set": args.name, **dataclasses.asdict(own)}
    by = f", models on {own.backbone}" if own.backbone else ""
    shell.answer(result, f"{args.name}: embedded by {own.encoder}{by}")


def add_bridge(commands: Commands) -> None:
    """Add ``bridge``."""
    command = commands.add("bridge", _bridge, "bridge birds --captions captions.csv")
    command.takes("--captions FILE", f"{CAPTIONS_HELP} (default: learn from the network's own class names)")
    command.takes(
        "--network SPEC",
        "timm:MODEL[:PATH], imported:LABEL, or base for a network that was trained here (default: that of "
        "the extra photos)",
        default="",
    )
    command.takes(
        "--classifier SPEC",
        "timm:MODEL[:PATH] whose last layer takes features that were imported",
        default="",
    )
    command.takes(
        "--text MODEL",
        "folder or hub name of a sentence-transformers model (default: that of the extra photos)",
        default="",
    )
    command.takes("--label", "calls it bridge:LABEL (default: names, or captions)", default="")
    command.takes("--with-test", "learn from captions of test images as well", flag=True)


def add_encoder(commands: Commands) -> None:
    """Add ``encoder``."""
    command = commands.add("encoder", _encoder, "encoder birds bridge:captions")
    command.takes("spec SPEC", "what embeds it from now on (default: show what does)", nargs="?")
