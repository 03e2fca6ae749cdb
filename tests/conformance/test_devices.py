"""What every device must do. A new one passes by subclassing ``DeviceConformance`` here.

One of another package does so in tests of its own: ``examples/plugin/tests``.
"""

import hashlib
import os
import sys
import threading

import pytest
from device_ends.processes import marked_processes, wait_until

from edgeferry.devices.device import Command, DeviceSettings
from edgeferry.devices.fake_device import FakeDevice
from edgeferry.devices.local_device import LocalDevice
from edgeferry.errors import DeviceError, DeviceLostError, TimeLimitError

pytest_plugins = ["device_ends.adb", "device_ends.emulation", "device_ends.openssh"]
pytest_plugins += ["device_ends.processes"]

ODD = ["", "two  words", "'", '"', "$HOME", "`id`", "a\nb", "*", "\\", "-x", "ünï ✓ 字", "a;b&c|d"]
BIG = 5_000_000
WAITING = "import time; print('here', flush=True); time.sleep(60)"


class DeviceConformance:
    """Inherit, and give the fixture ``device``; what it runs are processes of this machine."""

    @pytest.fixture
    def device(self):
        raise NotImplementedError

    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "some file.txt"
        path.write_text("content")
        return path

    def command(self, device, code, *arguments, **options):
        return Command([device.python, "-c", code, *arguments], **options)

    def printed(self, device, code, *arguments, **options):
        return device.run(self.command(device, code, *arguments, **options)).stdout

    def test_it_tells_exit_code_and_both_outputs(self, device):
        code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"
        done = device.run(self.command(device, code))
        assert (done.code, done.stdout, done.stderr) == (7, "out\n", "err\n")

    def test_it_tells_facts_of_its_machine(self, device):
        facts = device.facts()
        assert facts["architecture"]
        assert {"memory_mb", "governor", "temperature_c", "throttled"} <= set(facts)

    def test_success_is_0(self, device):
        assert device.run(self.command(device, "pass")).code == 0

    def test_a_signal_gives_a_shells_exit_code(self, device):
        done = device.run(self.command(device, "import os; os.kill(os.getpid(), 9)"))
        assert done.code == 137

    def test_arguments_arrive_unchanged(self, device):
        code = "import sys; print(ascii(sys.argv[1:]))"
        assert self.printed(device, code, *ODD) == f"{ODD!a}\n"

    def test_variables_are_set(self, device):
        code = "import os; print(ascii([os.environ['A'], os.environ['B']]))"
        values = ["$HOME 'x'", 'two\nlines "y" ✓']
        environment = dict(zip("AB", values, strict=True))
        assert self.printed(device, code, environment=environment) == f"{values!a}\n"

    def test_output_that_is_no_text_is_no_error(self, device):
        code = r"import os; os.write(1, b'\xff\r\nlast')"
        assert self.printed(device, code) == "\ufffd\nlast\n"

    def test_much_output_on_both_streams_comes_whole(self, device):
        code = "import sys\nfor i in range(40000): print(i); print('x' * 99, file=sys.stderr)"
        assert self.printed(device, code) == "".join(f"{i}\n" for i in range(40000))

    def test_commands_find_pushed_files_by_name(self, device, file):
        device.push(file, "deep/er/a name.txt")
        code = "import sys; print(open(sys.argv[1]).read())"
        assert self.printed(device, code, "deep/er/a name.txt") == "content\n"

    def test_lines_are_heard_while_the_command_runs(self, device, file):
        code = (
            "import os\nprint('ready', flush=True)\n"
            "while not os.path.exists('answer'): os.sched_yield()\n"
            "print(open('answer').read())"
        )
        heard = []

        def listen(line):
            heard.append(line)
            if line == "ready":
                device.push(file, "answer")

        done = device.run(self.command(device, code), listen)
        assert heard == ["ready", "content"]
        assert (done.code, done.stdout) == (0, "")

    def test_standard_input_is_empty(self, device):
        assert self.printed(device, "import sys; print(repr(sys.stdin.read()))") == "''\n"

    def test_a_command_that_takes_too_long_is_ended(self, device, marker):
        heard = []
        command = self.command(device, WAITING, marker, time_limit=0.5)
        with pytest.raises(TimeLimitError, match=r"more than 0\.5 s"):
            device.run(command, heard.append)
        wait_until(lambda: not marked_processes(marker))
        assert self.printed(device, "print('next')") == "next\n"

    def test_a_command_that_will_not_end_is_killed(self, device, marker):
        code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITING}"
        with pytest.raises(TimeLimitError):
            device.run(self.command(device, code, marker, time_limit=0.5))
        wait_until(lambda: not marked_processes(marker))

    def test_what_a_command_leaves_behind_ends_with_it(self, device, marker):
        code = "import os, time\nif os.fork() == 0: time.sleep(60)\nos._exit(3)"
        assert device.run(self.command(device, code, marker)).code == 3
        wait_until(lambda: not marked_processes(marker))

    @pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
    def test_an_error_of_the_listener_ends_the_command(self, device, marker, error):
        def listen(line):
            raise error

        with pytest.raises(error):
            device.run(self.command(device, WAITING, marker), listen)
        wait_until(lambda: not marked_processes(marker))

    def test_closing_from_another_thread_ends_a_command(self, device, marker):
        running = threading.Event()

        def close():
            running.wait()
            device.close()

        closer = threading.Thread(target=close)
        closer.start()
        with pytest.raises(DeviceLostError, match="closed"):
            device.run(self.command(device, WAITING, marker), lambda line: running.set())
        closer.join()
        wait_until(lambda: not marked_processes(marker))

    def test_closing_twice_is_no_error(self, device):
        self.printed(device, "print(1)")
        device.close()
        device.close()

    def test_a_device_never_used_can_be_closed(self, device):
        device.close()

    @pytest.mark.parametrize("size", [0, 1, BIG])
    def test_files_go_there_and_back_unchanged(self, device, tmp_path, size):
        source, back = tmp_path / "source", tmp_path / "back"
        source.write_bytes(os.urandom(size))
        device.push(source, "in a folder/it's $one")
        device.pull("in a folder/it's $one", back)
        assert back.read_bytes() == source.read_bytes()

    def test_a_file_is_replaced_whole(self, device, file, tmp_path):
        device.push(file, "name")
        file.write_text("new")
        device.push(file, "name")
        device.pull("name", tmp_path / "back")
        assert (tmp_path / "back").read_text() == "new"
        code = "import os; print(sorted(os.listdir()))"
        assert self.printed(device, code) == "['name']\n"

    def test_a_file_that_is_not_there_cannot_be_pulled(self, device, tmp_path):
        with pytest.raises(DeviceError, match="nothing-here"):
            device.pull("nothing-here", tmp_path / "back")
        assert not list(tmp_path.glob("*back*"))

    def test_a_file_that_is_not_here_cannot_be_pushed(self, device, tmp_path):
        with pytest.raises(DeviceError, match="nothing-here"):
            device.push(tmp_path / "nothing-here", "name")

    @pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", "", "."])
    def test_names_outside_the_folder_are_refused(self, device, file, name):
        for transfer in (
            lambda: device.push(file, name),
            lambda: device.pull(name, file.with_name("back")),
        ):
            with pytest.raises(DeviceError, match="not a path inside"):
                transfer()

    def test_a_folder_cannot_become_a_file(self, device, file):
        device.push(file, "name")
        with pytest.raises(DeviceError, match="name/below"):
            device.push(file, "name/below")

    def test_digests_are_sha256(self, device, file):
        assert device.digest("a name") is None
        device.push(file, "a name")
        assert device.digest("a name") == hashlib.sha256(b"content").hexdigest()

    def test_placed_files_lie_together_for_commands(self, device, file):
        other = file.with_name("other")
        other.write_text("more")
        first, second = device.place([file, other])
        code = "import sys, os; print(*(open(path).read() for path in sys.argv[1:]))"
        assert self.printed(device, code, first, second) == "content more\n"
        assert os.path.dirname(first) == os.path.dirname(second)


