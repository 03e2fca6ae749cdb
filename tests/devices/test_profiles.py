"""What is known of devices: complete, with sources, readable from a zip, strictly read."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import edgeferry
from edgeferry.devices import profile as profile_module
from edgeferry.devices.profile import System, profile_named, profiles
from edgeferry.devices.profile_files import read_profiles
from edgeferry.errors import UsageError
from edgeferry.runtimes.registry import RUNTIMES

NAMES = (
    "android-phone",
    "generic-aarch64",
    "generic-x86-64",
    "jetson-orin-nano",
    "raspberry-pi-3",
    "raspberry-pi-4",
    "raspberry-pi-5",
    "raspberry-pi-zero-2-w",
)
DEVICES = Path(profile_module.__file__).parent


@pytest.fixture
def folder(tmp_path):
    """A copy of the shipped files, to be spoiled."""
    for name in ("profiles", "systems"):
        shutil.copytree(DEVICES / name, tmp_path / name)
    shutil.copy(DEVICES / "pins.toml", tmp_path)
    return tmp_path


def spoil(file, pattern, replacement):
    text, times = re.subn(pattern, replacement, file.read_text(), count=1, flags=re.MULTILINE)
    assert times == 1
    file.write_text(text)


def test_every_profile_is_there():
    assert tuple(profile.name for profile in profiles()) == NAMES


def test_what_a_raspberry_pi_4_is():
    pi = profile_named("raspberry-pi-4")
    assert (pi.architecture, pi.core, pi.cores, pi.emulated_cpu) == (
        "aarch64",
        "Cortex-A72",
        4,
        "cortex-a72",
    )
    assert "asimd" in pi.features
    assert "asimddp" not in pi.features
    assert (pi.system.python, pi.system.libc, pi.target) == ("3.11", "glibc 2.36", "arm")
    assert [system.python for system in pi.systems] == ["3.11", "3.13"]
    assert any("vcgencmd" in note.text for note in pi.notes)


def test_a_raspberry_pi_runs_every_format_and_tflite_runtime_only_before_python_3_12():
    pi = profile_named("raspberry-pi-5")
    assert pi.runtimes_for("tflite") == ("litert", "tflite-runtime")
    assert pi.runtimes_for("onnx") == ("onnxruntime", "openvino")
    assert pi.runtimes_for("openvino") == ("openvino",)
    newer = pi.systems[1].runtime("tflite-runtime")
    assert newer.version is None
    assert "3.11" in newer.reason
    with pytest.raises(UsageError, match=r"tflite-runtime.*no wheels"):
        pi.systems[1].requirements("tflite-runtime")


def test_a_phone_has_no_python_and_says_what_runs_there():
    phone = profile_named("android-phone")
    assert phone.system.python is None
    assert phone.system.platforms == ()
    assert phone.runtimes_for("tflite") == ()
    assert "benchmark_model" in phone.system.runtime("litert").reason


def test_jetpack_says_that_its_own_python_is_too_old():
    jetson = profile_named("jetson-orin-nano")
    assert any("3.10" in note.text for note in jetson.system.notes)
    assert jetson.system.python == "3.11"


@pytest.mark.parametrize("name", NAMES)
def test_runtimes_are_of_the_registry_and_their_wheels_fit_the_system(name):
    profile = profile_named(name)
    for system in profile.systems:
        assert system.architecture == profile.architecture
        for each in system.runtimes:
            assert each.name in RUNTIMES.entries()
            if each.tag:
                python, abi, platform = each.tag.split("-")
                assert python == abi == "cp" + system.python.replace(".", "")
                assert platform in system.platforms


def test_a_misspelled_profile_lists_the_nearest():
    with pytest.raises(UsageError, match="raspberry-pi-4") as caught:
        profile_named("rasberry-pi4")
    assert "android-phone" not in str(caught.value)


def test_a_runtime_that_no_profile_knows_is_refused():
    with pytest.raises(UsageError, match=r"'keras'.*litert"):
        profile_named("raspberry-pi-4").system.runtime("keras")


def test_platform_tags_of_an_arm_system_newest_first():
    tags = System("x", "X", "aarch64", "glibc 2.36").platforms
    assert tags[0] == "manylinux_2_36_aarch64"
    assert tags[-3:] == ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64")
    assert len(tags) == 22


def test_platform_tags_of_an_x86_system_reach_back_to_manylinux1():
    tags = System("x", "X", "x86_64", "glibc 2.17").platforms
    assert tags[:2] == ("manylinux_2_17_x86_64", "manylinux2014_x86_64")
    assert tags[-3:] == ("manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64")
    assert "manylinux2010_x86_64" in tags


def test_profiles_are_read_from_inside_a_zip(tmp_path):
    wheel = tmp_path / "edgeferry.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for root, inside in ((Path(edgeferry.__file__).parent, ""), (DEVICES, "devices")):
            for file in (*root.glob("*.py"), *root.glob("*.toml"), *root.glob("*/*.toml")):
                archive.write(file, Path("edgeferry", inside, file.relative_to(root)))
        for file in (DEVICES.parent / "runtimes").glob("*.py"):
            archive.write(file, f"edgeferry/runtimes/{file.name}")
    program = (
        f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
        "import edgeferry.devices.profile as p\n"
        "print(p.__file__, *(each.name for each in p.profiles()))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stderr == ""
    assert done.stdout.split() == [f"{wheel}/edgeferry/devices/profile.py", *NAMES]


@pytest.mark.parametrize(
    ("pattern", "replacement", "told"),
    [
        (r"^title = ", "tilte = ", r"profile raspberry-pi-4: unknown key 'tilte'\nKnown: title"),
        (r"^title = .*\n", "", "profile raspberry-pi-4: 'title' is missing"),
        (r"^cores = 4", 'cores = "four"', "'cores' has to be a whole number, not 'four'"),
        (r"^cores = 4", "cores = true", "'cores' has to be a whole number, not True"),
        (r"^memory_mib = .*", "memory_mib = 512", "'memory_mib' has to be a list"),
        (r"^architecture = .*", 'architecture = "arm"', "unknown architecture 'arm'; known: aa"),
        (r"^formats = .*", 'formats = ["coreml"]', "unknown formats 'coreml'; known: tflite"),
        (r"^systems = .*", 'systems = ["windows"]', "unknown systems 'windows'; known: android"),
        (r"^systems = .*", "systems = []", "'systems' is missing or empty"),
        (r"^clock_mhz = \".*\n", "", "'clock_mhz' has no source"),
        (r"^cores = 4\n", "", "'cores' is no fact, but has a source"),
        (r"^isa = \"https", 'isa = "ftp', "no https address"),
        (r"^isa = .*", "isa = ", r"raspberry-pi-4.toml is no valid TOML: .*line 3"),
    ],
)
def test_a_malformed_profile_is_refused_with_the_place(folder, pattern, replacement, told):
    spoil(folder / "profiles/raspberry-pi-4.toml", pattern, replacement)
    with pytest.raises(UsageError, match=told):
        read_profiles(folder)


@pytest.mark.parametrize(
    ("pattern", "replacement", "told"),
    [
        (r"^libc = .*", 'libc = "glibc two"', "'libc' cannot be 'glibc two'"),
        (r"^python = .*", 'python = "3"', "'python' cannot be '3'"),
        (r"^\[runtimes.litert\]", "[runtimes.litrt]", "unknown runtime 'litrt'"),
        (r"^tag = .*\n", "", "runtime litert: give 'version' and 'tag', or else a 'reason'"),
        (r"^tag = ", 'reason = "none"\ntag = ', "give 'version' and 'tag', or else a 'reason'"),
    ],
)
def test_a_malformed_system_is_refused_with_the_place(folder, pattern, replacement, told):
    spoil(folder / "systems/debian-12-aarch64.toml", pattern, replacement)
    with pytest.raises(UsageError, match=f"system debian-12-aarch64.*{told}"):
        read_profiles(folder)
