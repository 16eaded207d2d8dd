"""Image files of a data set, met by `data check`, shallow and deep."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from clarify.data.manifest import open_manifest
from tests.conftest import DATA_SET
from tests.data.pictures import png
from tests.malformed.case import Case

HEADERS = ["data", "check", DATA_SET]
DEEP = [*HEADERS, "--deep"]
Put = Callable[[Path], object]


def first(put: Put, command: list[str]) -> Callable[[Path, Path], list[str]]:
    """The first image of the data set replaced."""

    def make(home: Path, outside: Path) -> list[str]:
        path = open_manifest(home, DATA_SET).paths("train")[0]
        path.unlink()
        put(path)
        return command

    return make


def content(data: bytes) -> Put:
    return lambda path: path.write_bytes(data)


def encoded(kind: str, size: tuple[int, int] = (64, 64), mode: str = "RGB") -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, kind)
    return file.getvalue()


def link(target: str) -> Put:
    return lambda path: path.symlink_to(target)


def leak(home: Path, outside: Path) -> list[str]:
    manifest = open_manifest(home, DATA_SET)
    there = manifest.paths("test")[0]
    there.unlink()
    shutil.copy(manifest.paths("train")[0], there)
    return HEADERS


def leak_under_another_name(home: Path, outside: Path) -> list[str]:
    return [*leak(home, outside), "--deep"]


def no_images(home: Path, outside: Path) -> list[str]:
    shutil.rmtree(home / "images" / DATA_SET)
    return HEADERS


def folder_out(home: Path, outside: Path) -> list[str]:
    images = home / "images" / DATA_SET
    split = next(path for path in sorted(images.iterdir()) if path.is_dir())
    shutil.move(split, outside / "moved")
    split.symlink_to(outside / "moved")
    return HEADERS


ONE = r"is not fine: 1 wrong images, 0 in two splits"
SHALLOW = [
    ("an image that is gone", lambda path: None),
    ("an empty file", content(b"")),
    ("a file of one byte", content(b"\xff")),
    ("a file of zeros", content(b"\x00" * 5000)),
    ("text", content(b"this is no image at all\n" * 20)),
    ("a web page", content(b"<!DOCTYPE html><html><body>404 Not Found</body></html>")),
    ("a drawing in SVG", content(b'<svg xmlns="http://www.w3.org/2000/svg" width="9"/>')),
    ("PostScript", content(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EOF\n")),
    ("a PDF", content(b"%PDF-1.4\n%%EOF\n")),
    ("a zip", content(b"PK\x03\x04" + b"\x00" * 60)),
    ("the first bytes of a JPEG", content(b"\xff\xd8\xff\xe0")),
    ("the first bytes of a PNG", content(b"\x89PNG\r\n\x1a\n")),
    ("a PNG cut in its header", content(encoded("PNG")[:20])),
    ("a GIF cut in its header", content(b"GIF89a\x01")),
    ("a WebP cut in its header", content(encoded("WEBP")[:14])),
    ("a TIFF cut in its header", content(b"II*\x00\x08\x00")),
    ("a folder by an image's name", Path.mkdir),
    ("a pipe by an image's name", os.mkfifo),
    ("a link to nothing", link("nothing.png")),
    ("a link to itself", lambda path: path.symlink_to(path.name)),
    ("a link to a secret", link("/etc/passwd")),
    ("a link to a device", link("/dev/zero")),
    ("a bomb of 1.6 billion pixels", content(png(0, 1, 40_000, 40_000, b"\0" * 5001))),
]
UNDER_THE_SURFACE = [
    ("a PNG cut in its pixels", content(encoded("PNG")[:6000])),
    ("a JPEG cut in its pixels", content(encoded("JPEG")[:1500])),
    ("a BMP cut in its pixels", content(encoded("BMP")[:3000])),
    (
        "a PNG with pixels overwritten",
        content((lambda data: data[:200] + b"\x00" * 4000 + data[4200:])(encoded("PNG"))),
    ),
    ("a TIFF of fractions", lambda path: Image.new("F", (9, 9)).save(path, "TIFF")),
]
CASES = [Case(name=name, make=first(put, HEADERS), expected=ONE, answers=True) for name, put in SHALLOW]
CASES += [
    Case(name=f"{name}, with --deep", make=first(put, DEEP), expected=ONE, answers=True)
    for name, put in (*SHALLOW[:5], *SHALLOW[16:], *UNDER_THE_SURFACE)
]
CASES += [
    Case(
        name="the same file in two splits",
        make=leak,
        answers=True,
        expected="0 wrong images, 1 in two splits",
    ),
    Case(
        name="the same file in two splits, with --deep",
        make=leak_under_another_name,
        answers=True,
        expected="0 wrong images, 1 in two splits",
    ),
    Case(name="no images at all", make=no_images, answers=True, expected="848 wrong images"),
    Case(
        name="a folder that is a link out of the root",
        make=folder_out,
        answers=True,
        expected=r"is not fine: \d+ wrong images",
    ),
]
