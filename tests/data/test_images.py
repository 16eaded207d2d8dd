"""Images: upright, on white, and every broken file told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clarify.data.images import BadImage, grid, load_image
from clarify.errors import InputError

RED, GREEN = (255, 0, 0), (0, 128, 0)


def two_coloured(width: int = 8, height: int = 4) -> Image.Image:
    """Left half red, right half green."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height))
    return image


def reason(path: Path, max_pixels: int | None = None) -> str:
    with pytest.raises(BadImage) as caught:
        load_image(path) if max_pixels is None else load_image(path, max_pixels=max_pixels)
    assert caught.value.path == path
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return caught.value.reason


def test_an_image_is_read_as_rgb(tmp_path: Path) -> None:
    two_coloured().save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    assert (image.mode, image.size) == ("RGB", (8, 4))
    assert image.getpixel((0, 0)) == RED
    assert image.getpixel((7, 0)) == GREEN


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "gif", "bmp", "tif", "ppm"])
def test_every_known_kind_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    two_coloured(32, 32).save(path)
    assert np.abs(np.subtract(load_image(path).getpixel((4, 16)), RED)).max() < 40


# Where the stored top left pixel is to be seen, by the EXIF standard (tag 0x0112).
@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [
        (1, (8, 4), (0, 2)),
        (2, (8, 4), (7, 2)),
        (3, (8, 4), (7, 2)),
        (4, (8, 4), (0, 2)),
        (5, (4, 8), (2, 0)),
        (6, (4, 8), (2, 0)),
        (7, (4, 8), (2, 7)),
        (8, (4, 8), (2, 7)),
    ],
)
def test_an_image_is_turned_upright_as_its_exif_says(
    tmp_path: Path, orientation: int, size: tuple[int, int], red_at: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    two_coloured().save(tmp_path / "a.png", exif=exif)
    image = load_image(tmp_path / "a.png")
    assert image.size == size
    assert image.getpixel(red_at) == RED
    opposite = (size[0] - 1 - red_at[0], size[1] - 1 - red_at[1])
    assert image.getpixel(opposite) == GREEN


# Pillow warns of it while it reads the resolution; here warnings are errors.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_block_does_not_cost_the_image(tmp_path: Path) -> None:
    two_coloured(32, 32).save(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")
    assert load_image(tmp_path / "a.jpg").size == (32, 32)


def test_transparent_parts_are_seen_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 255))
    image.putpixel((2, 0), (0, 0, 0, 128))
    image.save(tmp_path / "a.png")
    seen = load_image(tmp_path / "a.png")
    assert [seen.getpixel((x, 0)) for x in range(3)] == [(255, 255, 255), RED, (127, 127, 127)]


def test_a_palette_with_a_transparent_colour_is_seen_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.gif", transparency=0)
    seen = load_image(tmp_path / "a.gif")
    assert [seen.getpixel((x, 0)) for x in range(2)] == [(255, 255, 255), RED]


def test_grey_of_16_bits_keeps_its_shades(tmp_path: Path) -> None:
    ramp = np.array([[0, 128 * 256, 255 * 256 + 255]], dtype=np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    seen = load_image(tmp_path / "a.png")
    assert [seen.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128,) * 3, (255,) * 3]


def test_every_kind_of_bad_file_is_told_apart(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello, I am no image")
    (tmp_path / "folder.jpg").mkdir()
    assert "truncated" in reason(cut)
    assert reason(tmp_path / "empty.jpg") == "the file is empty"
    assert "not an image of a known kind" in reason(tmp_path / "text.jpg")
    assert reason(tmp_path / "folder.jpg") == "is a folder"
    assert reason(tmp_path / "absent.jpg") == "there is no such file"


def test_formats_that_start_programs_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EOF\n")
    assert "not an image of a known kind" in reason(tmp_path / "a.eps")


def test_a_bomb_is_refused_by_its_header_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("L", (3000, 2000)).save(path)
    # Only the header is left: decoding would fail, refusing does not need more.
    path.write_bytes(path.read_bytes()[:60])
    assert reason(path, max_pixels=5_999_999) == "3000 x 2000 pixels, more than 5999999 allowed"


def test_a_bomb_beyond_the_default_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(path)
    assert "more than 100000000" in reason(path)


def test_a_grid_marks_wrong_images_by_colour_and_corner_and_keeps_its_gaps(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (48, 48), (10, 20, 30)).save(path)
    sheet = grid([path, path, tmp_path / "absent.png"], [False, True, False], columns=2, size=48)
    assert sheet.size == (5 + 2 * 53, 5 + 2 * 53)
    pixels = np.asarray(sheet)
    assert (pixels[:5] == 255).all()
    assert (pixels[:, 53:58] == 255).all()
    right, wrong, bad = pixels[5:53, 5:53], pixels[5:53, 58:106], pixels[58:106, 5:53]
    assert (right == (10, 20, 30)).all()
    assert (wrong[0] == (0xD5, 0x5E, 0x00)).all()
    assert (wrong[:, -1] == (0xD5, 0x5E, 0x00)).all()
    assert tuple(wrong[5, 42]) == (0xD5, 0x5E, 0x00)
    assert tuple(wrong[5, 5]) == (10, 20, 30)
    assert (bad == 0xB0).all()


def test_a_grid_shows_whole_images_of_any_shape(tmp_path: Path) -> None:
    two_coloured(80, 20).save(tmp_path / "a.png")
    cell = np.asarray(grid([tmp_path / "a.png"], [False], columns=4, size=40))[5:45, 5:45]
    assert tuple(cell[20, 0]) == RED
    assert tuple(cell[20, 39]) == GREEN
    assert tuple(cell[0, 20]) == (255, 255, 255)


def test_a_grid_of_other_lengths_or_sizes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 images and 0 flags"):
        grid([tmp_path], [])
    with pytest.raises(InputError, match="0 columns"):
        grid([], [], columns=0)
    assert grid([], [], columns=3, size=20).size == (30, 30)
