"""A real SSH server, and everything that can go wrong with it: one clear message each time."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from device_ends.processes import marked_processes, wait_until
from device_ends.sshd import SHELL, USER, free_port, new_key

from edgeferry.devices.device import Command, DeviceSettings
from edgeferry.errors import DeviceError, DeviceLostError, TimeLimitError, UsageError

pytest.importorskip("asyncssh")
pytest_plugins = ["device_ends.openssh", "device_ends.processes"]

from edgeferry.devices import ssh_login  # noqa: E402
from edgeferry.devices.ssh_address import SshAddress  # noqa: E402
from edgeferry.devices.ssh_device import SshDevice  # noqa: E402

WAITING = "import time; print('here', flush=True); time.sleep(60)"
HELLO = Command([sys.executable, "-c", "print('hello')"])


@pytest.fixture
def device(openssh):
    with SshDevice(openssh.settings) as device:
        yield device


def at(address):
    return SshDevice(DeviceSettings("pi", address))


def failure(device, kind=DeviceError):
    """The message of what a command fails with."""
    with device, pytest.raises(kind) as caught:
        device.run(HELLO)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2
    assert device.name in message
    return message


def waiting(marker, **options):
    return Command([sys.executable, "-c", WAITING, marker], **options)


def test_its_files_are_in_the_home_folder_unless_one_is_named(openssh, device, tmp_path):
    (tmp_path / "file").write_text("content")
    device.push(tmp_path / "file", "file")
    assert (openssh.home / ".cache/edgeferry/file").read_text() == "content"
    named = DeviceSettings("edge", "ssh://edge", folder="~/other")
    with SshDevice(named) as other:
        other.push(tmp_path / "file", "file")
    assert (openssh.home / "other/file").read_text() == "content"


def test_a_python_by_a_relative_path_is_one_in_the_home_folder(openssh, tmp_path):
    environment = openssh.home / "my venv" / "bin"
    environment.mkdir(parents=True)
    (environment / "python").symlink_to(sys.executable)
    elsewhere = str(tmp_path / "elsewhere")
    for named in ("my venv/bin/python", "~/my venv/bin/python", str(environment / "python")):
        settings = DeviceSettings("edge", "ssh://edge", folder=elsewhere, python=named)
        with SshDevice(settings) as device:
            assert device.run(Command([device.python, "-c", "print(6 * 7)"])).stdout == "42\n"


def test_user_host_and_port_reach_it_too(openssh):
    with at(f"ssh://{USER}@127.0.0.1:{openssh.port}") as device:
        assert device.run(HELLO).stdout == "hello\n"


def test_a_jump_host_of_ssh_config_is_used(openssh):
    with (openssh.client / "config").open("a") as file:
        file.write(f"Host behind\n HostName 127.0.0.1\n Port {openssh.port}\n ProxyJump edge\n")
    with at("ssh://behind") as device:
        assert device.run(HELLO).stdout == "hello\n"
        assert len(openssh.sessions()) == 2


def test_known_hosts_and_key_of_ssh_config_are_used(openssh, tmp_path):
    for name in ("known_hosts", "id_ed25519"):
        (openssh.client / name).rename(tmp_path / name)
    with (openssh.client / "config").open("a") as file:
        file.write(f" UserKnownHostsFile {tmp_path}/none {tmp_path}/known_hosts\n")
        file.write(f" IdentityFile {tmp_path}/id_ed25519\n")
    with at("ssh://edge") as device:
        assert device.run(HELLO).stdout == "hello\n"


def test_keys_of_the_agent_are_used(openssh, monkeypatch, tmp_path):
    socket_path, key = tmp_path / "agent", openssh.client / "id_ed25519"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket_path], stdout=subprocess.DEVNULL)
    try:
        wait_until(socket_path.exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket_path))
        subprocess.run(["ssh-add", key], check=True, stderr=subprocess.DEVNULL)
        key.unlink()
        with at("ssh://edge") as device:
            assert device.run(HELLO).stdout == "hello\n"
    finally:
        agent.kill()
        agent.wait()


@pytest.mark.skipif(not SHELL.endswith("/bash"), reason="the login shell is no bash")
def test_a_shell_that_prints_something_when_it_starts_does_no_harm(openssh, device, tmp_path):
    (openssh.home / ".bashrc").write_text("echo noise; echo -n more; touch ~/noisy; exec 2>&1\n")
    (tmp_path / "file").write_bytes(os.urandom(100_000))
    device.push(tmp_path / "file", "file")
    device.pull("file", tmp_path / "back")
    assert (openssh.home / "noisy").exists()
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    assert device.run(HELLO).stdout == "hello\n"
    assert device.place([tmp_path / "file"])


def test_a_program_that_is_not_there_is_told_by_the_exit_code(openssh):
    settings = DeviceSettings("edge", "ssh://edge", python="python9")
    with SshDevice(settings) as device:
        done = device.run(Command([device.python, "-c", "print()"]))
    assert done.code == 127
    assert "python9" in done.stderr


def test_a_time_limit_ends_the_command_there(device, marker):
    with pytest.raises(TimeLimitError, match=r"took more than 0\.5 s on edge"):
        device.run(waiting(marker, time_limit=0.5))
    wait_until(lambda: not marked_processes(marker))


def test_an_exit_code_like_that_of_a_time_limit_is_just_that(device):
    code = "import sys; sys.exit(124)"
    assert device.run(Command([sys.executable, "-c", code])).code == 124


def test_a_command_that_stops_its_own_guard_is_given_up(openssh, device, marker, monkeypatch):
    monkeypatch.setattr("edgeferry.devices.ssh_device._MARGIN", 0.5)
    code = "import os; os.killpg(0, 19)"
    with pytest.raises(TimeLimitError, match=r"took more than .* s on edge"):
        device.run(Command([sys.executable, "-c", code, marker], time_limit=0.5))
    wait_until(lambda: not marked_processes(marker))


def test_a_server_process_that_is_killed_is_a_lost_device(openssh, device, marker):
    heard = []

    def kill(line):
        heard.append(line)
        for pid in openssh.sessions():
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(DeviceLostError, match="edge was lost"):
        device.run(waiting(marker), kill)
    assert heard == ["here"]
    wait_until(lambda: not marked_processes(marker))
    assert device.run(HELLO).stdout == "hello\n"  # it is there again


def test_a_host_that_freezes_is_a_lost_device(openssh, device, marker):
    frozen = []

    def freeze(line):
        frozen.extend(openssh.sessions())
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)

    with pytest.raises(DeviceLostError, match=r"edge was lost: .*not responding"):
        device.run(waiting(marker), freeze)
    assert frozen
    assert marked_processes(marker)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not marked_processes(marker))


CLIENT = f"""
import os, sys
from edgeferry.devices.device import Command, DeviceSettings
from edgeferry.devices.ssh_device import SshDevice
command = Command([sys.executable, '-c', {WAITING!r}, os.environ['MARKER']])
device = SshDevice(DeviceSettings('edge', 'ssh://edge'))
try:
    device.run(command, lambda line: print(line, flush=True))
