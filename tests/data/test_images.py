"""Images: upright, on white, and every broken file told apart."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clarify.data.images import BadImage, decodable, grid, load_image, read_kind
from clarify.errors import InputError
from tests.data.pictures import chunk, picture, png

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
    assert "more than 89478485" in reason(path)


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


def seen(path: Path, content: bytes, pixels: int = 1) -> list[object]:
    path.write_bytes(content)
    image = load_image(path)
    assert image.mode == "RGB"
    return [image.getpixel((x, 0)) for x in range(pixels)]


def test_colours_of_16_bits_keep_their_shades(tmp_path: Path) -> None:
    row = b"\0" + struct.pack(">HHHHHH", 0xFFFF, 0x8000, 0, 0, 0x0100, 0xFFFF)
    assert seen(tmp_path / "a.png", png(2, 16, 2, 1, row), 2) == [(255, 128, 0), (0, 1, 255)]


def test_a_transparent_shade_of_16_bit_grey_is_seen_on_white(tmp_path: Path) -> None:
    row = b"\0" + struct.pack(">HH", 0x1234, 0x5678)
    content = png(0, 16, 2, 1, row, chunk(b"tRNS", struct.pack(">H", 0x1234)))
    assert seen(tmp_path / "a.png", content, 2) == [(255,) * 3, (0x56,) * 3]


def test_grey_of_16_bits_with_alpha_is_seen_on_white(tmp_path: Path) -> None:
    row = b"\0" + struct.pack(">HHHH", 0x8000, 0xFFFF, 0, 0)
    assert seen(tmp_path / "a.png", png(4, 16, 2, 1, row), 2) == [(128,) * 3, (255,) * 3]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pgm", b"P5 2 1 65535\n" + struct.pack(">HH", 0x8000, 0xFFFF)),
        ("a.ppm", b"P6 2 1 65535\n" + struct.pack(">HHHHHH", *[0x8000] * 3, *[0xFFFF] * 3)),
    ],
)
def test_a_portable_map_of_16_bits_keeps_its_shades(tmp_path: Path, name: str, content: bytes) -> None:
    assert seen(tmp_path / name, content, 2) == [(128,) * 3, (255,) * 3]


def test_grey_of_16_bits_is_read_in_both_byte_orders(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 0x8001, dtype=">u2")).save(tmp_path / "big.tif")
    Image.fromarray(np.full((2, 2), 0x8001, dtype="<u2")).save(tmp_path / "little.tif")
    for name in ("big.tif", "little.tif"):
        assert load_image(tmp_path / name).getpixel((0, 0)) == (128,) * 3


@pytest.mark.parametrize("mode", ["F", "I"])
def test_numbers_of_unknown_range_are_refused_rather_than_shown_black(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (2, 2)).save(tmp_path / "a.tif")
    assert "32-bit numbers" in reason(tmp_path / "a.tif")


def without_adobes_mark(content: bytes) -> bytes:
    start = content.index(b"\xff\xee")
    length = int.from_bytes(content[start + 2 : start + 4])
    return content[:start] + content[start + 2 + length :]


def test_inks_are_seen_as_colours_whether_adobe_inverted_them_or_not(tmp_path: Path) -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red.save(tmp_path / "adobe.jpg", quality=95)
    inverted = Image.new("CMYK", (16, 16), (255, 0, 0, 255))
    inverted.save(tmp_path / "plain.jpg", quality=95)
    plain = without_adobes_mark((tmp_path / "plain.jpg").read_bytes())
    (tmp_path / "plain.jpg").write_bytes(plain)
    red.save(tmp_path / "a.tif")
    for name in ("adobe.jpg", "plain.jpg", "a.tif"):
        assert np.abs(np.subtract(load_image(tmp_path / name).getpixel((8, 8)), RED)).max() < 8


def test_a_palette_with_half_transparent_colours_is_seen_on_white(tmp_path: Path) -> None:
    more = chunk(b"PLTE", bytes([0, 0, 0, 255, 0, 0])) + chunk(b"tRNS", bytes([128]))
    content = png(3, 8, 2, 1, b"\0\0\1", more)
    assert seen(tmp_path / "a.png", content, 2) == [(127,) * 3, RED]


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tif"])
def test_of_an_animation_the_first_picture_is_seen(tmp_path: Path, kind: str) -> None:
    first, second = Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), GREEN)
    path = tmp_path / f"a.{kind}"
    lossless = {"lossless": True} if kind == "webp" else {}
    first.save(path, save_all=True, append_images=[second], **lossless)
    with Image.open(path) as image:
        assert image.n_frames == 2
    assert load_image(path).getpixel((8, 8)) == RED


def test_a_progressive_jpeg_is_read(tmp_path: Path) -> None:
    two_coloured(32, 32).save(tmp_path / "a.jpg", progressive=True)
    with Image.open(tmp_path / "a.jpg") as image:
        assert "progressive" in image.info
    assert np.abs(np.subtract(load_image(tmp_path / "a.jpg").getpixel((4, 16)), RED)).max() < 40


@pytest.mark.parametrize("size", [(100_000, 1), (1, 100_000), (1, 1)])
def test_pictures_of_extreme_shapes_are_read_fitted_and_drawn(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", size, RED).save(path)
    assert load_image(path).size == size
    fitted = load_image(path, side=256)
    assert fitted.size == tuple(min(256, length) for length in size)
    cell = np.asarray(grid([path], [False], columns=1, size=40))
    assert (cell == RED).all(axis=2).any()


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("size", [(500, 375), (375, 500), (1600, 1200), (257, 10), (200, 100)])
def test_a_fitted_image_has_its_longer_side_as_asked_and_looks_the_same(
    tmp_path: Path, kind: str, size: tuple[int, int]
) -> None:
    path = tmp_path / f"a.{kind}"
    picture(0, size).save(path)
    fitted = load_image(path, side=256)
    scale = min(1.0, 256 / max(size))
    assert fitted.size == (round(size[0] * scale), round(size[1] * scale))
    whole = load_image(path).resize(fitted.size, Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(fitted, dtype=int) - np.asarray(whole, dtype=int)).mean() < 3


def test_a_fitted_image_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    two_coloured(800, 400).save(tmp_path / "a.jpg", exif=exif)
    fitted = load_image(tmp_path / "a.jpg", side=256)
    assert fitted.size == (128, 256)
    assert np.abs(np.subtract(fitted.getpixel((64, 20)), RED)).max() < 20


def test_a_bomb_of_many_rows_takes_no_memory_to_refuse(tmp_path: Path) -> None:
    # A header of a million by a million, and a terabyte of zeros that nobody will unpack.
    (tmp_path / "a.png").write_bytes(png(2, 8, 1_000_000, 1_000_000, b"\0" * 1000))
    assert reason(tmp_path / "a.png") == "1000000000000 pixels, more than 89478485 allowed"


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "pipe.jpg") == "is a pipe or a device, not a file"
    assert reason(Path("/dev/null")) == "is a pipe or a device, not a file"
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nothing.jpg")
    assert reason(tmp_path / "lost.jpg") == "is a link to nothing"
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert reason(tmp_path / "loop.jpg").startswith("cannot be opened")


def test_links_may_not_lead_out_of_the_root_but_within_it_they_may(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    picture(0).save(tmp_path / "secret.png")
    picture(1).save(root / "own.png")
    (root / "out.png").symlink_to(tmp_path / "secret.png")
    (root / "up").symlink_to(tmp_path)
    (root / "in.png").symlink_to("own.png")
    (tmp_path / "linked").symlink_to(root)
    assert load_image(root / "in.png", inside=root).size == (24, 16)
    assert load_image(tmp_path / "linked/in.png", inside=tmp_path / "linked").size == (24, 16)
    for path in (root / "out.png", root / "up/secret.png", root / "../secret.png"):
        assert load_image(path).size == (24, 16)
        for read in (load_image, read_kind):
            with pytest.raises(BadImage, match="leads out of the root"):
                read(path, inside=root)


def test_a_neighbour_whose_name_begins_like_the_root_is_outside(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root2").mkdir()
    picture(0).save(tmp_path / "root2/a.png")
    with pytest.raises(BadImage, match="leads out"):
        load_image(tmp_path / "root/../root2/a.png", inside=tmp_path / "root")


def test_a_kind_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.jpg", format="PNG")
    assert read_kind(tmp_path / "a.jpg") == "PNG"


def test_a_grid_draws_what_it_is_given_to_read_with(tmp_path: Path) -> None:
    sheet = grid([tmp_path / "a"], [False], 1, 20, read=lambda path: Image.new("RGB", (9, 9), RED))
    assert sheet.getpixel((15, 15)) == RED


@pytest.mark.parametrize("ending", ["heic", "avif"])
def test_heic_and_avif_are_read_like_any_other(tmp_path: Path, ending: str) -> None:
    decodable()  # HEIC is written by the same plug-in
    two_coloured(64, 32).save(tmp_path / f"a.{ending}", quality=100)
    seen = np.asarray(load_image(tmp_path / f"a.{ending}"))
    assert seen.shape == (32, 64, 3)
    assert np.abs(seen[8, 8] - np.array(RED)).max() < 12
    assert read_kind(tmp_path / f"a.{ending}") == {"heic": "HEIF", "avif": "AVIF"}[ending]
    assert "pixels, more than 100 allowed" in reason(tmp_path / f"a.{ending}", 100)


def test_without_the_plug_in_heic_is_named_and_so_is_what_to_do(tmp_path: Path) -> None:
    decodable()
    for name in ("a/1.heic", "b/2.heic", "b/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        two_coloured(64, 32).save(tmp_path / name)
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from pathlib import Path\n"
        "from clarify.data.images import load_image\n"
        "from clarify.data.sources.folder import list_folder\n"
        "for use, name in ((load_image, 'a/1.heic'), (list_folder, '.')):\n"
        "    try:\n"
        "        use(Path(name))\n"
        "    except Exception as error:\n"
        "        print(error)\n"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    image, folder = done.stdout.splitlines()
    assert "is HEIF, which is not read here; give: pip install 'clarify[images]'" in image
    assert "2 of its images are HEIC or AVIF, which are not read here, such as 'a/1.heic'" in folder
