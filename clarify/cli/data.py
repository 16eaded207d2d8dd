"""The commands for data sets: draw or correlate them, check them, make their thumbnails."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from clarify.cli.data_import import add_imports
from clarify.cli.shell import Commands, Shell, bar
from clarify.cli.words import group_counts, percent, table
from clarify.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clarify.data.checking import Checked, ImageFinding, Pair
    from clarify.data.thumbnails import Made
    from clarify.workflow.home.correlate import Correlated
    from clarify.workflow.home.where import Counted, Whereabouts

__all__ = ["add_data"]

SHOWN = 20  # lines of what is not wrong; --json has all


def _draw(shell: Shell) -> None:
    """Draw a data set of Clarify's own: birds whose place gives them away, in four difficulties, or
    sprites.
    """
    from clarify.data.manifest import open_manifest
    from clarify.workflow.shows.demo import draw_data_set

    args, settings = shell.args, shell.settings
    shell.say("drawing the images")
    name = draw_data_set(settings.home, args.name, seed=args.seed, workers=settings.workers)
    manifest = open_manifest(settings.home, name)
    result = {"data_set": name, "images": manifest.table.height, "root": str(manifest.root)}
    shell.answer(
        result,
        f"{manifest.table.height:,} images of {manifest.title} drawn in {manifest.root}\n"
        f"next: clarify embed {manifest.name}",
    )


def _correlate(shell: Shell) -> None:
    """Make a data set with a chosen spurious correlation of the images of an annotated one: an exact group
    table in training, balanced groups in the other splits. Nothing is copied.
    """
    from clarify.workflow.home.correlate import correlate

    args = shell.args
    done = correlate(
        shell.settings.home,
        args.name,
        attribute=args.attribute,
        share=args.share,
        out_name=args.out_name,
        pairs=args.pair,
        images=args.images,
        seed=args.seed,
    )
    shell.answer(done.to_dict(), _correlated(done))


def _check(shell: Shell) -> None:
    """Look at every image: what is wrong, and what is in two splits?"""
    from clarify.workflow.home.data import check_data

    args, settings = shell.args, shell.settings
    found = check_data(settings.home, args.name, deep=args.deep, workers=settings.workers, bar=bar)
    result = {"data_set": args.name, "passed": found.passed, **dataclasses.asdict(found)}
    shell.answer(result, _checked(args.name, found))
    if not found.passed:
        raise RefusedError(_verdict(args.name, found))


def _thumbnails(shell: Shell) -> None:
    """Make the thumbnails of all images ahead."""
    from clarify.workflow.home.data import make_thumbnails

    args, settings = shell.args, shell.settings
    made = make_thumbnails(settings.home, args.name, workers=settings.workers, bar=bar)
    result = {
        "data_set": args.name,
        "made": made.made,
        "kept": made.kept,
        "bad": [{"path": str(bad.path), "reason": bad.reason} for bad in made.bad],
    }
    shell.answer(result, _thumbnails_text(args.name, made))


def _checked(name: str, result: Checked) -> str:
    """Tell everything that is wrong, line by line, then what may be."""
    depth = "every pixel" if result.deep else "headers; --deep decodes every pixel"
    lines = [f"{result.images:,} images of {name} looked at ({depth})"]
    lines.append(group_counts(result.counts))
    lines += [f"wrong: {_told(each)}" for each in result.wrong]
    lines += [f"leak: {_pair(each)} are the same file" for each in result.leaks]
    lines += _first(
        "near", (f"{_pair(each)} look alike ({each.bits} of 64 bits differ)" for each in result.near)
    )
    lines += _first("note", (_told(each) for each in result.notes))
    lines.append(_verdict(name, result))
    return "\n".join(lines)


def _verdict(name: str, result: Checked) -> str:
    """Tell in one line whether the data set may be used."""
    found = f"{len(result.wrong):,} wrong images, {len(result.leaks):,} in two splits"
    doubts = f"{len(result.near):,} near duplicates, {len(result.notes):,} notes"
    if result.passed:
        return f"data set {name} is fine: {found}; {doubts}"
    return (
        f"data set {name} is not fine: {found}; {doubts}; mend the images or the table, then run: "
        f"clarify data check {name}"
    )


def _told(finding: ImageFinding) -> str:
    return f"row {finding.row:,}, {finding.id!r}, {finding.path}: {finding.what}"


def _pair(pair: Pair) -> str:
    one, other = pair.first, pair.second
    return f"row {one.row:,} ({one.what}, {one.path}) and row {other.row:,} ({other.what}, {other.path})"


def _first(kind: str, texts: Iterable[str]) -> list[str]:
    every = [f"{kind}: {text}" for text in texts]
    more = len(every) - SHOWN
    return every if more <= 0 else [*every[:SHOWN], f"{kind}: and {more:,} more; --json has all"]


def _thumbnails_text(name: str, result: Made) -> str:
    """Tell how many thumbnails there are now."""
    lines = [f"{result.made:,} thumbnails of {name} made, {result.kept:,} were there"]
    lines += _first("no thumbnail", (f"{bad.path}: {bad.reason}" for bad in result.bad))
    return "\n".join(lines)


def _correlated(result: Correlated) -> str:
    """Tell the group table of a data set with a chosen correlation, and what was left out."""
    manifest = result.manifest
    pairs = ", ".join(f"{label} = {value}" for label, value in result.pairing.items())
    left = ", ".join(f"{count:,} of {split}" for split, count in result.left_out.items())
    how = "what was given" if result.paired_by == "given" else f"the {result.paired_by} of training"
    lines = [
        f"{manifest.table.height:,} images of {result.base} are {manifest.name}: {result.toml}",
        f"{result.attribute} paired by {how}: {pairs}",
        f"training: {result.images:,} images of each class, {percent(result.reached)} of them with "
        f"the paired {result.attribute}; seed {result.seed}",
        group_counts(result.counts),
        f"left out: {left}; nothing was copied, and no image changed its split",
        f"next: clarify embed {manifest.name}",
    ]
    return "\n".join(lines)


def _where(shell: Shell) -> None:
    """Tell where a data set comes from, its licence, how to get it, and whether the home has all of it.

    Downloads nothing.
    """
    from clarify.workflow.home.where import whereabouts

    found = whereabouts(shell.settings.home, shell.args.name)
    shell.answer(found.to_dict(), _whereabouts(found))


def _whereabouts(result: Whereabouts) -> str:
    """Tell where a data set comes from, and whether what is here is all of it."""
    lines = [result.title, f"from: {result.source}", f"licence: {result.licence}"]
    if result.get:
        lines.append(f"get: {result.get}")
    if result.command:
        lines.append(f"then: {result.command}")
    manifest = result.manifest
    if manifest is None:
        lines.append(f"no data set {result.name} is in this home; Clarify downloads nothing")
    else:
        lines.append(
            f"here: {manifest.table.height:,} images as {manifest.name} in {manifest.root}"
            + (f", {manifest.source}" if result.known else "")
        )
    if result.published:
        lines.append(_published(result.published))
    elif manifest is not None:
        lines.append(group_counts(result.counts))
    return "\n".join([*lines, *_fits(result)])


def _published(counts: Sequence[Counted]) -> str:
    rows = [
        [
            each.split or "any",
            each.group,
            "–" if each.seen is None else f"{each.seen:,}",
            f"{each.published:,}",
            "" if each.seen in (None, each.published) else "differs",
        ]
        for each in counts
    ]
    return table(["split", "group", "seen", "published", ""], rows)


def _fits(result: Whereabouts) -> list[str]:
    if result.known and not result.published:
        return ["no counts of it are published that could be compared"]
    if result.fits is None:
        return []
    if result.fits:
        return ["all counts are as published"]
    absent = sum(each.seen is None for each in result.published)
    off = sum(each.seen != each.published for each in result.published) - absent
    told = [f"{off} differ"] if off else []
    told += [f"{absent} cannot be compared, with other classes or attributes"] if absent else []
    return [f"of {len(result.published)} published counts {', '.join(told)}"]


def add_data(commands: Commands) -> None:
    """Add ``data`` with its commands."""
    data = commands.group(
        "data", "Import data sets, make others of them, check them, tell where they come from."
    )
    add_imports(data.group("import", "Make a data set of images that are kept in another form."))
    draw = data.add("draw", _draw, "data draw rendered-waterbirds-easy")
    draw.takes(
        "--seed",
        "another seed draws other pictures, as a data set of its own (default: 0)",
        type=int,
        default=0,
    )
    check = data.add("check", _check, "data check birds --deep")
    check.takes(
        "--deep", "also decode every pixel, verify the hashes, and find pictures that look alike", flag=True
    )
    data.add("thumbnails", _thumbnails, "data thumbnails birds")
    _add_correlate(data)
    where = data.add("where", _where, "data where waterbirds", data_set=False)
    where.takes(
        "name NAME",
        "waterbirds, celeba, imagenet, pacs, metashift, one that Clarify draws, or one of the home",
    )


def _add_correlate(data: Commands) -> None:
    command = data.add(
        "correlate",
        _correlate,
        "data correlate rendered-waterbirds --attribute place --share 0.9 --out-name birds-90",
    )
    command.takes("--attribute NAME", "the annotated attribute to correlate the class with", required=True)
    command.takes(
        "--share PART",
        "part of each class in training that has the value it is paired with, above 0 and at most 1 "
        "(default: 0.95)",
        type=float,
        default=0.95,
    )
    command.takes(
        "--pair CLASS=VALUE",
        "give each class its value; what is in no pair is left out; may be repeated (default: all "
        "classes, by the greatest groups)",
        repeated=True,
    )
    command.takes("--images N", "of each class in training (default: as many as the counts allow)", type=int)
    command.takes("--seed", "of the images drawn (default: 0)", type=int, default=0)
    command.takes("--out-name NEW", "what to call the new data set", required=True)
