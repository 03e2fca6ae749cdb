"""Which picture files are opened, and which are refused before they can do harm."""

import os
import struct
import subprocess
import tracemalloc
from contextlib import suppress
from io import BytesIO
from threading import Thread

import numpy as np
import pytest
from PIL import Image, features

from edgeferry import images
from edgeferry.contract import InputSpec, ResizeRule
from edgeferry.errors import ImageError
from edgeferry.images import to_input
from edgeferry.picture_files import FORMATS, readable_formats

SPEC = InputSpec(24, 20, resize=ResizeRule("squash"))
PICTURE = Image.linear_gradient("L").convert("RGB")


def encoded(image, kind, **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_programs_are_not_started_for_a_picture(monkeypatch):
    """Pillow gives PostScript to Ghostscript, which is a programming language's interpreter."""
    started = []
    monkeypatch.setattr(subprocess, "check_call", lambda *given, **_: started.append(given))
    for prefix in (b"", b"\xc5\xd0\xd3\xc6" + bytes(26)):
        with pytest.raises(ImageError, match="no picture of a format that is read") as caught:
            to_input(prefix + encoded(PICTURE, "EPS"), SPEC)
        assert "JPEG" in caught.value.remedy
    assert not started


@pytest.mark.parametrize("kind", ["PDF", "PCX", "SGI", "IM", "BLP", "DDS", "ICNS", "ICO", "XBM"])
def test_formats_that_hardly_any_picture_has_are_not_decoded(kind):
    data = encoded(PICTURE.convert({"XBM": "1", "BLP": "P"}.get(kind, "RGB")), kind)
    with pytest.raises(ImageError, match="no picture of a format that is read"):
        to_input(data, SPEC)


def test_formats_that_pictures_have_are_read():
    known = readable_formats()
    assert set(known) <= set(FORMATS)
    assert {"JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "TGA", "QOI"} <= set(known)
    for kind in known:
        has = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}.get(kind)
        if kind not in ("HEIF", "JXL") and (has is None or features.check(has)):
            assert to_input(encoded(PICTURE, kind), SPEC).shape == (24, 20, 3), kind


@pytest.mark.skipif(not features.check("jpg_2000"), reason="Pillow has no JPEG 2000")
def test_a_jpeg_2000_that_would_take_gigabytes_is_refused():
    """Nearly all of it is missing, which its decoder takes for black; that took 2 GB and 4 s."""
    small = encoded(Image.new("RGBA", (64, 64)), "JPEG2000")
    large = small.replace(struct.pack(">II", 64, 64), struct.pack(">II", 9000, 9000))
    with pytest.raises(ImageError, match="JPEG 2000 file of 81000000 pixels"):
        to_input(large, SPEC)


def jpeg_of_scans(more):
    """A progressive JPEG whose last scan comes again so many times."""
    data = encoded(PICTURE, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * (1 + more) + data[-2:]


def test_a_jpeg_that_goes_over_its_pixels_for_minutes_is_refused():
    with pytest.raises(ImageError, match="scans: a decompression bomb"):
        to_input(jpeg_of_scans(more=30_000), SPEC)


def test_scans_are_counted_and_not_what_looks_like_them(monkeypatch):
    pixels = PICTURE.width * PICTURE.height
    monkeypatch.setattr("edgeferry.picture_files._MOST_SCANNED", 12 * (pixels + 10_000))
    expected = to_input(jpeg_of_scans(more=0), SPEC)
    np.testing.assert_array_equal(to_input(jpeg_of_scans(more=1), SPEC), expected)
    with pytest.raises(ImageError, match="over 12 scans"):
        to_input(jpeg_of_scans(more=5), SPEC)
    comment = {"comment": b"\xff\xda" * 1000}  # as a thumbnail may have them
    data = encoded(PICTURE, "JPEG", progressive=True, **comment)
    np.testing.assert_array_equal(to_input(data, SPEC), expected)
    monkeypatch.setattr("edgeferry.picture_files._LONGEST", len(data))
    with pytest.raises(ImageError, match="over 12 scans"):
        to_input(data, SPEC)


MODES = {
    "I;16": lambda: Image.fromarray(np.arange(2500, dtype=np.uint16).reshape(50, 50) * 26),
    "F": lambda: Image.fromarray(np.linspace(-1, 300, 2500, dtype=np.float32).reshape(50, 50)),
    "F to 1": lambda: Image.fromarray(np.linspace(0, 1, 2500, dtype=np.float32).reshape(50, 50)),
    "RGBA": lambda: Image.merge("RGBA", [*PICTURE.split(), PICTURE.getchannel(0)]),
    "LA": lambda: Image.merge("LA", [PICTURE.getchannel(0), PICTURE.getchannel(0).rotate(90)]),
    "CMYK": lambda: PICTURE.convert("CMYK"),
    "P": lambda: PICTURE.quantize(16),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_converting_in_bands_gives_the_same_pixels(monkeypatch, mode, channels):
    spec = InputSpec(40, 40, channels=channels, resize=ResizeRule("squash"))
    whole = to_input(MODES[mode](), spec)
    monkeypatch.setattr(images, "_BAND", 333)
    np.testing.assert_array_equal(to_input(MODES[mode](), spec), whole)


@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_a_large_picture_does_not_lie_in_memory_several_times(mode):
    image = Image.new(mode, (4000, 4000))
    tracemalloc.start()
    try:
        to_input(image, SPEC)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 4000 * 4000, "bytes of numpy's, where each pixel as a float takes four"


@pytest.fixture
def piped(tmp_path):
    """A pipe that some bytes come out of."""

    def pipe(data):
        path = tmp_path / "pipe"
        os.mkfifo(path)
        Thread(target=feed, args=(path, data), daemon=True).start()
        return path

    def feed(path, data):
        with suppress(BrokenPipeError):
            path.write_bytes(data)

    return pipe


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "TGA"])
def test_a_picture_comes_through_a_pipe(kind, piped):
    data = encoded(PICTURE, kind)
    np.testing.assert_array_equal(to_input(piped(data), SPEC), to_input(data, SPEC))


def test_a_pipe_without_an_end_is_refused(piped, monkeypatch):
    monkeypatch.setattr("edgeferry.picture_files._LONGEST", 100_000)
    with pytest.raises(ImageError, match="more than 100000 bytes"):
        to_input(piped(bytes(1_000_000)), SPEC)
