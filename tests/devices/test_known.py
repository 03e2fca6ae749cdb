"""The user's devices: kept in their file, found by name, and said right when said wrong."""

import builtins
import json

import pytest
from typer.testing import CliRunner

from edgeferry.app.cli_devices import devices_app
from edgeferry.devices.device import DeviceSettings
from edgeferry.devices.known import add_device, devices_file, known_devices, resolve_device
from edgeferry.errors import MissingDependencyError, OutputError, UsageError

PI = DeviceSettings("pi", "ssh://pi@host:2222", "raspberry-pi-4", "/opt/py/bin/python", "work")


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    """The file of the user's devices; it is not there yet."""
    monkeypatch.setenv("EDGEFERRY_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config" / "devices.toml"


def write(config, text):
    config.parent.mkdir(exist_ok=True)
    config.write_text(text)


def run(*arguments):
    """Run ``edgeferry devices`` with what must succeed; gives standard output."""
    result = CliRunner().invoke(devices_app, arguments)
    if result.exception:
        raise result.exception
    return result.stdout


def document(command, *arguments):
    """What a command writes as JSON."""
    found = json.loads(run(*arguments, "--json", "-"))
    assert (found["tool"]["command"], found["results"]) == (command, [])
    return found


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"EDGEFERRY_CONFIG": "/a", "XDG_CONFIG_HOME": "/b"}, "/a/devices.toml"),
        ({"XDG_CONFIG_HOME": "/b"}, "/b/edgeferry/devices.toml"),
        ({"XDG_CONFIG_HOME": ""}, "/home/me/.config/edgeferry/devices.toml"),
        ({}, "/home/me/.config/edgeferry/devices.toml"),
    ],
)
def test_where_the_file_is(monkeypatch, variables, expected):
    for name in ("EDGEFERRY_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(devices_file()) == expected


def test_there_are_no_devices_before_one_is_added():
    assert known_devices() == {}


def test_an_added_device_comes_back_as_it_was(tmp_path):
    program = tmp_path / "benchmark_model"
    program.touch()
    phone = DeviceSettings("phone", "adb://R58", "android-phone", benchmark_model=program)
    add_device(PI)
    add_device(phone)
    assert list(known_devices().values()) == [PI, phone]
    assert resolve_device("phone") == phone


def test_adding_keeps_comments_and_order(config):
    write(config, '# mine\n[old]  # the first\naddress = "ssh://old"\n')
    add_device(PI)
    text = config.read_text()
    assert text.startswith('# mine\n[old]  # the first\naddress = "ssh://old"\n')
    assert list(known_devices()) == ["old", "pi"]


def test_replacing_keeps_comments_and_drops_settings_that_are_gone(config):
    write(
        config,
        '[pi]\n# in the hall\naddress = "ssh://old"\nfolder = "x"\n\n[other]\naddress = "adb://s"\n',
    )
    add_device(DeviceSettings("pi", "ssh://new", "raspberry-pi-5"), replace=True)
    assert known_devices()["pi"] == DeviceSettings("pi", "ssh://new", "raspberry-pi-5")
    assert list(known_devices()) == ["pi", "other"]
    assert "# in the hall" in config.read_text()


def test_a_name_that_is_taken_is_refused_with_the_way_out(config):
    add_device(PI)
    before = config.read_text()
    with pytest.raises(UsageError, match=r"'pi' .* already\n.*--replace"):
        add_device(DeviceSettings("pi", "ssh://new"))
    assert config.read_text() == before


@pytest.mark.parametrize("name", ["", "local", "my pi", "pi.1", "pi/../x", "pï"])
def test_a_malformed_name_is_refused(config, name):
    with pytest.raises(UsageError, match="cannot be named"):
        add_device(DeviceSettings(name, "ssh://host"))
    assert not config.exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (DeviceSettings("x", "host"), r"'host' is no address.*\n.*ssh://user@host"),
        (DeviceSettings("x", "telnet://host"), "is no address"),
        (DeviceSettings("x", "local://"), "is no address"),
        (DeviceSettings("x", "ssh://h", "raspberry-pi4"), "nearest: raspberry-pi-4"),
        (DeviceSettings("x", "emulated://raspberry-pi4"), "nearest: raspberry-pi-4"),
        (DeviceSettings("x", "emulated://android-phone"), "cannot be emulated; .*raspberry-pi-4"),
        (DeviceSettings("x", "emulated://raspberry-pi-4", "raspberry-pi-5"), "is of the profile"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(config, settings, told):
    with pytest.raises(UsageError, match=told):
        add_device(settings)
    assert not config.exists()


def test_a_benchmark_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        add_device(DeviceSettings("x", "adb://s", benchmark_model=tmp_path / "missing"))


def test_a_folder_that_cannot_be_made_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEFERRY_CONFIG", str(tmp_path / "file"))
    with pytest.raises(OutputError, match=f"cannot make {tmp_path}/file"):
        add_device(PI)


def test_without_tomlkit_the_extra_that_brings_it_is_named(monkeypatch):
    monkeypatch.setattr("edgeferry.devices.known.is_installed", lambda module: module != "tomlkit")
    with pytest.raises(MissingDependencyError, match=r"edgeferry\[cli\]"):
        add_device(PI)


def test_reading_devices_needs_no_tomlkit(config, monkeypatch):
    write(config, '[pi]\naddress = "ssh://host"\n')
    monkeypatch.setattr(builtins, "__import__", refuse_tomlkit(builtins.__import__))
    assert known_devices()["pi"].address == "ssh://host"


def refuse_tomlkit(real):
    def importer(name, *arguments):
        assert name != "tomlkit"
        return real(name, *arguments)

    return importer


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[pi\n", r"devices.toml is no valid TOML: .*line 1"),
        ("pi = 3\n", "device pi has to be a table"),
        ("[pi]\n", "device pi: 'address' is missing"),
        ("[pi]\naddress = 3\n", "'address' has to be a text, not 3"),
        ('[pi]\naddress = "ssh://h"\nport = 1\n', r"unknown key 'port'\nKnown: address, profile"),
        ('[pi]\naddress = "h"\n', "device pi: 'h' is no address"),
        ('[pi]\naddress = "ssh://h"\nprofile = "raspberry-pi4"\n', "device pi: .*raspberry-pi-4"),
        ('["my pi"]\naddress = "ssh://h"\n', "cannot be named 'my pi'"),
    ],
)
def test_a_malformed_file_is_refused_with_the_place(config, text, told):
    write(config, text)
    with pytest.raises(UsageError, match=told) as caught:
        known_devices()
    assert str(config) in str(caught.value)


def test_a_file_that_is_no_text_is_refused(config):
    write(config, "")
    config.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="no valid TOML"):
        known_devices()


