"""The command `clarify data where`: where a data set comes from, and whether all of it is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify.cli.shell import Commands, Shell
from clarify.cli.words import group_counts, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.workflow.home.where import Counted, Whereabouts

__all__ = ["add_where"]


def _where(shell: Shell) -> None:
    """Tell where a data set comes from, its licence, how to get it, and whether the home has all of it.

    Downloads nothing.
    """
    from clarify.workflow.home.where import whereabouts

    found = whereabouts(shell.settings.home, shell.args.name)
    shell.answer(found.to_dict(), _told(found))


def _told(result: Whereabouts) -> str:
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


def add_where(data: Commands) -> None:
    """Add ``data where``."""
    command = data.add("where", _where, "data where waterbirds", data_set=False)
    command.takes(
        "name NAME",
        "waterbirds, celeba, imagenet, pacs, metashift, one that Clarify draws, or one of the home",
    )
