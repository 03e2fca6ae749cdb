"""Any picture to the network's input, against Pillow and numpy."""

import contextlib
import struct
import threading
import warnings
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from edgeferry.contract import InputSpec, ResizeRule
from edgeferry.errors import ImageError, UsageError
from edgeferry.images import to_input

SQUASH = InputSpec(24, 20, resize=ResizeRule("squash"))
GRAY = InputSpec(24, 20, channels=1, resize=ResizeRule("squash"))
SIZES = [(500, 375), (375, 500), (224, 224), (256, 256), (31, 200), (640, 17), (5, 4), (299, 301)]


def noise(width, height, channels=3, seed=0):
    shape = (height, width, channels)[: 2 if channels == 1 else 3]
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(image, kind="PNG", **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def flat(value, mode):
    return Image.new(mode, (30, 40), value)


def distance(a, b):
    return np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).max()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("side", "ratio"), [(224, 0.875), (64, 1.0), (33, 0.9)])
def test_shorter_side_is_scaled_and_the_center_cropped(size, side, ratio):
    image = Image.fromarray(noise(*size))
    short = round(side / ratio)
    scaled = [round(length * short / min(size)) for length in size]
    left, top = ((length - side) // 2 for length in scaled)
    whole = image.resize(scaled, Image.Resampling.BILINEAR)
    expected = whole.crop((left, top, left + side, top + side))
    pixels = to_input(image, InputSpec(side, side, resize=ResizeRule("shorter", ratio)))
    assert distance(pixels, expected) <= 1


def test_the_default_scales_to_256_for_224():
    image = Image.fromarray(noise(256, 300))
    expected = np.asarray(image)[300 // 2 - 112 : 300 // 2 + 112, 16:240]
    np.testing.assert_array_equal(to_input(image, InputSpec(224, 224)), expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("height", "width"), [(96, 128), (128, 40)])
def test_an_oblong_input_is_covered_and_keeps_the_aspect_ratio(size, height, width):
    image = Image.fromarray(noise(*size))
    rule = ResizeRule("shorter", 1.0)
    scale = max(width / size[0], height / size[1])
    scaled = [round(length * scale) for length in size]
    left, top = (scaled[0] - width) // 2, (scaled[1] - height) // 2
    whole = image.resize(scaled, Image.Resampling.BILINEAR)
    expected = whole.crop((left, top, left + width, top + height))
    assert distance(to_input(image, InputSpec(height, width, resize=rule)), expected) <= 1


@pytest.mark.parametrize("name", ["bicubic", "lanczos", "hamming", "box", "nearest"])
def test_each_interpolation_is_pillow_s(name):
    image = Image.fromarray(noise(75, 55))
    pixels = to_input(image, InputSpec(24, 20, resize=ResizeRule("squash", interpolation=name)))
    expected = image.resize((20, 24), Image.Resampling[name.upper()])
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("size", SIZES)
def test_squash_ignores_the_aspect_ratio(size):
    image = Image.fromarray(noise(*size))
    expected = image.resize((20, 24), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(to_input(image, SQUASH), expected)


@pytest.mark.parametrize(
    ("size", "fitted"),
    [((90, 30), (60, 20)), ((30, 90), (13, 40)), ((7, 7), (40, 40)), ((1, 400), (1, 40))],
)
def test_pad_fits_the_whole_picture_between_black_borders(size, fitted):
    image = Image.fromarray(noise(*size) | 1)  # nowhere black
    pixels = to_input(image, InputSpec(40, 60, resize=ResizeRule("pad")))
    left, top, right, bottom = Image.fromarray(pixels).getbbox()
    expected = image.resize(fitted, Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(pixels[top:bottom, left:right], expected)
    assert abs(left - (60 - right)) <= 1
    assert abs(top - (40 - bottom)) <= 1


def test_a_thin_strip_does_not_become_a_giant():
    pixels = to_input(Image.new("RGB", (1, 80_000), "red"), InputSpec(224, 224))
    assert (pixels == (255, 0, 0)).all()


def test_the_result_is_contiguous_writable_and_the_caller_s_own():
    frame = noise(20, 24)
    before = frame.copy()
    for spec in (SQUASH, GRAY):
        pixels = to_input(frame if spec is SQUASH else frame[..., 0].copy(), spec)
        assert pixels.flags.c_contiguous
        assert pixels.dtype == np.uint8
        assert pixels.shape == spec.shape[1:]
        pixels[:] = 0
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = Image.fromarray(noise(6, 4)).resize((60, 40))
    data = encoded(smooth, kind, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    expected = upright.convert("RGB").resize((20, 24), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(to_input(data, SQUASH), expected)
    np.testing.assert_array_equal(to_input(Image.open(BytesIO(data)), SQUASH), expected)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage!", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02"]
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_does_not_spoil_the_picture(exif):
    image = Image.fromarray(noise(30, 40))
    data = encoded(image, exif=exif)
    np.testing.assert_array_equal(to_input(data, SQUASH), to_input(image, SQUASH))


def sixteen_bits(mode):
    values = np.full((40, 30), 0x8080, np.int32 if mode == "I" else np.uint16)
    return Image.fromarray(values)


def palette():
    image = Image.new("P", (30, 40), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    return image


HALF_RED = (255, 127, 127)
PICTURES = {
    "gray": (lambda: flat(77, "L"), (77, 77, 77)),
    "one bit": (lambda: flat(1, "1"), (255, 255, 255)),
    "palette": (palette, (200, 100, 50)),
    "transparent palette": (lambda: encoded(palette(), transparency=1), (255, 255, 255)),
    "opaque palette": (lambda: encoded(palette(), transparency=0), (200, 100, 50)),
    "GIF": (lambda: encoded(palette(), "GIF"), (200, 100, 50)),
    "transparent": (lambda: encoded(flat((255, 0, 0, 0), "RGBA")), (255, 255, 255)),
    "half transparent": (lambda: encoded(flat((255, 0, 0, 128), "RGBA")), HALF_RED),
    "opaque": (lambda: encoded(flat((9, 8, 7, 255), "RGBA")), (9, 8, 7)),
    "transparent gray": (lambda: encoded(flat((0, 128), "LA")), (127, 127, 127)),
    "transparent color": (lambda: encoded(flat(7, "L"), transparency=7), (255, 255, 255)),
    "16-bit PNG": (lambda: encoded(sixteen_bits("I;16")), (128, 128, 128)),
    "16-bit TIFF": (lambda: encoded(sixteen_bits("I;16"), "TIFF"), (128, 128, 128)),
    "32-bit integers": (lambda: sixteen_bits("I"), (128, 128, 128)),
    "floats to 255": (lambda: encoded(flat(128.2, "F"), "TIFF"), (128, 128, 128)),
    "floats to 1": (lambda: encoded(flat(0.5, "F"), "TIFF"), (128, 128, 128)),
    "floats, not numbers": (lambda: flat(float("nan"), "F"), (0, 0, 0)),
    "CMYK": (lambda: encoded(flat((0, 255, 255, 0), "CMYK"), "TIFF"), (255, 0, 0)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_each_kind_of_picture_shows_as_people_expect(name):
    make, color = PICTURES[name]
    pixels = to_input(make(), SQUASH)
    assert distance(pixels, np.broadcast_to(color, pixels.shape)) <= 1
    luma = np.asarray(Image.new("RGB", (1, 1), color).convert("L"))[0, 0]
    assert distance(to_input(make(), GRAY), np.full((24, 20, 1), luma)) <= 1


def test_a_cmyk_jpeg_is_brought_to_rgb():
    image = Image.fromarray(noise(6, 4)).resize((60, 40))
    data = encoded(image.convert("CMYK"), "JPEG", quality=100)
    assert np.abs(to_input(data, SQUASH) - to_input(image, SQUASH).astype(float)).mean() < 3


def test_sixteen_bits_keep_their_steps():
    ramp = np.linspace(0, 65535, 20 * 24).round().astype(np.uint16).reshape(24, 20)
    pixels = to_input(encoded(Image.fromarray(ramp)), GRAY)
    np.testing.assert_array_equal(pixels[..., 0], np.rint(ramp / 257))


def test_a_path_its_bytes_and_the_opened_picture_are_the_same(tmp_path):
    path = tmp_path / "picture.png"
    image = Image.fromarray(noise(50, 40))
    image.save(path)
    expected = to_input(image, SQUASH)
    for picture in (path, str(path), path.read_bytes(), Image.open(path), np.asarray(image)):
        np.testing.assert_array_equal(to_input(picture, SQUASH), expected)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("spec", [SQUASH, GRAY, InputSpec(24, 20)])
def test_bgr_arrays_are_rgb_ones_in_another_order(channels, spec):
    rgb = noise(70, 50, channels)
    bgr = rgb[..., [2, 1, 0, 3][:channels]]
    expected = to_input(Image.fromarray(rgb), spec)
    np.testing.assert_array_equal(to_input(rgb, spec), expected)
    np.testing.assert_array_equal(to_input(bgr, spec, "bgr"), expected)
    assert distance(to_input(rgb, spec, "bgr"), expected) > 1


def test_gray_and_strided_arrays():
    gray = noise(70, 50, 1)
    expected = to_input(Image.fromarray(gray), SQUASH)
    for array in (gray, gray[..., None]):
        np.testing.assert_array_equal(to_input(array, SQUASH), expected)
        np.testing.assert_array_equal(to_input(array, SQUASH, "bgr"), expected)
    frame = noise(140, 100)
    expected = to_input(frame[::2, ::-2].copy(), SQUASH)
    np.testing.assert_array_equal(to_input(frame[::2, ::-2], SQUASH), expected)


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((4, 4, 3), np.int8), "int8"),
        (np.zeros((4, 4, 2), np.uint8), "[4, 4, 2]"),
        (np.zeros((2, 4, 4, 3), np.uint8), "[2, 4, 4, 3]"),
        (np.zeros(4, np.uint8), "[4]"),
        (np.zeros((0, 4, 3), np.uint8), "[0, 4, 3]"),
    ],
)
def test_other_arrays_are_refused_by_name(array, named):
    with pytest.raises(ImageError) as caught:
        to_input(array, SQUASH)
    assert named in str(caught.value)


def test_an_unknown_channel_order_is_refused():
    with pytest.raises(UsageError, match="BGR"):
        to_input(noise(4, 4), SQUASH, "BGR")


@pytest.mark.parametrize("thing", [None, 3, [1, 2]])
def test_what_is_no_picture_is_refused(thing):
    with pytest.raises(ImageError, match=type(thing).__name__):
        to_input(thing, SQUASH)


JPEG = encoded(Image.fromarray(noise(90, 60)), "JPEG")
DAMAGED = {
    "empty": b"",
    "text": b"no picture at all\n" * 20,
    "cut JPEG": JPEG[: len(JPEG) // 2],
    "cut PNG": encoded(Image.fromarray(noise(90, 60)))[:400],
    "cut header": JPEG[:10],
    "cut TIFF": encoded(Image.fromarray(noise(90, 60)), "TIFF")[:300],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_an_error_with_its_name(name, tmp_path):
    path = tmp_path / "holiday.jpg"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(ImageError) as caught:
        to_input(path, SQUASH)
    assert "holiday.jpg" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2
    with pytest.raises(ImageError):
        to_input(DAMAGED[name], SQUASH)


def test_a_picture_opened_by_the_caller_may_be_cut_off_too():
    with pytest.raises(ImageError):
        to_input(Image.open(BytesIO(DAMAGED["cut JPEG"])), SQUASH)


def test_no_damage_gets_past_the_error():
    generator = np.random.default_rng(0)
    image = Image.fromarray(noise(40, 30))
    refused = 0
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"):
        whole = np.frombuffer(encoded(image, kind), np.uint8)
        for _ in range(40):
            data = whole.copy()
            data[generator.integers(0, min(len(data), 400), 8)] = generator.integers(0, 256, 8)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    assert to_input(data.tobytes(), SQUASH).shape == (24, 20, 3)
            except ImageError:
                refused += 1
    assert refused > 20


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg.*No such file"):
        to_input(tmp_path / "gone.jpg", SQUASH)
    with pytest.raises(ImageError, match="directory"):
        to_input(tmp_path, SQUASH)
    with pytest.raises(ImageError):
        to_input("nul\0byte", SQUASH)


def test_a_picture_without_pixels():
    with pytest.raises(ImageError, match="empty"):
        to_input(Image.new("RGB", (0, 5)), SQUASH)


@pytest.mark.parametrize("times", [1.2, 3])
def test_a_decompression_bomb_is_refused_and_not_warned_of(times, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    path = tmp_path / "bomb.png"
    Image.new("1", (100, int(100 * times))).save(path)
    with warnings.catch_warnings(record=True) as seen, pytest.raises(ImageError) as caught:
        warnings.simplefilter("always")
        to_input(path, SQUASH)
    assert not seen
    assert "bomb.png" in str(caught.value)
    assert "10000" in str(caught.value)


def test_a_bomb_is_refused_before_its_pixels_are_read():
    header = struct.pack(">II5B", 100_000, 100_000, 8, 2, 0, 0, 0)
    png = encoded(Image.new("RGB", (1, 1)))
    with pytest.raises(ImageError, match="bomb"):
        to_input(
            png[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + png[33:], SQUASH
        )


def test_threads_never_change_the_warning_filters_at_once(monkeypatch):
    data = encoded(Image.fromarray(noise(8, 8)))
    before = list(warnings.filters)
    meeting = threading.Barrier(2)
    met, identified = [], []
    identify = Image.open

    def watched(file, formats):  # runs while the filters are changed
        with contextlib.suppress(threading.BrokenBarrierError):
            met.append(meeting.wait(0.2))
        identified.append(identify(file, formats=formats))
        return identified[-1]

    monkeypatch.setattr(Image, "open", watched)
    threads = [threading.Thread(target=to_input, args=(data, SQUASH)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not met
    assert len(identified) == 2
    assert warnings.filters == before


def soft_picture(width, height):
    """Shapes and some noise at every scale, as photographs have them."""
    picture = Image.fromarray(noise(16, 12)).resize((width, height), Image.Resampling.BICUBIC)
    for step in (64, 16, 4):
        grain = Image.fromarray(noise(width // step, height // step, seed=step))
        picture = Image.blend(picture, grain.resize((width, height)), 0.2)
    return picture


def lying(image, orientation=6):
    """The file of a camera held upright: pixels lie, and EXIF says so."""
    exif = Image.Exif()
    exif[274] = orientation
    return encoded(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


@pytest.mark.parametrize("rule", ["shorter", "squash", "pad"])
@pytest.mark.parametrize("size", [(1600, 1200), (900, 1600), (2400, 700)])
def test_a_large_jpeg_file_gives_what_decoding_it_whole_gives(rule, size):
    file = encoded(soft_picture(*size), "JPEG", quality=95)
    spec = InputSpec(96, 128, resize=ResizeRule(rule))
    whole = Image.open(BytesIO(file))
    whole.load()
    difference = np.abs(to_input(file, spec).astype(int) - to_input(whole, spec).astype(int))
    assert difference.mean() < 1.5
    assert difference.max() < 40


def test_a_large_jpeg_file_that_lies_gives_what_decoding_it_whole_gives():
    upright = soft_picture(700, 2400)
    spec = InputSpec(64, 256, resize=ResizeRule("squash"))
    difference = np.abs(to_input(lying(upright), spec).astype(int) - to_input(upright, spec))
    assert difference.mean() < 1.5


@pytest.mark.parametrize("width", [1024, 1433, 1434, 3000])
def test_a_jpeg_file_is_never_decoded_smaller_than_needed(width, monkeypatch):
    decoded = []
    load = JpegImageFile.load
    monkeypatch.setattr(
        JpegImageFile, "load", lambda image: (load(image), decoded.append(image.size))[0]
    )
    spec = InputSpec(512, 512, resize=ResizeRule("squash"))
    to_input(encoded(Image.new("RGB", (width, width)), "JPEG"), spec)
    assert max(decoded[0]) >= min(width, 1.4 * 512)
    assert max(decoded[0]) < 2 * 1.4 * 512


@pytest.mark.parametrize("size", [(256, 256), (500, 375)])
def test_a_jpeg_file_near_the_size_is_decoded_whole(size):
    file = encoded(soft_picture(*size), "JPEG")
    spec = InputSpec(224, 224)
    np.testing.assert_array_equal(to_input(file, spec), to_input(Image.open(BytesIO(file)), spec))


def test_nearest_takes_pixels_of_the_whole_jpeg_file():
    file = encoded(soft_picture(1600, 1200), "JPEG")
    spec = InputSpec(96, 96, resize=ResizeRule("squash", interpolation="nearest"))
    np.testing.assert_array_equal(to_input(file, spec), to_input(Image.open(BytesIO(file)), spec))
