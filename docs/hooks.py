"""Pages of the documentation that are made of the source whenever it is built."""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import html
import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
DRAWN = {"clarify": ROOT / "clarify", "workflow": ROOT / "clarify" / "workflow"}
WIDTH = 84
"""Of a help text, in characters: what fits a page."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that nobody wrote, as mkdocs asks for them."""
    made = {
        "reference/commands.md": commands_page(),
        "reference/python.md": python_page(),
        "notebook.md": notebook_page(json.loads(NOTEBOOK.read_text(encoding="utf-8"))),
        **{f"explanation/{name}.svg": drawing(imports_of_parts(place)) for name, place in DRAWN.items()},
    }
    for place, content in made.items():
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the tables of imports where a page asks for one."""
    for name, place in DRAWN.items():
        asked = f"(table of {name})"
        if asked in markdown:
            markdown = markdown.replace(asked, imports_table(place))
    return markdown


@contextlib.contextmanager
def the_parser() -> Iterator[argparse.ArgumentParser]:
    """Yield the command line's parser, whose help is as wide as in a window of `WIDTH` characters."""
    from clarify.cli import _parser

    with mock.patch.dict(os.environ, {"COLUMNS": str(WIDTH)}):
        yield _parser(WIDTH)


def commands_page() -> str:
    """Return the help of every command that people are shown, in the order of the help."""
    text = [
        "# Commands",
        "Made of the command line itself when these pages are built. Exit status: 0 done; 1 refused, with "
        "one line on stderr that says why and what to do; 2 a wrong command line. The result goes to "
        "stdout, progress to stderr. A command that was interrupted is simply given again.",
    ]
    with the_parser() as parser:
        text.append(_block(parser))
        for name, command in commands(parser):
            text += [f"## clarify {name}", _block(command)]
    return "\n\n".join(text)


def commands(
    parser: argparse.ArgumentParser, before: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the commands of a parser that its help shows, by name; a group's own commands follow it."""
    shown = parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                if name in shown.split():
                    yield f"{before}{name}", command
                    yield from commands(command, f"{before}{name} ")


def commands_shown() -> list[str]:
    """Return the names of all commands that do something, without their groups."""
    with the_parser() as parser:
        return [name for name, command in commands(parser) if command.get_default("handler")]


def _block(parser: argparse.ArgumentParser) -> str:
    return f"```text\n{parser.format_help().rstrip()}\n```"


def python_page() -> str:
    """Return a page that shows every public name of the package."""
    import clarify

    names = sorted((name for name in clarify.__all__ if not name.startswith("__")), key=str.lower)
    return "\n\n".join(
        [
            "# The Python face",
            "What `import clarify` gives, made of the docstrings. Importing it loads nothing heavy. Whatever "
            "a user can cause is a `ClarifyError`, whose text is one line; [Trouble](../trouble.md) lists "
            "them. The [notebook](../notebook.md) shows all of it at work.",
            *(f"::: clarify.{name}" for name in names),
        ]
    )


def notebook_page(notebook: dict[str, object]) -> str:
    """Return a notebook as a page: its texts as they are, its code in blocks."""
    text = []
    for cell in notebook["cells"]:  # type: ignore[attr-defined]
        source = "".join(cell["source"])
        text.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    return "\n\n".join(text)


@functools.cache
def imports_of_parts(package: Path) -> dict[str, set[str]]:
    """Return by part of a package (a folder, or a file in it) the parts that it imports.

    ``served_images.py`` is left out: MLflow runs it by itself, so it ties the parts as a step does.
    """
    parts = {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
    parts |= {path.stem for path in package.glob("[!_]*.py")}
    found: dict[str, set[str]] = {part: set() for part in parts}
    prefix = ".".join([*package.relative_to(ROOT).parts, ""])
    for path in sorted(package.rglob("*.py")):
        own = path.relative_to(package).parts[0].removesuffix(".py")
        if own in found and path.name != "served_images.py":
            others = {name.removeprefix(prefix).split(".")[0] for name in _imported(path) if prefix in name}
            found[own] |= others & parts - {own}
    return found


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_table(package: Path) -> str:
    """Return a table of the parts of a package, the highest first: what each is and what it imports."""
    arrows = imports_of_parts(package)
    levels = heights(arrows)
    rows = ["| part | what it is | imports |", "|---|---|---|"]
    for part in sorted(arrows, key=lambda part: (-levels[part], part)):
        place = package / part / "__init__.py"
        what = ast.get_docstring(ast.parse((place if place.exists() else package / f"{part}.py").read_text()))
        rows.append(f"| `{part}` | {(what or '').splitlines()[0]} | {', '.join(sorted(arrows[part]))} |")
    return "\n".join(rows)


def heights(arrows: dict[str, set[str]]) -> dict[str, int]:
    """Return how far above the ground each part stands: one more than the highest that it imports."""

    @functools.cache
    def height(part: str) -> int:
        return max((height(below) + 1 for below in arrows[part]), default=0)

    return {part: height(part) for part in arrows}


def needed(arrows: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Return the arrows that no longer way says as well."""

    @functools.cache
    def below(part: str) -> frozenset[str]:
        return frozenset(arrows[part]).union(*(below(each) for each in arrows[part]))

    return {
        (part, each)
        for part, imported in arrows.items()
        for each in imported
        if not any(each in below(other) for other in imported)
    }


def drawing(arrows: dict[str, set[str]]) -> str:
    """Draw the parts as SVG, each above all that it imports."""
    wide, high, across, down = 110, 34, 140, 84
    levels = heights(arrows)
    top = max(levels.values())
    rows: list[list[str]] = [sorted(p for p in levels if levels[p] == top - k) for k in range(top + 1)]
    most = max(len(row) for row in rows)
    place = {
        part: ((most - len(row)) * across / 2 + k * across + across / 2, row_number * down + 30)
        for row_number, row in enumerate(rows)
        for k, part in enumerate(row)
    }
    lines = [
        f'<path d="M{x} {y + high / 2} C{x} {y + down * 0.7} {u} {v - down * 0.7} {u} {v - high / 2 - 3}" '
        'fill="none" stroke="#8a9099" marker-end="url(#tip)"/>'
        for (x, y), (u, v) in ((place[a], place[b]) for a, b in sorted(needed(arrows)))
    ]
    boxes = [
        f'<rect x="{x - wide / 2}" y="{y - high / 2}" width="{wide}" height="{high}" rx="6" fill="#fff" '
        f'stroke="#0072B2"/><text x="{x}" y="{y + 4.5}">{html.escape(part)}</text>'
        for part, (x, y) in place.items()
    ]
    width, height = most * across, len(rows) * down
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="13" text-anchor="middle"><title>Who imports whom</title>'
        '<marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#8a9099"/></marker>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(lines)}{"".join(boxes)}</svg>'
    )
