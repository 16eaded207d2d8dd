"""The commands that hand things on: `clarify export` and `clarify import`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.cli.shell import Commands, Shell, bar
from clarify.cli.words import left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clarify.workflow.exchange.bundle import Bundled
    from clarify.workflow.exchange.export import Onnx, Tabled
    from clarify.workflow.exchange.forms import Handed
    from clarify.workflow.exchange.unbundle import ImportedBundle
    from clarify.workflow.model.project import Workspace

__all__ = ["add_export", "add_import"]

ASKED = {
    "out": "FILE",
    "links": "DIR",
    "pictures": "FILE",
    "webdataset": "FILE",
    "coco": "FILE",
    "label_studio": "FILE",
    "weights": "FILE",
    "bundle": "FILE",
    "onnx": "FILE",
}
"""The options that say to what, and what each takes, in the order of the help."""

OF_IMAGES = ASKED.keys() - {"bundle", "onnx"}


def _export(shell: Shell) -> None:
    """Hand on the described images, or all of a data set, in a bundle."""
    places = _places(shell)  # before the encoder is loaded
    project = shell.project()
    result: dict[str, Any] = {"data_set": project.manifest.name}
    told: list[str] = []

    def tell(name: str, written: Any, line: str) -> None:
        result[name] = _plain(written)
        told.append(line)

    if places.keys() & OF_IMAGES:
        result["left_out"] = _export_images(shell, project, places, tell)
    if "bundle" in places:
        from clarify.workflow.exchange.bundle import export_bundle

        with bar(f"bundle {project.manifest.name}", unit="file") as move:
            made = export_bundle(project, places["bundle"], progress=move)
        tell("bundle", made, _bundled(made))
    if "onnx" in places:
        from clarify.workflow.exchange.export import export_onnx

        onnx = export_onnx(project, shell.args.model, places["onnx"])
        tell("onnx", onnx, _as_onnx(onnx))
    shell.answer(result, "\n".join([*told, *left_out(result.get("left_out", []))]))


def _places(shell: Shell) -> dict[str, Path]:
    """Return where each thing goes that is asked for; InputError if it cannot, or nothing is."""
    from clarify.errors import InputError
    from clarify.workflow.exchange import bundle, export
    from clarify.workflow.exchange.forms import FORMS
    from clarify.workflow.exchange.predict import output_file

    places = {name: Path(place) for name in ASKED if (place := getattr(shell.args, name))}
    if not places:
        *first, last = (f"--{name.replace('_', '-')} {what}" for name, what in ASKED.items())
        raise InputError(f"export to what? give {', '.join(first)} or {last}")
    endings = {name: form.endings for name, form in FORMS.items()}
    endings |= {"out": export.ENDINGS, "weights": export.ENDINGS}
    endings |= {"bundle": bundle.ENDINGS, "onnx": (".onnx",)}
    for name, place in places.items():
        if name == "links":
            export.new_folder(place)
        else:
            output_file(place, endings[name])
    return places


def _export_images(
    shell: Shell, project: Workspace, places: Mapping[str, Path], tell: Callable[[str, Any, str], None]
) -> list[str]:
    """Hand on the described images in each form that is asked for; return what is in none of them."""
    from clarify.workflow.exchange import export
    from clarify.workflow.exchange.forms import FORMS, hand_on
    from clarify.workflow.exchange.sampler import sampler_weights, write_weights
    from clarify.workflow.model.models import open_model

    args = shell.args
    model = open_model(project, args.model)
    if "weights" in places:
        weights = write_weights(project, sampler_weights(project, model, args.description), places["weights"])
        tell("weights", weights, _handed(weights, "what to draw training images with"))
    if places.keys() <= {"weights", "bundle", "onnx"}:
        return []
    table = export.described_images(project, model, args.description, args.split)
    if "out" in places:
        written = export.write_table(places["out"], table)
        tell("table", written, _tabled(written))
    if "links" in places:
        linked = export.link_images(places["links"], table)
        tell("links", linked, f"{linked.links:,} links to images in {linked.folder}")
    for name, form in FORMS.items():
        if name in places:
            handed = hand_on(project, table, name, places[name])
            tell(name, handed, _handed(handed, form.what))
    return list(export.left_out(project, table, args.split))


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


def _handed(found: Handed, what: str) -> str:
    """Tell what a file for another tool holds, and what it lacks."""
    count = f"{len(found.left_out):,}" if found.left_out else "nothing"
    first = f"{found.rows:,} rows in {found.path}: {what}; {count} left out"
    return "\n".join([first, *left_out(found.left_out)])


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
    command.takes("--pictures FILE", "the same table with the pictures in it: .parquet")
    command.takes("--webdataset FILE", "them as a webdataset's shard: .tar")
    command.takes("--coco FILE", "them as COCO's JSON, a category a half: .json")
    command.takes(
        "--label-studio FILE", "them as Label Studio's tasks: .json, with the labeling interface beside it"
    )
    command.takes(
        "--weights FILE",
        "for your own training: what to draw each training image with, so that every described half comes up "
        "alike: .csv or .parquet",
    )
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
