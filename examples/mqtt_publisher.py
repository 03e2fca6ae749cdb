"""Messages to an MQTT broker that may be away for a while."""

import json
import queue
import sys
from contextlib import suppress
from dataclasses import dataclass
from threading import Semaphore, Thread
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

ON_THEIR_WAY = 10
"""Messages that the client has and the broker has not acknowledged, at most; others wait here."""
PATIENCE = 5.0
"""Seconds to deliver what waits at the end."""


@dataclass(frozen=True)
class Broker:
    """Where to publish.

    Attributes:
        topic: Messages go to ``TOPIC/predictions``, the status to ``TOPIC/status``.
        host: Name or address.
        port: Its port.
        username: None where the broker wants none.
        password: Likewise.
        tls: A file of certificate authorities; empty for the system's, None for no TLS.
    """

    topic: str
    host: str = "localhost"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    tls: str | None = None

    def client(self) -> mqtt.Client:
        """A client that connects in the background, and again whenever it has to."""
        # The same id each time: a connection that hangs is ended by the next one, last will and
        # all, and not minutes later.
        name = f"edgeferry-{self.topic.replace('/', '-')}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
        client.reconnect_delay_set(min_delay=1, max_delay=30)
        if self.username:
            client.username_pw_set(self.username, self.password)
        if self.tls is not None:
            client.tls_set(self.tls or None)
        client.will_set(f"{self.topic}/status", "offline", qos=1, retain=True)
        client.connect_async(self.host, self.port, keepalive=20)
        return client


class Publisher:
    """Publishes in order, and at least once; while the broker is away, the newest are kept.

    Args:
        broker: Where to.
        size: How many messages wait at most; then the oldest is dropped, and counted.
    """

    def __init__(self, broker: Broker, size: int = 100) -> None:
        self._topic = broker.topic
        self._waiting: queue.Queue[str | None] = queue.Queue(max(size, 1))
        self._dropped = 0
        self._room = Semaphore(ON_THEIR_WAY)
        self._statuses: set[int] = set()
        self._client = broker.client()
        self._client.on_connect, self._client.on_publish = self._on_connect, self._on_publish
        self._client.on_connect_fail = lambda *_: log(f"cannot reach {broker.host}")
        self._client.on_disconnect = lambda *_: log("disconnected")
        self._client.loop_start()
        self._sender = Thread(target=self._send, daemon=True)
        self._sender.start()

    def put(self, message: dict[str, Any]) -> None:
        """Publish JSON as soon as it can be; the number of dropped messages is added to it."""
        self._put(json.dumps({**message, "dropped": self._dropped}))

    def close(self) -> None:
        """Deliver what waits, if the broker is there, and say goodbye."""
        patience = PATIENCE if self._client.is_connected() else 0.0
        self._put(None)
        self._sender.join(patience)
        with suppress(RuntimeError):  # not connected
            self._tell("offline").wait_for_publish(patience)
        self._client.disconnect()
        self._client.loop_stop()

    def _put(self, message: str | None) -> None:
        while True:
            try:
                return self._waiting.put_nowait(message)
            except queue.Full:
                with suppress(queue.Empty):
                    self._waiting.get_nowait()
                    self._dropped += 1

    def _send(self) -> None:
        while (message := self._waiting.get()) is not None:
            self._room.acquire()
            self._client.publish(f"{self._topic}/predictions", message, qos=1)

    def _tell(self, status: str) -> mqtt.MQTTMessageInfo:
        told = self._client.publish(f"{self._topic}/status", status, qos=1, retain=True)
        self._statuses.add(told.mid)
        return told

    def _on_connect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        log(f"connected: {reason}; {self._dropped} messages dropped so far")
        if not reason.is_failure:
            self._tell("online")

    def _on_publish(self, _: Any, __: Any, number: int, *___: Any) -> None:
        if number in self._statuses:
            self._statuses.remove(number)
        else:
            self._room.release()


def log(text: str) -> None:
    """Tell on standard error, where systemd's journal takes it from."""
    print(text, file=sys.stderr, flush=True)
