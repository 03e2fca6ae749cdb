"""Small whole picture files of every format that Pillow reads, for the fuzzing to damage."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, PngImagePlugin

_SIZE = (48, 40)
_READ_ONLY = {
    "CUR": b"\0\0\2\0\1\0\x10\x10\0\0\1\0\x20\0h\4\0\0\x16\0\0\0",
    "DCX": b"\xb1\x68\xde\x3a\x0c\0\0\0",
    "FITS": b"SIMPLE  =                    T",
    "FLI": b"\0\1\0\0\x11\xaf\1\0\x30\0\x28\0\x08\0\3\0",
    "FTEX": b"FTEX\1\0\0\0\x10\0\0\0\x10\0\0\0\1\0\0\0\1\0\0\0",
    "GBR": b"\0\0\0\x1c\0\0\0\2\0\0\0\x10\0\0\0\x10\0\0\0\4GIMP\0\0\0\1",
    "IPTC": b"\x1c\3\x0a\0\1\1\x1c\3\x14\0\2\0\x10\x1c\3\x1e\0\2\0\x10",
    "MCIDAS": b"\0\0\0\0\0\0\0\4",
    "PCD": bytes(2048) + b"PCD_" + bytes(2000),
    "PIXAR": b"\x80\xe8\0\0" + bytes(1020),
    "PSD": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x10\0\0\0\x10\0\x08\0\3",
    "SUN": struct.pack(">8I", 0x59A66A95, 16, 16, 24, 768, 1, 0, 0),
    "IMT": b"*\nwidth 16\nheight 16\n\x0c",
    "WMF": b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<4hHI", 0, 0, 16, 16, 72, 0),
    "XPM": b'/* XPM */\nstatic char *a[] = {\n"2 2 1 1",\n"a c #ff0000",\n"aa",\n"aa"};\n',
    "XVTHUMB": b"P7 332\n#END_OF_COMMENTS\n16 16 255\n",
    "GRIB": b"GRIB\0\0\0\1",
    "BUFR": b"BUFR\0\0\0\4",
    "HDF5": b"\x89HDF\r\n\x1a\n",
    "MPEG": b"\0\0\1\xb3\3\0\x28\x13",
}
"""How files begin of formats that Pillow does not write."""


def whole_files() -> dict[str, bytes]:
    """A file of each kind by its name, the format's first; what this Pillow lacks is left out."""
    files = {name: begin + bytes(900) for name, begin in _READ_ONLY.items()}
    files["FITS"] = _fits()
    files["PPM-text"] = b"P3\n# by hand\n4 4\n255\n" + b"1 2 3 " * 16
    files["PPM-floats"] = b"Pf\n4 4\n-1.0\n" + struct.pack("<16f", *range(16))
    files["TIFF-tiled"] = _tiled_tiff()
    for name, mode, options in _kinds():
        file = BytesIO()
        try:
            picture(mode).save(file, name.split("-")[0], **options)
        except (KeyError, OSError, ValueError, RuntimeError):
            continue
        files[name] = file.getvalue()
    return files


