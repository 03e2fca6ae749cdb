"""Pinned requirements: of every runtime that is claimed, whole, and to be had."""

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgeferry.devices.profile import profile_named, profiles

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = {system.name: system for profile in profiles() for system in profile.systems}
CLAIMED = [
    (name, each.name)
    for name, system in SYSTEMS.items()
    for each in system.runtimes
    if each.version
]


@pytest.mark.parametrize(("system", "runtime"), CLAIMED)
def test_every_runtime_that_is_claimed_is_pinned_with_numpy_and_pillow(system, runtime):
    support = SYSTEMS[system].runtime(runtime)
    requirements = SYSTEMS[system].requirements(runtime)
    names = [Requirement(each).name for each in requirements]
    assert {support.package, "numpy", "pillow"} <= set(names)
    assert f"{support.package}=={support.version}" in requirements
    assert names == sorted(set(names))
    assert all(str(Requirement(each).specifier).startswith("==") for each in requirements)


@pytest.mark.parametrize(("system", "runtime"), CLAIMED)
def test_pins_are_the_versions_edgeferry_is_tested_with(system, runtime):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    tested = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {canonicalize_name(each.name): str(each.specifier) for each in tested}
    pinned = [Requirement(each) for each in SYSTEMS[system].requirements(runtime)]
    differing = {each.name for each in pinned if str(each.specifier) != versions.get(each.name)}
    assert differing == ({"numpy"} if runtime == "tflite-runtime" else set())


def test_tflite_runtime_gets_a_numpy_before_2():
    (numpy,) = (
        each
        for each in profile_named("raspberry-pi-4").requirements("tflite-runtime")
        if each.startswith("numpy==")
    )
    assert numpy.startswith("numpy==1.")


def test_the_pins_of_a_raspberry_pi_4_are_wheels_that_it_can_install(tmp_path):
    system = profile_named("raspberry-pi-4").system
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    command += ["--no-deps", "--only-binary=:all:", f"--target={tmp_path}"]
    command += ["--implementation=cp", f"--python-version={system.python}"]
    command += [f"--platform={tag}" for tag in system.platforms]
    wanted = system.requirements("tflite-runtime")
    done = subprocess.run([*command, *wanted], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "tflite-runtime-2.14.0" in done.stdout.splitlines()[-1].replace("_", "-")
