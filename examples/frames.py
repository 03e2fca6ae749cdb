"""Frames for the examples, and when to stop taking them.

A source is one word on the command line:

    picamera2   the Raspberry Pi's camera (Debian's package python3-picamera2)
    opencv      OpenCV's first camera; opencv:1 is the second, opencv:rtsp://... a stream
    PATH        a picture, or a folder of pictures, replayed as if a camera took them
"""

import signal
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import Any, Literal

from edgeferry.errors import DeviceError, ImageError, MissingDependencyError

SOURCES = "picamera2, opencv[:NUMBER or URL], or a picture or folder of pictures"
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
Color = Literal["rgb", "bgr"]
Frames = Generator[tuple[Any, Color], None, None]
"""Pictures for ``Predictor.predict``, each with its order of colors; close it after use."""


def open_frames(source: str, size: tuple[int, int] = (640, 480), repeat: bool = True) -> Frames:
    """Open a source of frames.

    Args:
        source: See above.
        size: Width and height to ask of a camera.
        repeat: Whether pictures start again after the last.

    Raises:
        DeviceError: If there is no such camera.
        ImageError: If there are no pictures.
        MissingDependencyError: If picamera2 or OpenCV is not installed.
    """
    kind, _, address = source.partition(":")
    if source == "picamera2":
        return _from_picamera2(size)
    if kind == "opencv":
        return _from_opencv(address or "0", size)
    return _from_files(Path(source), repeat)


def pictures(path: Path) -> list[Path]:
    """A picture, or those of a folder and the folders in it, in order of their names.

    Raises:
        ImageError: If there is none.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    found = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not found:
        raise ImageError(f"no pictures in {path}", f"A source is {SOURCES}")
    return found


def _from_picamera2(size: tuple[int, int]) -> Frames:
    library = _require("picamera2", "sudo apt install python3-picamera2")
    try:
        camera = library.Picamera2()
    except (IndexError, RuntimeError) as error:
        raise DeviceError(f"picamera2 opens no camera: {error}", "Is it plugged in?") from error
    with camera:
        main = {"size": size, "format": "RGB888"}  # libcamera's name for blue first in memory
        camera.configure(camera.create_video_configuration(main=main))
        camera.start()
        while True:
            yield camera.capture_array("main"), "bgr"


def _from_opencv(address: str, size: tuple[int, int]) -> Frames:
    cv2 = _require("cv2", "pip install opencv-python-headless")
    camera = cv2.VideoCapture(int(address) if address.isdecimal() else address)
    try:
        if not camera.isOpened():
            raise DeviceError(f"OpenCV opens no camera {address}", "Try: ls /dev/video*")
        camera.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        camera.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not one that waited
        while (taken := camera.read())[0]:
            yield taken[1], "bgr"
    finally:
        camera.release()


def _from_files(path: Path, repeat: bool) -> Frames:
    found = pictures(path)
    while True:
        for file in found:
            yield str(file), "rgb"
        if not repeat:
            return


def _require(module: str, how: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{module} is not installed: {error}", f"{how}; or name another --source"
        ) from error


class Stop:
    """Whether the program shall end: SIGINT (Ctrl-C) or SIGTERM came."""

    def __init__(self) -> None:
        self._signals: SimpleQueue[int] = SimpleQueue()  # may be filled by a handler, unlike Event
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda number, _: self._signals.put(number))

    def wanted(self, within: float = 0) -> bool:
        """Wait for a signal, at most so many seconds; tell whether one has come."""
        try:
            self._signals.put(self._signals.get(timeout=within))
        except Empty:
            return False
        return True
