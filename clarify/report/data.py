"""What the commands for data sets came to, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from clarify.report.words import percent, table

if TYPE_CHECKING:
    from clarify.data.checking import Checked, Finding, Pair
    from clarify.data.manifest import Manifest
    from clarify.data.thumbnails import Made
    from clarify.workflow.home.correlate import Correlated
    from clarify.workflow.home.data import Imported
    from clarify.workflow.home.where import Counted, Whereabouts

__all__ = ["checked", "correlated", "drawn", "imported", "thumbnails", "verdict", "where"]

SHOWN = 20  # lines of what is not wrong; --json has all
MANY_CLASSES = 20


def imported(result: Imported) -> str:
    """Tell what was imported, and what to do next."""
    manifest = result.manifest
    found = result.to_dict()
    classes = manifest.classes if len(manifest.classes) <= MANY_CLASSES else ()
    rows = [
        [split, f"{sum(counts.values()):,}", *(f"{counts[label]:,}" for label in classes)]
        for split, counts in found["splits"].items()
    ]
    lines = [
        f"{manifest.table.height:,} images of {len(manifest.classes):,} classes imported as "
        f"{manifest.name}: {result.toml}",
        table(["split", "images", *classes], rows),
        *(f"attribute {name}: {', '.join(v[:10])}" for name, v in manifest.attributes.items()),
        f"images in {manifest.root}"
        + ("" if result.copied is None else f", {result.copied:,} of them copied now"),
        f"next: clarify data check {manifest.name}",
    ]
    return "\n".join(lines)


def drawn(manifest: Manifest) -> str:
    """Tell what was drawn, and what to do next."""
    return (
        f"{manifest.table.height:,} images of {manifest.title} drawn in {manifest.root}\n"
        f"next: clarify embed {manifest.name}"
    )


def checked(name: str, result: Checked) -> str:
    """Tell everything that is wrong, line by line, then what may be."""
    depth = "every pixel" if result.deep else "headers; --deep decodes every pixel"
    lines = [f"{result.images:,} images of {name} looked at ({depth})"]
    lines.append(_counts(result.counts))
    lines += [f"wrong: {_told(each)}" for each in result.wrong]
    lines += [f"leak: {_pair(each)} are the same file" for each in result.leaks]
    lines += _first(
        "near", (f"{_pair(each)} look alike ({each.bits} of 64 bits differ)" for each in result.near)
    )
    lines += _first("note", (_told(each) for each in result.notes))
    lines.append(verdict(name, result))
    return "\n".join(lines)


def _counts(counts: dict[str, dict[str, int]]) -> str:
    """Show every group of a split, or of many groups the smallest."""
    rows = []
    for split, groups in counts.items():
        smallest = sorted(groups.items(), key=lambda group: group[1])[:3]
        shown = groups.items() if len(groups) <= MANY_CLASSES else smallest
        rows += [[split, group, f"{count:,}"] for group, count in shown]
        if len(groups) > MANY_CLASSES:
            rows.append([split, f"and {len(groups) - 3:,} larger ones", ""])
    return table(["split", "class or group", "images"], rows)


def verdict(name: str, result: Checked) -> str:
    """Tell in one line whether the data set may be used."""
    found = f"{len(result.wrong):,} wrong images, {len(result.leaks):,} in two splits"
    doubts = f"{len(result.near):,} near duplicates, {len(result.notes):,} notes"
    if result.passed:
        return f"data set {name} is fine: {found}; {doubts}"
    return (
        f"data set {name} is not fine: {found}; {doubts}; mend the images or the table, then run: "
        f"clarify data check {name}"
    )


def _told(finding: Finding) -> str:
    return f"row {finding.row:,}, {finding.id!r}, {finding.path}: {finding.what}"


def _pair(pair: Pair) -> str:
    one, other = pair.first, pair.second
    return f"row {one.row:,} ({one.what}, {one.path}) and row {other.row:,} ({other.what}, {other.path})"


def _first(kind: str, texts: Iterable[str]) -> list[str]:
    every = [f"{kind}: {text}" for text in texts]
    more = len(every) - SHOWN
    return every if more <= 0 else [*every[:SHOWN], f"{kind}: and {more:,} more; --json has all"]


def thumbnails(name: str, result: Made) -> str:
    """Tell how many thumbnails there are now."""
    lines = [f"{result.made:,} thumbnails of {name} made, {result.kept:,} were there"]
    lines += _first("no thumbnail", (f"{bad.path}: {bad.reason}" for bad in result.bad))
    return "\n".join(lines)


def correlated(result: Correlated) -> str:
    """Tell the group table of a data set with a chosen correlation, and what was left out."""
    manifest = result.manifest
    pairs = ", ".join(f"{label} = {value}" for label, value in result.pairing.items())
    left = ", ".join(f"{count:,} of {split}" for split, count in result.left_out.items())
    lines = [
        f"{manifest.table.height:,} images of {result.base} are {manifest.name}: {result.toml}",
        f"{result.attribute} paired by {_how(result.paired_by)}: {pairs}",
        f"training: {result.images:,} images of each class, {percent(result.reached)} of them with "
        f"the paired {result.attribute}; seed {result.seed}",
        _counts(result.counts),
        f"left out: {left}; nothing was copied, and no image changed its split",
        f"next: clarify embed {manifest.name}",
    ]
    return "\n".join(lines)


def _how(paired_by: str) -> str:
    return "what was given" if paired_by == "given" else f"the {paired_by} of training"


def where(result: Whereabouts) -> str:
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
        lines.append(_counts(result.counts))
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
