"""A camera node: what a camera sees, published over MQTT.

    python mqtt_camera.py my_model.int8.tflite --host broker.local --topic home/door

Publishes, with quality of service 1:

    home/door/predictions   JSON for each frame: artifact, frame, time, predictions (label, index
                            and score), inference_ms, and the number of messages dropped so far
    home/door/status        retained: "online"; "offline" when the node stops or is lost

Each node needs a topic of its own. While the broker is away the newest messages are kept, older
ones are dropped and counted; the node connects again by itself. What the broker has not
acknowledged is sent again, so a frame may come twice. A password is taken from the environment,
MQTT_PASSWORD. SIGTERM or Ctrl-C ends the node. It needs ``pip install 'paho-mqtt>=2.1'``; copy
``mqtt_publisher.py`` and ``frames.py`` with it.
"""

import argparse
import os
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from frames import SOURCES, Color, Frames, Stop, open_frames
from mqtt_publisher import Broker, Publisher, log

import edgeferry
from edgeferry.app.answer_data import answer_rows
from edgeferry.errors import ImageError


def main() -> None:
    """Run until a signal comes, or the camera is gone."""
    parser = make_parser()
    options = parser.parse_args()
    password = os.environ.get("MQTT_PASSWORD")
    broker = Broker(
        options.topic, options.host, options.port, options.username, password, options.tls
    )
    stop = Stop()
    try:
        with (
            edgeferry.load(options.artifact, threads=options.threads) as predictor,
            closing(open_frames(options.source)) as frames,
            closing(Publisher(broker, options.queue)) as publisher,
        ):
            watch(predictor, frames, publisher, stop, options)
    except edgeferry.EdgeferryError as error:
        parser.error(str(error))


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", type=Path, help="the exported model: .tflite, .onnx or .xml")
    parser.add_argument("--source", default="picamera2", help=f"{SOURCES} (default: picamera2)")
    parser.add_argument("--host", default="localhost", help="the broker (default: localhost)")
    parser.add_argument("--port", type=int, default=1883, help="its port (default: 1883)")
    parser.add_argument("--topic", type=base_topic, default="camera", help="(default: camera)")
    parser.add_argument("--username", help="where the broker wants one")
    parser.add_argument("--tls", nargs="?", const="", metavar="CA", help="use TLS; a file of CAs")
    parser.add_argument("--queue", type=int, default=100, help="messages to keep (default: 100)")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds a frame (default: 1)")
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="answers a frame")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the engine")
    return parser


def base_topic(text: str) -> str:
    """A topic that can be published to."""
    if not text or "+" in text or "#" in text:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be published to")
    return text


def watch(
    predictor: edgeferry.Predictor,
    frames: Frames,
    publisher: Publisher,
    stop: Stop,
    options: argparse.Namespace,
) -> None:
    """Publish what is on each frame, until told to stop."""
    for number, (picture, color) in enumerate(frames):
        due = time.monotonic() + options.interval
        try:
            seen = look(predictor, picture, color, options.top_k)
            publisher.put({"artifact": options.artifact.name, "frame": number, **seen})
        except ImageError as error:
            log(f"frame {number}: {error}")
        if stop.wanted(within=max(0.0, due - time.monotonic())):
            break


def look(predictor: edgeferry.Predictor, picture: Any, color: Color, top_k: int) -> dict[str, Any]:
    """What is on a frame, as plain data."""
    now, begun = datetime.now(UTC), time.perf_counter()
    answers = answer_rows(predictor.predict(picture, top_k=top_k, color=color))
    took = time.perf_counter() - begun
    return {
        "time": now.isoformat(timespec="milliseconds"),
        "predictions": answers,
        "inference_ms": round(took * 1000, 2),
    }


if __name__ == "__main__":
    main()
