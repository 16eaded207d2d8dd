"""The commands that hand things on: `clarify export` and `clarify import`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.cli.shell import Commands, Shell, bar
from clarify.cli.words import left_out

if TYPE_CHECKING:
    from clarify.workflow.exchange.bundle import Bundled
    from clarify.workflow.exchange.export import Onnx, Tabled
    from clarify.workflow.exchange.unbundle import ImportedBundle

__all__ = ["add_export", "add_import"]


def _export(shell: Shell) -> None:
    """Hand on the described images, or all of a data set, in a bundle."""
    from clarify.errors import InputError
    from clarify.workflow.exchange import bundle, export
    from clarify.workflow.exchange.predict import output_file
    from clarify.workflow.model.models import open_model

    args = shell.args
    if not (args.out or args.links or args.bundle or args.onnx):
        raise InputError("export to what? give --out FILE, --links DIR, --bundle FILE or --onnx FILE")
    if args.out:  # before the encoder is loaded
        output_file(Path(args.out), export.ENDINGS)
    if args.links:
        export.new_folder(Path(args.links))
    if args.bundle:
        output_file(Path(args.bundle), bundle.ENDINGS)
    if args.onnx:
        output_file(Path(args.onnx), (".onnx",))
    project = shell.project()
    result: dict[str, Any] = {"data_set": project.manifest.name}
    told = []
    if args.out or args.links:
        model = open_model(project, args.model)
        table = export.described_images(project, model, args.description, args.split)
    if args.out:
        written = export.write_table(Path(args.out), table)
        result["table"] = _plain(written)
        told.append(_tabled(written))
    if args.links:
        linked = export.link_images(Path(args.links), table)
        result["links"] = _plain(linked)
        told.append(f"{linked.links:,} links to images in {linked.folder}")
    if args.bundle:
        with bar(f"bundle {project.manifest.name}", unit="file") as move:
            made = bundle.export_bundle(project, Path(args.bundle), progress=move)
        result["bundle"] = _plain(made)
        told.append(_bundled(made))
    if args.onnx:
        onnx = export.export_onnx(project, args.model, Path(args.onnx))
        result["onnx"] = _plain(onnx)
        told.append(_as_onnx(onnx))
    shell.answer(result, "\n".join(told))


def _import(shell: Shell) -> None:
    """Take a bundle into the home."""
    from clarify.track.mlflow import TrackingStore
    from clarify.workflow.exchange.unbundle import import_bundle
    from clarify.workflow.home.probe import what_is_missing

    settings = shell.settings
    tracking = TrackingStore(settings.home, uri=settings.tracking_uri, say=shell.say)
    with bar("import", unit="file") as move:
        found = import_bundle(settings.home, Path(shell.args.file), tracking, progress=move)
    missing = what_is_missing(settings.home, found.name) if found.bridges else []
    result = _plain(found) | {"missing": missing}
    shell.answer(result, "\n".join([_imported(found), *(f"missing: {each}" for each in missing)]))


def _plain(result: Any) -> dict[str, Any]:
    """Return a result as values for JSON."""
    values = dataclasses.asdict(result)
    return {key: str(each) if isinstance(each, Path) else each for key, each in values.items()}


def _tabled(found: Tabled) -> str:
    return f"{found.rows:,} rows of {found.descriptions} described halves with and without, in {found.path}"


def _as_onnx(found: Onnx) -> str:
    return (
        f"{found.name} as ONNX in {found.path}, {found.size / 1e6:,.1f} MB; its logits are within "
        f"{found.apart:.1g} of the model's own"
    )


def _bundled(found: Bundled) -> str:
    """Tell what a bundle holds."""
    first = f"{_parts(found)} and {found.runs} runs, {found.size / 1e6:,.1f} MB, in {found.path}"
    return "\n".join([first, *left_out(found.left_out)])


def _imported(found: ImportedBundle) -> str:
    """Tell what an import brought."""
    known = f" ({found.known_runs} were here already)" if found.known_runs else ""
    return f"{_parts(found)} and {found.runs} runs{known}, now in {found.home}"


def _parts(found: Bundled | ImportedBundle) -> str:
    bridges = f", {found.bridges} bridges" if found.bridges else ""
    return (
        f"{found.name}: {found.images:,} images, {found.features} sets of features, "
        f"{found.encoders} imported encoders{bridges}"
    )


def add_export(commands: Commands) -> None:
    """Add ``export``."""
    command = commands.add(
        "export", _export, "export rendered-waterbirds --out described.csv --bundle birds.tar"
    )
    command.takes(
        "--description RUN",
        "a kept description's run; may be repeated (default: the best kept one of each class)",
        repeated=True,
    )
    command.takes("--split", "the images of one split (default: all)")
    command.takes("--out FILE", "a table of the described classes' images: .csv or .parquet")
    command.takes("--links DIR", "a new folder of links to them: CLASS/PHRASE/with/wrong/ID.png")
    command.takes(
        "--bundle FILE", "a .tar for another machine: manifest, images, features, imported encoders, runs"
    )
    command.takes(
        "--onnx FILE",
        "a model as one .onnx file: pictures in, logits and probabilities out; needs clarify[onnx]",
    )
    command.takes(
        "--model RUN",
        "a run or its first characters: of the base model that is described (default: newest); for "
        "--onnx of any model, or an alias (default: the champion)",
    )


def add_import(commands: Commands) -> None:
    """Add ``import``."""
    command = commands.add("import", _import, "import birds.tar --home /data/birds", data_set=False)
    command.takes("file FILE", "what export --bundle made")
