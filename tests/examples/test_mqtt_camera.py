"""The camera node publishes what the predictor says, and outlives its broker."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from device_ends.mosquitto import Listener, Mosquitto, find_mosquitto
from device_ends.processes import wait_until

pytest.importorskip("paho.mqtt.client")
from mqtt_publisher import ON_THEIR_WAY

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
TOPIC = "home/door"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker, not started yet."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def listen(broker: Mosquitto) -> Iterator[Any]:
    """Call it for a listener."""
    listeners: list[Listener] = []

    def begin() -> Listener:
        listeners.append(Listener(broker.port, TOPIC))
        return listeners[-1]

    yield begin
    for each in listeners:
        each.close()


@pytest.fixture
def node(start, artifact, pictures, broker):
    """Call it to start a node."""

    def begin(*arguments, source=pictures, interval=0.01, **variables):
        common = ["--source", source, "--port", broker.port, "--topic", TOPIC]
        return start(
            "mqtt_camera.py", artifact, *common, "--interval", interval, *arguments, **variables
        )

    return begin


def test_it_publishes_what_the_predictor_says(node, listen, broker, artifact, pictures, predictor):
    broker.start()
    listener = listen()
    node("--top-k", 2)
    wait_until(lambda: len(listener.messages) > 12, "no messages came")
    heard = listener.messages[:13]
    assert [message["frame"] for message in heard] == list(range(13))
    files = sorted(pictures.iterdir())
    for message in heard:
        answers = predictor.predict(files[message["frame"] % len(files)], top_k=2)
        assert message["predictions"] == [asdict(answer) for answer in answers]
        assert message["artifact"] == artifact.name
        assert message["inference_ms"] > 0
        assert message["dropped"] == 0
        age = datetime.now(UTC) - datetime.fromisoformat(message["time"])
        assert timedelta(0) < age < timedelta(minutes=10)


def test_a_broken_picture_is_passed_over(node, listen, broker, pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    (folder / "2-blue.png").write_bytes(b"no picture")
    broker.start()
    listener = listen()
    running = node(source=folder)
    wait_until(lambda: len(listener.messages) > 8, "no messages came")
    assert listener.frames()[:9] == [0, 1, 3, 4, 5, 6, 7, 9, 10]
    assert "frame 2: " in running.complained()


def test_its_status_is_retained_and_ends_with_offline(node, listen, broker):
    broker.start()
    early = listen()
    running = node()
    wait_until(lambda: early.messages, "no message came")
    late = listen()
    wait_until(lambda: late.statuses == ["online"], "the status is not retained")
    assert running.stop(signal.SIGTERM) == 0
    wait_until(lambda: early.statuses == ["online", "offline"], "it did not say goodbye")
    later = listen()
    wait_until(lambda: later.statuses == ["offline"], "the last status is not retained")


def test_what_waits_is_delivered_before_it_ends(node, listen, broker):
    broker.start()
    listener = listen()
    running = node("--queue", 1000, interval=0)
    wait_until(lambda: listener.messages, "no message came")
    assert running.stop(signal.SIGINT) == 0
    wait_until(lambda: listener.statuses[-1] == "offline", "it did not say goodbye")
    assert listener.frames() == list(range(len(listener.messages)))


def test_the_broker_tells_when_it_was_killed(node, listen, broker):
    broker.start()
    listener = listen()
    running = node()
    wait_until(lambda: listener.messages, "no message came")
    running.stop(signal.SIGKILL)
    wait_until(lambda: listener.statuses == ["online", "offline"], "there was no last will")


def test_it_goes_on_when_its_broker_is_back(node, listen, broker):
    broker.start()
    listener = listen()
    running = node()
    for _ in range(2):
        wait_until(lambda: len(listener.messages) > 50, "it does not go on")
        broker.kill()
        last = max(listener.frames())
        listener.messages.clear()
        listener.statuses.clear()
        broker.start()
        wait_until(lambda: "online" in listener.statuses, "it did not come back")
    wait_until(lambda: max(listener.frames(), default=0) > last + 50, "it does not go on")
    assert running.process.poll() is None


def test_while_its_broker_is_away_the_oldest_are_dropped_and_counted(node, listen, broker):
    running = node("--queue", 5, interval=0.005)
    # A second lies between the first attempts, for a hundred frames.
    wait_until(lambda: running.complained().count("cannot reach") == 2, "it does not try again")
    running.process.send_signal(signal.SIGSTOP)
    broker.start()
    listener = listen()
    running.process.send_signal(signal.SIGCONT)

    def live() -> bool:
        return len(listener.messages) > 80 and listener.messages[-50]["dropped"] > 0

    wait_until(live, "it did not come")
    frames, last = listener.frames(), listener.messages[-1]
    missing = sorted(set(range(last["frame"])) - set(frames))
    assert missing[0] == ON_THEIR_WAY + 1  # and one is in the hands of the sender
    assert missing == list(range(missing[0], missing[-1] + 1))
    assert len(missing) == last["dropped"]
    assert frames == sorted(frames)
    kept = [each for each in listener.messages if each["frame"] > missing[-1]]
    assert kept[0]["dropped"] < len(missing)  # it was put when fewer were dropped


def test_it_ends_without_its_broker(node):
    running = node()
    wait_until(lambda: "cannot reach" in running.complained(), "it does not look for its broker")
    assert running.stop(signal.SIGTERM) == 0


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that wants a password, and speaks TLS with ``tmp_path/ca.pem``."""
    write_certificate(tmp_path / "ca.pem", tmp_path / "key.pem")
    passwords = tmp_path / "passwords"
    command = ["mosquitto_passwd", "-b", "-c", str(passwords), "door", "secret"]
    subprocess.run(command, check=True, capture_output=True)
    files = {"password_file": passwords, "certfile": "ca.pem", "keyfile": "key.pem"}
    lines = [f"{name} {tmp_path / file}" for name, file in files.items()]
    broker = Mosquitto(tmp_path, "\n".join(["allow_anonymous false", *lines]))
    broker.start()
    yield broker
    broker.kill()


def test_a_broker_with_tls_and_passwords(start, artifact, pictures, guarded, tmp_path):
    common = [artifact, "--source", pictures, "--host", "localhost", "--port", guarded.port]
    common += ["--username", "door", "--tls", tmp_path / "ca.pem"]
    refused = start("mqtt_camera.py", *common, "--topic", "a", MQTT_PASSWORD="wrong")
    welcome = start("mqtt_camera.py", *common, "--topic", "b", MQTT_PASSWORD="secret")
    wait_until(lambda: "connected: Success" in welcome.complained(), "it was not let in")
    wait_until(lambda: "connected: Not authorized" in refused.complained(), "it was let in")
    assert refused.stop(signal.SIGTERM) == 0
    assert welcome.stop(signal.SIGTERM) == 0


def write_certificate(certificate: Path, key: Path) -> None:
    """A certificate for localhost that vouches for itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def test_a_topic_that_cannot_be_published_to(start, artifact):
    running = start("mqtt_camera.py", artifact, "--topic", "home/#")
    assert running.process.wait(timeout=60) == 2
    assert "cannot be published to" in running.complained()
