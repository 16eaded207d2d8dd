"""PACS: a folder a domain, a folder a class in each, as in ``photo/dog/056_0001.jpg``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl

from clarify.data.sources.folder import check_classes, others_note
from clarify.data.sources.listing import Listing
from clarify.data.sources.walking import folder_of, refuse_unread, subfolders, walk
from clarify.errors import ManifestError, nearest, shown

__all__ = ["DOMAINS", "list_pacs"]

DOMAINS = ("art_painting", "cartoon", "photo", "sketch")
PLACES = ("", "kfold", "images/kfold")  # where archives have the folders of the domains
LISTS = {"train": "train", "crossval": "validation"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Tree:
    """Where the domains are: `below` the root, by name."""

    root: Path
    below: str
    domains: tuple[str, ...]
    others: tuple[str, ...]

    def inside(self, path: str) -> str:
        return f"{self.below}/{path}" if self.below else path


def list_pacs(path: Path, *, lists: Path | None = None, held_out: str | None = None) -> Listing:
    """List PACS with the object as class and the attribute ``domain``.

    Source: Li et al. 2017, arXiv 1710.03077; its protocol tests on a domain that was not trained
    on.

    Parameters
    ----------
    path : Path
        Holds two or more of the folders ``art_painting``, ``cartoon``, ``photo``, ``sketch``, or
        a folder ``kfold`` or ``images/kfold`` that does.
    lists : Path, optional
        Folder of its authors' ``DOMAIN_train_kfold.txt`` and ``DOMAIN_crossval_kfold.txt``: train
        and validation. By default they are looked for in `path`, in ``splits`` and beside the
        domains.
    held_out : str, optional
        The domain whose images are all test.

    Returns
    -------
    Listing
        Without splits if neither lists nor a held-out domain give them.

    Raises
    ------
    ManifestError
        If the folders are not so, a list is broken or lacks, or there is no such domain.
    """
    tree = _tree(folder_of(path))
    if held_out is not None and held_out not in tree.domains:
        raise ManifestError(
            f"folder {tree.root} has no domain {shown(held_out)} to hold out; "
            f"{nearest(held_out, tree.domains)}"
        )
    table, others = _images(tree)
    notes = [*others_note(others)]
    missing = [name for name in DOMAINS if name not in tree.domains]
    if missing:
        notes.append(f"there is no folder {', '.join(missing)}")
    if tree.others:
        notes.append(f"no domain of PACS and not in: {', '.join(tree.others[:5])}")
    guesses = {}
    found = lists if lists is not None else _lists_beside(tree)
    if found is not None:
        table, left = _with_lists(table, tree, found)
        guesses = {} if lists is not None else {"folder of the split lists": str(found)}
        notes += [f"{left:,} images are on no list and not in"] if left else []
    if held_out is not None:
        table = _holding_out(table, held_out)
    elif found is not None:
        notes.append("the lists hold no images out for test; --held-out DOMAIN does")
    classes = tuple(sorted(table["label"].unique()))
    check_classes(tree.root, classes)
    return Listing(
        root=tree.root,
        classes=classes,
        table=table,
        attributes={"domain": tree.domains},
        guesses=guesses,
        notes=tuple(notes),
    )


def _tree(root: Path) -> _Tree:
    for below in PLACES:
        names = subfolders(root, below) if (root / below).is_dir() else []
        domains = tuple(name for name in DOMAINS if name in names)
        if domains:
            break
    if len(domains) < 2:
        have = f"only the folder {domains[0]}" if domains else "no folder"
        raise ManifestError(
            f"folder {root} has {have} of PACS; legal are two or more of {', '.join(DOMAINS)} "
            "with a folder a class in each, as in photo/dog/1.jpg; other folders are read by: "
            "clarify data import folder"
        )
    others = tuple(name for name in names if name not in DOMAINS)
    return _Tree(root=root, below=below, domains=domains, others=others)


def _images(tree: _Tree) -> tuple[pl.DataFrame, int]:
    """Return path, label and domain of every image, and how many files are none."""
    rows, others = [], 0
    for domain in tree.domains:
        names = subfolders(tree.root, tree.inside(domain))
        if not names:
            raise ManifestError(
                f"folder {tree.root / tree.inside(domain)} has no folders in it; PACS has one a "
                f"class, as in {domain}/dog/1.jpg"
            )
        for name in names:
            found = walk(tree.root, tree.inside(f"{domain}/{name}"))
            others += found.others
            refuse_unread(tree.root, found.unread)
            rows += [(path, name, domain) for path in found.paths]
    return pl.DataFrame(
        rows, schema=dict.fromkeys(("path", "label", "domain"), pl.String), orient="row"
    ), others


def _lists_beside(tree: _Tree) -> Path | None:
    for below in dict.fromkeys(("", "splits", tree.below)):
        folder = tree.root / below
        if any((folder / f"{domain}_train_kfold.txt").is_file() for domain in tree.domains):
            return folder
    return None


def _with_lists(table: pl.DataFrame, tree: _Tree, folder: Path) -> tuple[pl.DataFrame, int]:
    """Give every image the split of its list; return how many are on none, and left out."""
    known = set(table["path"])
    split_of: dict[str, str] = {}
    for domain in tree.domains:
        for kind, split in LISTS.items():
            where = folder / f"{domain}_{kind}_kfold.txt"
            for number, path in _lines(where):
                name = tree.inside(path)
                if name not in known:
                    raise ManifestError(
                        f"list {where} line {number}: {shown(path)} is no image of "
                        f"{tree.root / tree.below}; give the lists of these images"
                    )
                if split_of.setdefault(name, split) != split:
                    raise ManifestError(
                        f"list {where} line {number}: {shown(path)} is in the list of "
                        f"{split_of[name]} too; an image has one split"
                    )
    split_column = pl.col("path").replace_strict(split_of, default=None, return_dtype=pl.String)
    listed = table.with_columns(split_column.alias("split")).drop_nulls("split")
    return listed, table.height - listed.height


def _lines(where: Path) -> list[tuple[int, str]]:
    """Return number and path of each line: a path, and its label's number, which is not needed."""
    try:
        lines = where.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise ManifestError(
            f"list {where} does not exist; PACS has DOMAIN_train_kfold.txt and "
            "DOMAIN_crossval_kfold.txt for each domain: put them there, or give --lists FOLDER"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"list {where} cannot be read as text: {error}") from None
    return [(n, line.rsplit(maxsplit=1)[0]) for n, line in enumerate(lines, 1) if line.strip()]


def _holding_out(table: pl.DataFrame, domain: str) -> pl.DataFrame:
    rest = pl.col("split") if "split" in table.columns else pl.lit("train")
    chosen = pl.when(pl.col("domain") == domain).then(pl.lit("test")).otherwise(rest)
    return table.with_columns(chosen.alias("split"))