except KeyboardInterrupt:
    print(device.run(Command(['echo', 'hello'])).stdout)
"""


@pytest.fixture
def client(openssh, marker):
    """A process that waits for a command on the device."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT],
        env={**os.environ, "MARKER": marker},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process


def test_a_client_that_is_killed_leaves_no_command_behind(client, marker):
    with client:
        assert client.stdout.readline() == "here\n"
        assert marked_processes(marker)
        client.kill()
    wait_until(lambda: not marked_processes(marker))


def test_ctrl_c_while_a_command_is_waited_for_ends_it(client, marker):
    with client:
        assert client.stdout.readline() == "here\n"
        client.send_signal(signal.SIGINT)
        assert client.stdout.readline() == "hello\n"
    wait_until(lambda: not marked_processes(marker))


def test_a_push_that_is_cut_off_leaves_nothing(openssh, device, tmp_path):
    with (tmp_path / "big").open("wb") as file:
        file.truncate(300_000_000)
    folder = openssh.home / ".cache/edgeferry"

    def cut_off():
        wait_until(lambda: list(folder.glob(".big.*")))
        for pid in openssh.sessions():
            os.kill(pid, signal.SIGKILL)

    cutter = threading.Thread(target=cut_off)
    cutter.start()
    with pytest.raises(DeviceLostError, match="edge was lost"):
        device.push(tmp_path / "big", "big")
    cutter.join()
    wait_until(lambda: not list(folder.iterdir()))


