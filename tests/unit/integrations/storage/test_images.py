"""Images: smaller, upright, clean, and never a bomb."""

import asyncio
import contextlib
import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from shared.errors import InvalidArgumentError, PayloadTooLargeError, UnsupportedMediaTypeError
from shared.integrations.storage import ImageOptimizer, optimize_image

SECRET = b"52.5200 N 13.4050 E"


def made(size=(60, 40), *, kind="JPEG", mode="RGB", colour="navy", **options):
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, kind, **options)
    return file.getvalue()


def opened(found):
    image = Image.open(io.BytesIO(found.data))
    image.load()
    return image


def bomb(width, height):
    """A PNG of a few hundred bytes that says it is this large, and is."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\x00" * 1000))
        + chunk(b"IEND", b"")
    )


def test_an_image_is_made_to_fit_in_its_proportions():
    found = optimize_image(made((4000, 1000)), max_width=400, max_height=400)

    assert (found.width, found.height) == (400, 100) == opened(found).size


def test_a_small_image_is_not_enlarged():
    found = optimize_image(made((30, 20)), max_width=400)

    assert (found.width, found.height) == (30, 20)


@pytest.mark.parametrize("output", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_every_format_is_written(output):
    found = optimize_image(made(), output=output)

    assert opened(found).format == output
    assert found.content_type == f"image/{output.lower()}"


def test_the_format_stays_without_another():
    assert optimize_image(made(kind="PNG")).content_type == "image/png"


def test_an_image_on_its_side_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6

    found = optimize_image(made((600, 400), exif=exif.tobytes()), max_width=200, max_height=600)

    assert (found.width, found.height) == (200, 300)
    assert opened(found).getexif() == {}


def test_positions_cameras_and_comments_are_gone():
    exif = Image.Exif()
    exif[0x010F] = SECRET.decode()
    jpeg = made(exif=exif.tobytes(), comment=SECRET, xmp=b"<x>" + SECRET + b"</x>")
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    png = made(kind="PNG", pnginfo=text, exif=exif.tobytes())
    webp = made(kind="WEBP", exif=exif.tobytes(), xmp=SECRET)
    assert all(SECRET in data for data in (jpeg, png, webp))

    for data in (jpeg, png, webp):
        for output in (None, "JPEG", "PNG", "WEBP"):
            assert SECRET not in optimize_image(data, output=output).data


def test_what_is_behind_the_end_is_gone():
    assert b"<?php" not in optimize_image(made() + b"<?php system($_GET[0]);").data


def test_colours_of_a_profile_are_kept_without_the_profile():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    found = opened(optimize_image(made(kind="PNG", icc_profile=profile, colour=(200, 30, 40))))

    assert "icc_profile" not in found.info
    assert all(abs(a - b) <= 3 for a, b in zip(found.getpixel((0, 0)), (200, 30, 40), strict=True))


def test_a_damaged_profile_does_not_cost_the_image():
    assert optimize_image(made(kind="PNG", icc_profile=b"nonsense")).width == 60


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_is_written_to_every_format(mode):
    data = made(kind="PNG", mode=mode, colour=1)

    for output in ("JPEG", "PNG", "WEBP"):
        assert optimize_image(data, output=output).width == 60


def test_ink_colours_are_brought_to_the_screen():
    found = optimize_image(made(mode="CMYK", colour=(0, 255, 255, 0)), output="PNG")

    red, green, blue = opened(found).getpixel((0, 0))
    assert red > 150 > max(green, blue)


def test_what_is_transparent_is_put_on_the_background():
    data = made(kind="PNG", mode="RGBA", colour=(0, 0, 0, 0))

    assert opened(optimize_image(data, output="JPEG")).getpixel((5, 5)) == (255, 255, 255)
    assert opened(optimize_image(data)).getpixel((5, 5))[3] == 0


def test_an_animation_becomes_its_first_frame():
    file = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])

    assert getattr(opened(optimize_image(file.getvalue())), "n_frames", 1) == 1


def test_a_bomb_is_refused_before_it_is_unpacked():
    data = bomb(50_000, 50_000)
    assert len(data) < 2000

    with pytest.raises(PayloadTooLargeError, match="pixels"):
        optimize_image(data)
    with pytest.raises(PayloadTooLargeError, match="8000 x 8000 is more than 50000000 pixels"):
        optimize_image(bomb(8000, 8000))


def test_a_file_that_is_too_large_is_refused():
    with pytest.raises(PayloadTooLargeError, match="at most 10 are read"):
        optimize_image(made(), max_bytes=10)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"<svg/>", made()[:200], bomb(100, 100)[:60], b"%!PS-Adobe-3.0 EPSF\n"],
    ids=["empty", "text", "svg", "cut", "cut-png", "postscript"],
)
def test_what_is_no_image_is_refused(data):
    with pytest.raises(UnsupportedMediaTypeError):
        optimize_image(data)


def test_formats_that_are_not_listed_are_not_even_parsed():
    with pytest.raises(UnsupportedMediaTypeError, match="JPEG, PNG, WEBP"):
        optimize_image(made(kind="TIFF"))
    with pytest.raises(UnsupportedMediaTypeError):
        optimize_image(made(kind="PNG"), formats=["JPEG"])


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 0},
        {"quality": 96},
        {"max_width": 0},
        {"formats": []},
        {"formats": ["EPS"]},
        {"output": "TIFF"},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InvalidArgumentError):
        ImageOptimizer(**options)


async def test_the_event_loop_goes_on_while_an_image_is_worked_on():
    optimizer = ImageOptimizer(max_width=300)
    beats = 0

    async def beat():
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    heart = asyncio.create_task(beat())
    found = await asyncio.gather(*(optimizer.aoptimize(made((3000, 2000), kind="PNG")) for _ in range(3)))
    heart.cancel()

    assert [one.width for one in found] == [300] * 3
    assert beats > 3


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=300), st.integers(0, 200), st.sampled_from(["JPEG", "PNG", "WEBP"]))
def test_damage_of_any_kind_gives_an_error_of_ours(noise, at, kind):
    data = bytearray(made((16, 16), kind=kind))
    data[at : at + len(noise)] = noise

    with contextlib.suppress(PayloadTooLargeError, UnsupportedMediaTypeError):
        optimize_image(bytes(data))
