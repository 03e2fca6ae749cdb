"""Pin what devices install: ``pin_devices.py`` rewrites ``devices/pins.toml``.

For each system and runtime, pip resolves the engine, numpy and Pillow for the system's own
wheel tags and Python, within ``constraints.txt`` as far as the runtime allows it. Run it
after changing a version in ``constraints.txt`` or ``devices/systems``.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgeferry.devices.profile import RuntimeSupport, System
from edgeferry.devices.profile_files import PINS, read_systems
from edgeferry.files import atomic_write_text
from edgeferry.runtimes.registry import RUNTIMES

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Written by scripts/pin_devices.py: what each system installs for each runtime.\n"


def main() -> None:
    """Resolve everything and write the file."""
    lines = [HEADER]
    for system in read_systems(ROOT / "devices", {}):
        pins = {each.name: pinned(system, each) for each in system.runtimes if each.version}
        lines += [f"[{system.name}]\n", *map(_entry, pins, pins.values()), "\n"] if pins else []
    atomic_write_text(ROOT / "devices" / PINS, "".join(lines).rstrip() + "\n")


def pinned(system: System, support: RuntimeSupport) -> list[str]:
    """What a runtime needs on a system, as ``name==version``, sorted."""
    wanted = [*_declared(support), f"{support.package}=={support.version}"]
    found = resolve(system, wanted)
    _check_markers(system, found)
    wheel = found[canonicalize_name(support.package)]["download_info"]["url"]
    if not wheel.endswith(f"-{support.tag}.whl"):
        raise SystemExit(f"{system.name}: {support.tag} is not the tag of {wheel}")
    return [f"{name}=={found[name]['metadata']['version']}" for name in sorted(found)]


def resolve(system: System, wanted: list[str]) -> dict[str, Any]:
    """Pip's report of each package it would install, by name."""
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("\n".join(_constraints(wanted)))
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--only-binary=:all:", f"--report={report}"]
        command += [f"--target={folder}", f"--constraint={constraints}"]
        command += ["--implementation=cp", f"--python-version={system.python}"]
        command += [f"--platform={tag}" for tag in system.platforms]
        done = subprocess.run([*command, *wanted], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{system.name}: {' '.join(wanted)} do not resolve:\n{done.stderr}")
        installed = json.loads(report.read_text())["install"]
    return {canonicalize_name(each["metadata"]["name"]): each for each in installed}


def _entry(runtime: str, requirements: list[str]) -> str:
    listed = "".join(f'    "{each}",\n' for each in requirements)
    return f"{runtime} = [\n{listed}]\n"


def _declared(support: RuntimeSupport) -> list[str]:
    """What edgeferry itself asks for, with the runtime's extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = RUNTIMES.entry(support.name).extra
    return [*project["dependencies"], *project["optional-dependencies"][extra]]


def _constraints(wanted: list[str]) -> Iterator[str]:
    """The lines of ``constraints.txt`` that what is wanted does not contradict."""
    asked = [Requirement(each) for each in wanted]
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            constraint = Requirement(line)
            version = next(iter(constraint.specifier)).version
            if all(version in each.specifier for each in asked if _same(each, constraint)):
                yield line


def _same(one: Requirement, other: Requirement) -> bool:
    return canonicalize_name(one.name) == canonicalize_name(other.name)


def _check_markers(system: System, found: dict[str, Any]) -> None:
    """Refuse a result that lacks something on the system: pip reads markers for this machine."""
    machine = {
        "python_version": system.python or "",
        "python_full_version": f"{system.python}.0",
        "platform_machine": system.architecture,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "extra": "",
    }
    versions = {name: package["metadata"]["version"] for name, package in found.items()}
    for name, package in found.items():
        for text in package["metadata"].get("requires_dist") or []:
            needed = Requirement(text)
            applies = needed.marker is None or needed.marker.evaluate(machine)
            version = versions.get(canonicalize_name(needed.name))
            if applies and (version is None or version not in needed.specifier):
                raise SystemExit(f"{system.name}: {name} needs {text}, and {version} was found")


if __name__ == "__main__":
    main()