def test_a_full_disk_is_told_with_what_is_free_and_needed(openssh, device, tmp_path):
    namespace = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-Urm"]
    mount = "mkdir -p full && mount -t tmpfs -o size=1m none full"
    if subprocess.run([*namespace, "sh", "-c", mount], cwd=tmp_path, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    openssh.wrap(
        'if [ -z "$INSIDE" ]; then\n'
        f'INSIDE=1 exec {" ".join(namespace)} sh "$0"\n'
        f"fi\nmkdir -p .cache/edgeferry\n{mount.replace('full', '.cache/edgeferry')} || exit"
    )
    (tmp_path / "big").write_bytes(bytes(3_000_000))
    with pytest.raises(DeviceError) as caught:
        device.push(tmp_path / "big", "some/big")
    assert str(caught.value) == (
        "there is no space for some/big on edge: it needs 3.0 MB, 1.0 MB are free"
    )


def test_a_folder_that_cannot_be_made_is_named(openssh, tmp_path):
    (openssh.home / "taken").touch()
    settings = DeviceSettings("edge", "ssh://edge", folder="taken/folder")
    with SshDevice(settings) as device:
        with pytest.raises(DeviceError, match=r"file cannot be sent to edge: .*taken"):
            device.push(openssh.home / "taken", "file")
        message = failure(device)
    assert "did not start on edge: mkdir" in message
    assert "taken" in message


def test_an_account_without_a_shell_is_told_by_its_own_words(openssh, device):
    openssh.wrap("echo This account is currently not available.; exit 1")
    assert "This account is currently not available." in failure(device)


def test_a_refused_port_is_told(openssh):
    port = free_port()
    message = failure(at(f"ssh://127.0.0.1:{port}"))
    assert f"127.0.0.1 port {port} refuses connections" in message
    assert f"ssh -p {port} 127.0.0.1" in message
    assert "localhost" in failure(at(f"ssh://localhost:{port}"))


def test_a_silent_port_is_told_in_time(openssh, monkeypatch):
    monkeypatch.setattr(ssh_login, "SECONDS_TO_CONNECT", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        message = failure(at(f"ssh://127.0.0.1:{port}"))
    assert f"127.0.0.1 port {port} did not answer within 1 s" in message


def test_a_port_of_another_protocol_is_told(openssh):
    def answer():
        connection, _ = other.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=answer)
        thread.start()
        assert "cannot be reached" in failure(at(f"ssh://127.0.0.1:{other.getsockname()[1]}"))
        thread.join()


def test_closing_ends_a_login_that_gets_no_answer(openssh):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        device = at(f"ssh://127.0.0.1:{silent.getsockname()[1]}")

        def close():
            with silent.accept()[0]:
                device.close()

        closer = threading.Thread(target=close)
        closer.start()
        assert "closed" in failure(device, DeviceLostError)
        closer.join()


def test_a_host_that_does_not_exist_is_told(openssh):
    assert "there is no host no-such-host.invalid" in failure(at("ssh://no-such-host.invalid"))


def test_an_unknown_host_key_is_refused_with_the_way_out(openssh, device):
    (openssh.client / "known_hosts").unlink()
    message = failure(device)
    assert "host key of edge (127.0.0.1) is not known" in message
    assert "compare its fingerprint: ssh edge" in message
    assert f"ssh-keyscan -p {openssh.port} 127.0.0.1" in message
    assert "BEWARE" not in message


def test_a_known_hosts_file_that_is_none_trusts_nobody(openssh, device):
    (openssh.client / "known_hosts").unlink()
    with (openssh.client / "config").open("a") as file:
        file.write(" UserKnownHostsFile none\n StrictHostKeyChecking no\n")
    assert "is not known" in failure(device)


def test_a_key_known_of_another_port_is_no_warning(openssh, device):
    key = new_key().export_public_key().decode()
    (openssh.client / "known_hosts").write_text(f"127.0.0.1 {key}")
    message = failure(device)
    assert "is not known" in message
    assert "BEWARE" not in message


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
def test_a_changed_host_key_is_a_warning(openssh, device, kind):
    openssh.know(new_key(kind).export_public_key().decode().strip())
    message = failure(device)
    assert "BEWARE: edge (127.0.0.1) shows another host key" in message
    assert f"ssh-keygen -R '[127.0.0.1]:{openssh.port}'" in message


def test_a_revoked_host_key_is_a_warning(openssh, device):
    known = openssh.client / "known_hosts"
    known.write_text(f"@revoked {known.read_text()}")
    assert "BEWARE" in failure(device)


def test_a_key_that_is_not_let_in_is_told(openssh, device):
    new_key().write_private_key(openssh.client / "id_ed25519")
    message = failure(device)
    assert f"edge lets {USER} in with none of the keys at hand" in message
    assert "ssh-copy-id" in message


@pytest.mark.parametrize(("name", "text"), [("config", "Port many\n"), ("known_hosts", "rubbish")])
def test_settings_that_cannot_be_read_are_told(openssh, device, name, text):
    (openssh.client / name).write_text(text)
    assert "the settings for edge in ~/.ssh cannot be used" in failure(device)


def test_a_command_needs_no_connection_before_it_is_run():
    at("ssh://no-such-host.invalid").close()


@pytest.mark.parametrize(
    ("text", "address", "command"),
    [
        ("ssh://Pi", SshAddress("Pi"), "ssh Pi"),
        ("ssh://me@pi:2222/", SshAddress("pi", "me", 2222), "ssh -p 2222 me@pi"),
        ("ssh://me@[fe80::1%eth0]:22", SshAddress("fe80::1%eth0", "me", 22), None),
    ],
)
def test_addresses_are_read(text, address, command):
    assert SshAddress.parse(text) == address
    assert command in (None, address.command)


@pytest.mark.parametrize(
    "text", ["ssh://", "ssh://a b:x", "ssh://pi:port", "ssh://a@b@c", "ssh:pi"]
)
def test_other_addresses_are_refused(text):
    with pytest.raises(UsageError, match="ssh://user@host:port"):
        at(text)