def picture(mode: str = "RGB", size: tuple[int, int] = _SIZE) -> Image.Image:
    """Some shapes and a gradient."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.ellipse((4, 4, size[0] // 2, size[1] // 2), fill=(220, 40, 60))
    draw.line((0, size[1], size[0], 0), fill=(20, 90, 240), width=3)
    if mode.startswith("I;16"):
        return image.convert("L").convert("I").convert("I;16")
    return image.convert(mode)


def _kinds() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, mode and options for saving."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    exif.get_ifd(0x8769)[0x829A] = 0.01
    some = {"exif": exif, "icc_profile": bytes(range(256)) * 2, "dpi": (72, 72)}
    frames: dict[str, Any] = {
        "save_all": True,
        "append_images": [picture(), picture().rotate(90)],
        "duration": 50,
    }
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * 300, zip=True)
    text.add_itxt("title", "b" * 300, zip=True)
    yield from (
        ("JPEG", "RGB", some),
        ("JPEG-progressive", "RGB", {"progressive": True, "exif": exif}),
        ("JPEG-gray", "L", {"quality": 30, "optimize": True}),
        ("JPEG-cmyk", "CMYK", {"comment": b"a comment"}),
        ("JPEG-restart", "RGB", {"restart_marker_blocks": 2, "subsampling": 0}),
        ("MPO", "RGB", {"save_all": True, "append_images": [picture()], "exif": exif}),
        ("PNG", "RGB", {**some, "pnginfo": text}),
        ("PNG-alpha", "RGBA", {}),
        ("PNG-palette", "P", {"transparency": 3, "bits": 4}),
        ("PNG-gray-alpha", "LA", {}),
        ("PNG-bits", "1", {}),
        ("PNG-deep", "I;16", {}),
        ("PNG-moving", "RGB", frames),
        ("WEBP", "RGB", {"exif": exif, "icc_profile": bytes(256)}),
        ("WEBP-lossless", "RGBA", {"lossless": True}),
        ("WEBP-moving", "RGB", frames),
        ("AVIF", "RGB", {"exif": exif, "speed": 10}),
        ("AVIF-alpha", "RGBA", {"speed": 10}),
        ("AVIF-moving", "RGB", {**frames, "speed": 10}),
        ("TIFF", "RGB", {"exif": exif}),
        ("TIFF-big", "RGB", {"big_tiff": True}),
        ("TIFF-lzw", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF-deflate", "RGBA", {"compression": "tiff_adobe_deflate"}),
        ("TIFF-jpeg", "RGB", {"compression": "jpeg"}),
        ("TIFF-packbits", "L", {"compression": "packbits"}),
        ("TIFF-fax", "1", {"compression": "group4"}),
        ("TIFF-lzma", "RGB", {"compression": "lzma"}),
        ("TIFF-zstd", "RGB", {"compression": "zstd"}),
        ("TIFF-deep", "I;16", {}),
        ("TIFF-floats", "F", {}),
        ("TIFF-ints", "I", {}),
        ("TIFF-cmyk", "CMYK", {}),
        ("TIFF-lab", "LAB", {}),
        ("TIFF-frames", "RGB", {"save_all": True, "append_images": [picture("L")]}),
        ("BMP", "RGB", {}),
        ("BMP-palette", "P", {}),
        ("DIB", "RGB", {}),
        ("GIF", "P", {"transparency": 2, "comment": b"a comment"}),
        ("GIF-moving", "RGB", frames),
        ("PPM", "RGB", {}),
        ("PPM-deep", "I", {}),
        ("TGA", "RGBA", {}),
        ("TGA-rle", "RGB", {"compression": "tga_rle"}),
        ("ICO", "RGBA", {"sizes": [(16, 16), (32, 32)]}),
        ("ICO-bmp", "RGBA", {"sizes": [(16, 16)], "bitmap_format": "bmp"}),
        ("ICNS", "RGBA", {}),
        ("JPEG2000", "RGB", {}),
        ("JPEG2000-tiles", "RGB", {"tile_size": (16, 16), "irreversible": True}),
        ("JPEG2000-bare", "RGBA", {"no_jp2": True}),
        ("DDS", "RGBA", {}),
        ("DDS-packed", "RGBA", {"pixel_format": "DXT5"}),
        ("SGI", "RGB", {}),
        ("PCX", "RGB", {}),
        ("PCX-palette", "P", {}),
        ("EPS", "RGB", {}),
        ("QOI", "RGBA", {}),
        ("SPIDER", "F", {}),
        ("IM", "RGB", {}),
        ("XBM", "1", {}),
        ("MSP", "1", {}),
        ("BLP", "P", {}),
        ("PDF", "RGB", {}),
    )


def _fits() -> bytes:
    cards = ("SIMPLE = T", "BITPIX = 8", "NAXIS = 2", "NAXIS1 = 16", "NAXIS2 = 16", "END")
    lines = [f"{each.split(' ', 1)[0]:<8}{each.partition(' ')[2]:<72}" for each in cards]
    return "".join(lines).encode().ljust(2880) + bytes(2880)


def _tiled_tiff() -> bytes:
    """One tile of 16 by 16 gray pixels, not compressed; its numbers are those of TIFF 6.0."""
    entries = [(256, 16), (257, 16), (258, 8), (259, 1), (262, 1), (277, 1)]
    entries += [(322, 16), (323, 16), (324, 512), (325, 256)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)
    return head.ljust(512, b"\0") + bytes(range(256))


def bombs() -> dict[str, Callable[[], bytes]]:
    """Small files of much: as large as may be decoded, and larger. They take a while to make."""
    most = (9400, 9400)  # 88 million pixels, just below what Pillow takes for a bomb
    return {
        "PNG-black": lambda: _saved("PNG", Image.new("RGB", most)),
        "PNG-transparent": lambda: _saved("PNG", Image.new("RGBA", most)),
        "PNG-deep-black": lambda: _saved("PNG", Image.new("I;16", most)),
        "PNG-too-large": lambda: _saved("PNG", Image.new("1", (20000, 20000))),
        "PNG-thin": lambda: _saved("PNG", Image.new("L", (1, 65500))),
        "PNG-flat": lambda: _saved("PNG", Image.new("L", (65500, 1))),
        "JPEG-flat": lambda: _saved("JPEG", Image.new("RGB", most), quality=10),
        "JPEG-cmyk-flat": lambda: _saved("JPEG", Image.new("CMYK", most), quality=10),
        "JPEG-scans": _jpeg_of_scans,
        "GIF-flat": lambda: _saved("GIF", Image.new("P", most)),
        "WEBP-flat": lambda: _saved("WEBP", Image.new("RGB", (16383, 5400)), method=0),
        "TIFF-flat": lambda: _saved("TIFF", Image.new("F", most), compression="tiff_lzw"),
        "TIFF-cmyk-flat": lambda: _saved("TIFF", Image.new("CMYK", most), compression="packbits"),
        "JPEG2000-flat": lambda: _resized_jpeg2000(6300, 6300),
        "JPEG2000-too-large": lambda: _resized_jpeg2000(*most),
        "AVIF-flat": lambda: _saved("AVIF", Image.new("RGB", most), speed=10),
        "QOI-flat": lambda: b"qoif" + struct.pack(">IIBB", *most, 3, 0) + b"\xfd" * 1_425_162,
        "TGA-flat": lambda: _saved("TGA", Image.new("RGBA", most), compression="tga_rle"),
        "PNG-text": lambda: _saved("PNG", picture(), pnginfo=_much_text()),
        "PNG-profile": lambda: _saved("PNG", picture(), icc_profile=bytes(1 << 28)),
    }


def _saved(kind: str, image: Image.Image, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _much_text() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    for number in range(8):
        text.add_text(f"comment {number}", "a" * (1 << 27), zip=True)
    return text


def _jpeg_of_scans() -> bytes:
    """A progressive JPEG whose last scan comes again and again: each goes over every block."""
    data = _saved("JPEG", Image.new("L", (9400, 9400)), progressive=True, quality=10)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 2000 + data[-2:]


def _resized_jpeg2000(width: int, height: int) -> bytes:
    """A small one that says it is large, in one tile: most of it is not there, and is black."""
    small = _saved("JPEG2000", Image.new("RGBA", (64, 64)))
    old, new = struct.pack(">II", 64, 64), struct.pack(">II", width, height)
    return small.replace(old, new)
