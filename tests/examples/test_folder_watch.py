"""The folder service takes each whole picture once, and lives on when one is broken."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from device_ends.processes import wait_until

pytest.importorskip("watchdog")
EXAMPLES = Path(__file__).parents[2] / "examples"
UNIT = EXAMPLES / "folder-watch.service"


@dataclass
class Folders:
    """Where pictures come and results go."""

    incoming: Path
    results: Path

    def result(self, name: str) -> dict[str, Any]:
        """What was told of a picture."""
        return dict(json.loads((self.results / f"{name}.json").read_text()))

    def wait_for(self, name: str) -> dict[str, Any]:
        """The same, as soon as it is there: sooner than the folder is searched again."""
        wait_until((self.results / f"{name}.json").exists, f"{name} was not taken")
        return self.result(name)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Both folders, empty."""
    found = Folders(tmp_path / "incoming", tmp_path / "results")
    found.incoming.mkdir()
    found.results.mkdir()
    return found


@pytest.fixture
def service(start, artifact, folders, tmp_path):
    """Call it to start the service; it is ready when the call returns."""

    def begin(**variables):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            address = tmp_path / "notify"
            address.unlink(missing_ok=True)
            systemd.bind(str(address))
            systemd.settimeout(60)
            arguments = [artifact, folders.incoming, folders.results]
            running = start("folder_watch.py", *arguments, NOTIFY_SOCKET=str(address), **variables)
            assert systemd.recv(100) == b"READY=1"
            assert systemd.recv(100) == b"WATCHDOG=1"
        return running

    return begin


def test_a_picture_moved_in_and_one_written(service, folders, pictures, predictor, artifact):
    service()
    moved = shutil.copy(pictures / "0-red.png", folders.incoming.parent / "away.png")
    os.rename(moved, folders.incoming / "moved.png")
    shutil.copy(pictures / "1-green.png", folders.incoming / "written.PNG")
    for name, original in (("moved.png", "0-red.png"), ("written.PNG", "1-green.png")):
        told = folders.wait_for(name)
        answers = predictor.predict(pictures / original, top_k=3)
        assert told["picture"] == name
        assert told["artifact"] == artifact.name
        assert told["modified"] == (folders.incoming / name).stat().st_mtime
        assert told["predictions"] == [asdict(answer) for answer in answers]


def test_a_picture_is_left_alone_while_it_is_written(service, folders, pictures):
    service()
    content = (pictures / "0-red.png").read_bytes()
    with (folders.incoming / "slow.png").open("wb") as slow:
        slow.write(content[:100])
        slow.flush()
        shutil.copy(pictures / "1-green.png", folders.incoming / "quick.png")
        folders.wait_for("quick.png")
        assert not (folders.results / "slow.png.json").exists()
        slow.write(content[100:])
    assert folders.wait_for("slow.png")["predictions"][0]["label"] == "red"


def test_a_broken_picture_is_reported(service, folders, pictures):
    running = service()
    (folders.incoming / "broken.jpg").write_bytes(b"no picture")
    (folders.incoming / "empty.jpg").touch()
    cut = (pictures / "0-red.png").read_bytes()[:200]
    (folders.incoming / "cut.png").write_bytes(cut)
    shutil.copy(pictures / "1-green.png", folders.incoming / "whole.png")
    folders.wait_for("whole.png")
    for name in ("broken.jpg", "empty.jpg", "cut.png"):
        assert "error" in folders.wait_for(name)
        assert "predictions" not in folders.result(name)
        assert name in running.complained()
    assert running.process.poll() is None


def test_what_is_no_picture_is_left_alone(service, folders, pictures):
    service()
    (folders.incoming / "notes.txt").write_text("nothing")
    (folders.incoming / "folder.png").mkdir()
    shutil.copy(pictures / "0-red.png", folders.incoming / ".hidden.png")
    shutil.copy(pictures / "1-green.png", folders.incoming / "last.png")
    folders.wait_for("last.png")
    assert [path.name for path in folders.results.iterdir()] == ["last.png.json"]


def test_a_picture_written_over_is_taken_again(service, folders, pictures):
    service()
    for original, label in (("0-red.png", "red"), ("2-blue.png", "blue")):
        shutil.copy(pictures / original, folders.incoming / "same.png")

        def is_told(label: str = label) -> bool:
            return folders.wait_for("same.png")["predictions"][0]["label"] == label

        wait_until(is_told, "the picture was not taken again")


def test_after_a_restart_only_what_is_new_is_taken(service, folders, pictures):
    running = service()
    for name in ("0-red.png", "1-green.png"):
        shutil.copy(pictures / name, folders.incoming)
        folders.wait_for(name)
    (folders.incoming / "broken.png").write_bytes(b"no picture")
    folders.wait_for("broken.png")
    before = {path.name: path.stat().st_ino for path in folders.results.iterdir()}
    assert running.stop(signal.SIGTERM) == 0
    shutil.copy(pictures / "2-blue.png", folders.incoming)  # while nobody looks
    (folders.incoming / "1-green.png").write_bytes((pictures / "3-red.png").read_bytes())
    service()
    assert folders.wait_for("2-blue.png")["predictions"][0]["label"] == "blue"
    shutil.copy(pictures / "4-green.png", folders.incoming)
    folders.wait_for("4-green.png")
    assert folders.result("1-green.png")["predictions"][0]["label"] == "red"
    after = {path.name: path.stat().st_ino for path in folders.results.iterdir()}
    for name in ("0-red.png.json", "broken.png.json"):
        assert after[name] == before[name]
    assert len(after) == 5  # and nothing half-written


def test_results_that_cannot_be_written_do_not_end_it(service, folders, pictures):
    running = service()
    folders.results.rmdir()
    shutil.copy(pictures / "0-red.png", folders.incoming)
    wait_until(lambda: "cannot write" in running.complained(), "it was not told")
    folders.results.mkdir()
    shutil.copy(pictures / "1-green.png", folders.incoming)
    folders.wait_for("1-green.png")
    assert running.process.poll() is None


def test_folders_that_are_not_there_are_told(start, artifact, folders, tmp_path):
    running = start("folder_watch.py", artifact, tmp_path / "nowhere", folders.results)
    assert running.process.wait(timeout=60) == 2
    assert "there is no folder" in running.complained()


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_systemd_takes_the_unit(tmp_path):
    unit = tmp_path / UNIT.name
    command = [sys.executable, str(EXAMPLES / "folder_watch.py")]
    content = UNIT.read_text().replace("/opt/edgeferry/bin/python", command[0])
    unit.write_text(content.replace("/opt/edgeferry/folder_watch.py", command[1]))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True
    )
    assert verified.returncode == 0, verified.stderr
    assert "Unknown" not in verified.stderr
    security = ["systemd-analyze", "security", "--offline=yes", "--threshold=15", str(unit)]
    assert subprocess.run(security, capture_output=True).returncode == 0  # 0 to 100; 15 is safe


def test_the_unit_starts_it_as_it_wants_to_be_started(start):
    (line,) = [each for each in UNIT.read_text().splitlines() if each.startswith("ExecStart=")]
    arguments = line.split()[2:]
    running = start("folder_watch.py", *arguments)
    assert running.process.wait(timeout=60) == 2
    assert "there is no folder /srv/pictures/incoming" in running.complained()
