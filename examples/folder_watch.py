"""A service that tells what is on each picture that arrives in a folder.

    python folder_watch.py my_model.int8.tflite incoming/ results/

For incoming/cat.jpg it writes results/cat.jpg.json, whole or not at all: picture, modified,
artifact, and predictions (label, index and score), or error where the picture cannot be read.
A picture is taken when it is moved into the folder, or closed after writing; one that is written
over is taken again. So are pictures that lie there at the start and have no result yet. Once a
minute the folder is searched for what no event told of, as on network drives. Hidden files and
sub-folders are left alone; to have a picture done again, remove its result.

SIGTERM or Ctrl-C ends it after the picture it is at. ``folder-watch.service`` runs it with systemd,
which it tells that it is ready and alive. It needs Linux and ``pip install 'watchdog>=6'``.
"""

import argparse
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from watchdog.events import FileClosedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver

import edgeferry
from edgeferry.app.answer_data import answer_rows
from edgeferry.errors import ImageError, OutputError, UsageError
from edgeferry.files import atomic_write_text

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
SEARCH = 60.0
"""Seconds between searches of the folder."""
PATIENCE = 5.0
"""Seconds that the observer has to end."""
SETTLED = 2.0
"""Seconds without a change after which a file that no event told of is taken for whole."""


def main() -> None:
    """Run until a signal comes."""
    parser = make_parser()
    options = parser.parse_args()
    try:
        for folder in (options.incoming, options.results):
            if not folder.is_dir():
                raise UsageError(f"there is no folder {folder}", "Make it first")
        with edgeferry.load(options.artifact, threads=options.threads) as predictor:
            FolderWatch(predictor, options).run()
    except (edgeferry.EdgeferryError, OSError) as error:
        parser.error(str(error))


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", type=Path, help="the exported model: .tflite, .onnx or .xml")
    parser.add_argument("incoming", type=Path, help="folder where pictures arrive")
    parser.add_argument("results", type=Path, help="folder for the results")
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="answers a picture")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the engine")
    return parser


class FolderWatch(FileSystemEventHandler):
    """Takes the pictures of a folder, one after another."""

    def __init__(self, predictor: edgeferry.Predictor, options: argparse.Namespace) -> None:
        self._predictor, self._options = predictor, options
        self._arrived: SimpleQueue[Path | None] = SimpleQueue()  # a signal handler may fill it
        self._stopping = False

    def run(self) -> None:
        """Take what is there and what comes, until a signal does."""
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, self._stop)
        observer = InotifyObserver(generate_full_events=True)  # tells of files moved in
        wanted = [FileClosedEvent, FileMovedEvent]
        observer.schedule(self, str(self._options.incoming), event_filter=wanted)
        observer.start()
        notify("READY=1")
        while not self._stopping:
            unsettled = self._search()
            self._wait(SETTLED if unsettled else SEARCH)
        observer.stop()
        observer.join(PATIENCE)  # of a network drive it may never hear again

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by the observer, in its thread."""
        self._arrived.put(Path(os.fsdecode(event.dest_path or event.src_path)))

    def _stop(self, *_: object) -> None:
        self._stopping = True
        self._arrived.put(None)

    def _wait(self, seconds: float) -> None:
        """Take pictures as they arrive, for so long."""
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            notify("WATCHDOG=1")
            with suppress(Empty):
                path = self._arrived.get(timeout=left)
                if path is not None and is_picture(path):
                    self._take(path)

    def _search(self) -> bool:
        """Take all pictures without a result; tell whether some may not be whole yet."""
        unsettled = False
        for path in sorted(filter(is_picture, self._options.incoming.iterdir())):
            with suppress(FileNotFoundError):
                if self._stopping or self._is_done(path):
                    continue
                if 0 <= time.time() - path.stat().st_ctime < SETTLED:
                    unsettled = True
                else:
                    self._take(path)
        return unsettled

    def _is_done(self, path: Path) -> bool:
        try:
            recorded = json.loads(self._result(path).read_text(encoding="utf-8"))["modified"]
        except (OSError, ValueError, LookupError, TypeError):
            return False
        return bool(recorded == path.stat().st_mtime)

    def _take(self, path: Path) -> None:
        notify("WATCHDOG=1")
        with suppress(FileNotFoundError):
            told = {"picture": path.name, "modified": path.stat().st_mtime, **self._look(path)}
            try:
                atomic_write_text(self._result(path), json.dumps(told) + "\n")
            except OutputError as error:  # a full disk, say: the next search tries again
                print(error, file=sys.stderr)

    def _look(self, path: Path) -> dict[str, object]:
        told: dict[str, object] = {"artifact": self._options.artifact.name}
        try:
            answers = self._predictor.predict(path, top_k=self._options.top_k)
        except ImageError as error:
            path.stat()  # it was moved away: that is no error
            print(error, file=sys.stderr)
            return told | {"error": error.problem}
        return told | {"predictions": answer_rows(answers)}

    def _result(self, path: Path) -> Path:
        return Path(self._options.results, f"{path.name}.json")


def is_picture(path: Path) -> bool:
    """By its name; hidden files are those that rsync, say, still copies."""
    return path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()


def notify(state: str) -> None:
    """Tell systemd, where that started us."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.sendto(state.encode(), address.replace("@", "\0", 1))


if __name__ == "__main__":
    main()