def test_a_benchmark_model_is_found_beside_the_file(config):
    write(config, '[phone]\naddress = "adb://s"\nbenchmark_model = "bin/benchmark_model"\n')
    assert known_devices()["phone"].benchmark_model == config.parent / "bin/benchmark_model"


def test_this_machine_and_addresses_need_no_file(config):
    write(config, "[pi\n")
    assert resolve_device("local") == DeviceSettings("local")
    assert resolve_device("ssh://pi@host") == DeviceSettings("ssh://pi@host", "ssh://pi@host")
    emulated = resolve_device("emulated://raspberry-pi-4")
    assert (emulated.address, emulated.profile) == ("emulated://raspberry-pi-4", "raspberry-pi-4")


def test_an_emulated_device_of_the_file_has_the_profile_of_its_address():
    add_device(DeviceSettings("sim", "emulated://raspberry-pi-5"))
    assert resolve_device("sim").profile == "raspberry-pi-5"


@pytest.mark.parametrize(
    ("profile", "ways"),
    [
        (
            "raspberry-pi-4",
            "ssh://user@host --profile raspberry-pi-4, or emulated://raspberry-pi-4",
        ),
        ("android-phone", "edgeferry devices add NAME adb://serial --profile android-phone"),
    ],
)
def test_a_profile_alone_is_no_device_and_the_ways_to_one_are_told(profile, ways):
    with pytest.raises(UsageError, match="kind of device") as caught:
        resolve_device(profile)
    assert caught.value.remedy.endswith(ways)


def test_a_device_may_be_named_like_its_profile():
    add_device(DeviceSettings("raspberry-pi-4", "ssh://host", "raspberry-pi-4"))
    assert resolve_device("raspberry-pi-4").address == "ssh://host"


def test_an_unknown_device_lists_the_nearest():
    add_device(DeviceSettings("kitchen-pi", "ssh://host"))
    with pytest.raises(UsageError, match=r"'kichen-pi'; nearest: kitchen-pi\n.*devices add"):
        resolve_device("kichen-pi")


def test_the_command_adds_a_device_and_says_where(config):
    shown = run("add", "pi", "ssh://pi@host", "--profile", "raspberry-pi-4", "--python", "/v/py")
    assert str(config) in shown
    expected = DeviceSettings("pi", "ssh://pi@host", "raspberry-pi-4", "/v/py")
    assert known_devices() == {"pi": expected}
    with pytest.raises(UsageError, match="--replace"):
        run("add", "pi", "ssh://other")
    found = document("devices add", "add", "pi", "ssh://other", "--replace")
    assert found["device"]["address"] == "ssh://other"


def test_a_benchmark_model_given_relative_to_here_is_kept_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bm").touch()
    run("add", "phone", "adb://s", "--benchmark-model", "bm")
    assert known_devices()["phone"].benchmark_model == tmp_path / "bm"


def test_the_list_shows_devices_and_profiles():
    assert "none yet" in run("list")
    add_device(PI)
    shown = run("list")
    assert "ssh://pi@host:2222" in shown
    assert "4 x Cortex-A72, 1500 MHz" in shown
    assert "android-phone" in shown


def test_the_list_as_json(tmp_path):
    add_device(PI)
    found = document("devices list", "list")
    assert found["devices"][0]["python"] == "/opt/py/bin/python"
    pis = {each["name"]: each for each in found["profiles"]}
    assert pis["raspberry-pi-4"]["memory_mib"] == [1024, 2048, 4096, 8192]
    assert "litert" in pis["raspberry-pi-4"]["runtimes"]
    run("list", "--json", str(tmp_path / "list.json"))
    assert json.loads((tmp_path / "list.json").read_text()) == found


def test_a_device_is_shown_with_its_profile_and_sources():
    add_device(PI)
    shown = run("show", "pi")
    for part in ("ssh://pi@host:2222", "Raspberry Pi 4", "1500", "https://www.raspberrypi.com/"):
        assert part in shown
    assert "cp311-cp311-manylinux_2_28_aarch64" in shown
    assert "get_throttled" in shown


def test_a_profile_and_a_device_without_one_are_shown():
    found = document("devices show", "show", "raspberry-pi-5")
    assert found["device"] is None
    assert found["profile"]["sources"]["core"].startswith("https://")
    assert "numpy==1.26.4" in (found["profile"]["systems"][0]["runtimes"][1]["requirements"])
    add_device(DeviceSettings("box", "ssh://box"))
    found = document("devices show", "show", "box")
    assert (found["device"]["name"], found["profile"]) == ("box", None)


def test_what_is_neither_is_not_shown():
    with pytest.raises(UsageError, match="nearest: raspberry-pi-4"):
        run("show", "raspbery-pi-4")
