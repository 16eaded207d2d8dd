"""The command that predicts any images: `clarify predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.cli.shell import Commands, Shell, bar
from clarify.cli.words import left_out, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.workflow.exchange.predict import Answered, Written

__all__ = ["add_predict"]


def _predict(shell: Shell) -> None:
    """Predict any images with the champion, or another model."""
    from clarify.workflow.exchange import predict as steps

    args = shell.args
    if args.out:  # before the encoder is loaded
        steps.output_file(Path(args.out), steps.FORMATS)
    paths = _paths(args.images, args.folder, args.listed)
    project = shell.project()
    model = steps.chosen_model(project, args.model)
    result: dict[str, Any] = {"model": model.run_id, "name": model.name}
    with bar("predict") as move:
        found = steps.predict(project, model, paths, workers=shell.settings.workers, progress=move)
        if not args.out:
            answered = list(found)
            steps.refuse_all_bad(
                sum(len(each.paths) for each in answered), [bad for each in answered for bad in each.bad]
            )
        else:
            written = steps.write_predictions(Path(args.out), found)
    if args.out:
        bad = _bad_images(written.bad)
        result |= {"images": written.images, "out": str(written.path), "left_out": bad}
        shell.answer(result, _written(written))
    else:
        shell.answer(result | _rows(answered), _predictions(answered))
        bad = _bad_images(each for one in answered for each in one.bad)
    if bad:
        shell.say(f"note: {len(bad):,} of {len(paths):,} images cannot be read and are left out")


def _paths(images: list[str], folder: str | None, listed: str | None) -> list[Path]:
    from clarify.errors import InputError
    from clarify.workflow.exchange.predict import images_in, listed_images

    if bool(images) + (folder is not None) + (listed is not None) != 1:
        raise InputError("which images? give their paths, or --folder DIR, or --from FILE")
    if folder is not None:
        return images_in(Path(folder))
    return listed_images(Path(listed)) if listed is not None else [Path(each) for each in images]


def _rows(answered: list[Answered]) -> dict[str, Any]:
    return {
        "images": [row for each in answered for row in each.table().to_dicts()],
        "left_out": _bad_images(bad for each in answered for bad in each.bad),
    }


def _bad_images(bad: Any) -> list[dict[str, str]]:
    return [{"path": str(each.path), "reason": each.reason} for each in bad]


def _predictions(found: Sequence[Answered]) -> str:
    """Tell each image's label."""
    lines = []
    for each in found:
        for path, row in zip(each.paths, each.probabilities, strict=True):
            best = int(row.argmax())
            lines.append(f"{each.class_names[best]}  {percent(float(row[best]))}  {path}")
    bad = [f"{one.path}: {one.reason}" for each in found for one in each.bad]
    return "\n".join([*lines, *left_out(bad)])


def _written(found: Written) -> str:
    """Tell how many predictions a file has."""
    bad = [f"{each.path}: {each.reason}" for each in found.bad]
    return "\n".join([f"{found.images:,} images predicted, in {found.path}", *left_out(bad)])


def add_predict(commands: Commands) -> None:
    """Add ``predict``."""
    command = commands.add(
        "predict", _predict, "predict rendered-waterbirds --folder new-birds --out predictions.csv"
    )
    command.takes("images IMAGE", "image files", nargs="*")
    command.takes("--folder DIR", "all images below a folder")
    command.takes(
        "--from FILE", "a text file of paths, one a line, relative ones to its folder", dest="listed"
    )
    command.takes(
        "--model RUN_OR_ALIAS",
        "a run, or its first characters, or an alias in the registry (default: champion)",
    )
    command.takes("--out FILE", "write them to a .csv, .jsonl or .parquet")
