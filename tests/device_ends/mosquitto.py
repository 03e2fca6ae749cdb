"""A real Mosquitto broker on loopback, to be killed and started again, and who listens there."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from device_ends.processes import wait_until


def find_mosquitto() -> str | None:
    """The broker's program; Debian keeps it where only root's PATH looks."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """A broker that keeps its port from one start to the next, and nothing else.

    Args:
        folder: Where its configuration goes.
        settings: Lines of the configuration; by default it lets everybody in.
    """

    def __init__(self, folder: Path, settings: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self._settings = folder / "mosquitto.conf"
        common = f"user root\npersistence false\nlistener {self.port} 127.0.0.1\n"
        self._settings.write_text(common + settings + "\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        program = find_mosquitto()
        assert program is not None, "mosquitto is not installed"
        command = [program, "-c", str(self._settings)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(self._listens, "mosquitto does not listen")

    def kill(self) -> None:
        """SIGKILL: nobody is told goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Listener:
    """Hears all messages of one camera node, in the order they come; connects again by itself.

    Args:
        port: The broker's.
        topic: The node's.
    """

    def __init__(self, port: int, topic: str) -> None:
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.messages: list[dict[str, Any]] = []
        self.statuses: list[str] = []
        self._subscribed = False
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(min_delay=0.05, max_delay=0.2)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{topic}/#", qos=1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        wait_until(lambda: self._subscribed, "the broker takes no subscription")

    def frames(self) -> list[int]:
        """Numbers of the frames heard of."""
        return [message["frame"] for message in self.messages]

    def close(self) -> None:
        """Hear no more."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_subscribe(self, *_: Any) -> None:
        self._subscribed = True

    def _on_message(self, _: Any, __: Any, message: Any) -> None:
        if message.topic.endswith("/status"):
            self.statuses.append(message.payload.decode())
        else:
            self.messages.append(json.loads(message.payload))
