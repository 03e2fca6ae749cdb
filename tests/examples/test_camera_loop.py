"""The camera loop tells what it sees in the right colors, and gives the camera back."""

import re
import shutil
import signal
from pathlib import Path

import pytest
from device_ends.processes import wait_until

PICAMERA2 = '''
import os
from pathlib import Path

import numpy as np


class Picamera2:
    """Sees red. Like libcamera's, its RGB888 has blue first in memory, its BGR888 red."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        Path(os.environ["CLOSED"]).touch()

    def create_video_configuration(self, main):
        assert type(main["size"]) is tuple  # as the real one insists
        return main

    def configure(self, main):
        (width, height), self.red = main["size"], {"RGB888": 2, "BGR888": 0}[main["format"]]
        self.frame = np.zeros((height, width, 3), np.uint8)

    def start(self):
        self.frame[..., self.red] = 255

    def capture_array(self, name):
        assert name == "main"
        return self.frame.copy()
'''
CV2 = '''
import os
from pathlib import Path

import numpy as np

CAP_PROP_FRAME_WIDTH, CAP_PROP_FRAME_HEIGHT, CAP_PROP_BUFFERSIZE = 3, 4, 38


class VideoCapture:
    """The second camera sees red five times, blue first in memory; there is no other."""

    def __init__(self, source):
        self.opened, self.left = source == 1, 5

    def isOpened(self):
        return self.opened

    def set(self, what, value):
        return True

    def read(self):
        self.left -= 1
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[..., 2] = 255
        return (True, frame) if self.left >= 0 else (False, None)

    def release(self):
        Path(os.environ["CLOSED"]).touch()
'''


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A folder with stand-ins for the libraries of cameras."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "picamera2.py").write_text(PICAMERA2)
    (folder / "cv2.py").write_text(CV2)
    return folder


def test_a_folder_of_pictures(start, artifact, pictures, predictor):
    loop = start("camera_loop.py", artifact, "--source", pictures)
    assert loop.process.wait(timeout=60) == 0, loop.complained()
    lines = loop.said().splitlines()
    for number, (line, picture) in enumerate(zip(lines, sorted(pictures.iterdir()), strict=True)):
        (best,) = predictor.predict(picture, top_k=1)
        assert line.startswith(f"frame {number}: {best.label} {best.score:.2f} (")
        assert float(re.search(r"\((.*) fps\)", line)[1]) > 0


def test_a_broken_picture_is_passed_over(start, artifact, pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    (folder / "1-green.png").write_bytes(b"no picture")
    loop = start("camera_loop.py", artifact, "--source", folder)
    assert loop.process.wait(timeout=60) == 0
    assert "1-green.png is no picture" in loop.complained()
    assert len(loop.said().splitlines()) == 5


@pytest.mark.parametrize("size", [(640, 480), (8, 8)], ids=["larger", "as-the-network"])
def test_picamera2(start, artifact, modules, tmp_path, size):
    closed = tmp_path / "closed"
    variables = {"PYTHONPATH": str(modules), "CLOSED": str(closed)}
    loop = start("camera_loop.py", artifact, "--size", *size, **variables)
    wait_until(lambda: loop.said().count("\n") > 3, "no frames came")
    assert loop.stop(signal.SIGTERM) == 0, loop.complained()
    assert {line.split()[2] for line in loop.said().splitlines()} == {"red"}
    assert closed.exists()


def test_opencv(start, artifact, modules, tmp_path):
    closed = tmp_path / "closed"
    variables = {"PYTHONPATH": str(modules), "CLOSED": str(closed)}
    loop = start("camera_loop.py", artifact, "--source", "opencv:1", **variables)
    assert loop.process.wait(timeout=60) == 0, loop.complained()
    assert [line.split()[2] for line in loop.said().splitlines()] == ["red"] * 5
    assert closed.exists()


def test_what_is_not_there_is_told(start, artifact, modules, tmp_path):
    variables = {"PYTHONPATH": str(modules), "CLOSED": str(tmp_path / "closed")}
    no_camera = start("camera_loop.py", artifact, "--source", "opencv:7", **variables)
    no_pictures = start("camera_loop.py", artifact, "--source", tmp_path / "nowhere")
    assert no_camera.process.wait(timeout=60) == 2
    assert "OpenCV opens no camera 7" in no_camera.complained()
    assert no_pictures.process.wait(timeout=60) == 2
    assert "no pictures in" in no_pictures.complained()


def test_a_missing_library_is_told(start, artifact, tmp_path):
    (tmp_path / "picamera2.py").write_text("raise ImportError('libcamera')")
    loop = start("camera_loop.py", artifact, PYTHONPATH=str(tmp_path))
    assert loop.process.wait(timeout=60) == 2
    assert "python3-picamera2" in loop.complained()