class SendingDeviceConformance(DeviceConformance):
    """Inherit instead, where placed files have to be sent."""

    @pytest.fixture
    def pushed(self, device, monkeypatch):
        """Names of the files that are pushed."""
        genuine, names = device.push, []

        def push(source, name):
            names.append(name)
            genuine(source, name)

        monkeypatch.setattr(device, "push", push)
        return names

    def test_a_file_is_sent_once(self, device, file, pushed):
        names = device.place([file])
        assert pushed == names
        assert device.place([file]) == names
        assert pushed == names

    def test_a_file_that_changed_here_is_sent_anew(self, device, file, pushed, tmp_path):
        device.place([file])
        file.write_text("changed")
        (name,) = device.place([file])
        assert len(pushed) == 2
        device.pull(name, tmp_path / "back")
        assert (tmp_path / "back").read_text() == "changed"

    def test_a_file_that_is_damaged_there_is_sent_anew(self, device, file, pushed, tmp_path):
        (name,) = device.place([file])
        (tmp_path / "damage").write_text("rubbish")
        device.push(tmp_path / "damage", name)
        device.place([file])
        assert pushed == [name, name, name]
        assert device.digest(name) == hashlib.sha256(b"content").hexdigest()


class TestLocal(DeviceConformance):
    @pytest.fixture
    def device(self):
        with LocalDevice(DeviceSettings("here")) as device:
            yield device


class TestFake(SendingDeviceConformance):
    @pytest.fixture
    def device(self):
        with FakeDevice(DeviceSettings("fake")) as device:
            yield device


class TestSsh(SendingDeviceConformance):
    @pytest.fixture
    def device(self, openssh):
        from edgeferry.devices.ssh_device import SshDevice

        with SshDevice(openssh.settings) as device:
            yield device


class TestAdb(SendingDeviceConformance):
    @pytest.fixture
    def device(self, phone):
        from edgeferry.devices.adb_device import AdbDevice

        address = f"adb://{phone.serial}"
        with AdbDevice(DeviceSettings("phone", address, python=sys.executable)) as device:
            yield device


@pytest.mark.slow
class TestEmulated(SendingDeviceConformance):
    @pytest.fixture
    def device(self, pi4):
        return pi4
