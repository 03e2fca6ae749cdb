"""Tell what a camera sees, frame by frame.

    python camera_loop.py my_model.int8.tflite                        the Raspberry Pi's camera
    python camera_loop.py my_model.int8.tflite --source opencv        a USB camera, through OpenCV
    python camera_loop.py my_model.int8.tflite --source pictures/     files in place of a camera

Prints a line for each frame: its number, the best label with its score, and frames per second.
Ctrl-C or SIGTERM ends it after the frame it is at, and gives the camera back. Copy ``frames.py``
with it.
"""

import argparse
import sys
import time
from collections import deque
from contextlib import closing
from itertools import islice

from frames import SOURCES, Frames, Stop, open_frames

import edgeferry
from edgeferry.app.answer_data import answer_rows
from edgeferry.errors import ImageError


def main() -> None:
    """Run until the frames end or a signal comes."""
    parser = make_parser()
    options = parser.parse_args()
    stop, (width, height) = Stop(), options.size
    try:
        with (
            edgeferry.load(options.artifact, threads=options.threads) as predictor,
            closing(open_frames(options.source, (width, height), options.repeat)) as frames,
        ):
            watch(predictor, frames, stop, options.frames)
    except edgeferry.EdgeferryError as error:
        parser.error(str(error))


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", help="the exported model: .tflite, .onnx or .xml")
    parser.add_argument("--source", default="picamera2", help=f"{SOURCES} (default: picamera2)")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("W", "H"))
    parser.add_argument("--repeat", action="store_true", help="replay pictures again and again")
    parser.add_argument("--frames", type=int, metavar="N", help="stop after so many")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the engine")
    return parser


def watch(
    predictor: edgeferry.Predictor, frames: Frames, stop: Stop, most: int | None = None
) -> None:
    """Print a line for each frame, until told to stop."""
    rate = FrameRate()
    for number, (picture, color) in enumerate(islice(frames, most)):
        if stop.wanted():
            break
        try:
            answers = answer_rows(predictor.predict(picture, top_k=1, color=color))
        except ImageError as error:
            print(f"frame {number}: {error}", file=sys.stderr)
            continue
        best = "{label} {score:.2f}".format(**answers[0]) if answers else "nothing"
        print(f"frame {number}: {best} ({rate.after_frame():.1f} fps)", flush=True)


class FrameRate:
    """Frames per second, over the last 30."""

    def __init__(self) -> None:
        self._times: deque[float] = deque([time.monotonic()], maxlen=31)

    def after_frame(self) -> float:
        """Count one more frame; give the rate."""
        self._times.append(time.monotonic())
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-9)


if __name__ == "__main__":
    main()
