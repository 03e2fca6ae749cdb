"""What is known of each kind of device: its processor, and the engines its system can install."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from edgeferry.devices.toml_tables import nearest
from edgeferry.errors import UsageError
from edgeferry.runtimes.registry import runtimes_for

_LEGACY_TAGS = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_OLDEST_GLIBC = {"aarch64": 17, "x86_64": 5}


@dataclass(frozen=True)
class Note:
    """Something to know.

    Attributes:
        text: A sentence or two.
        source: Address of where it is from.
    """

    text: str
    source: str


@dataclass(frozen=True)
class RuntimeSupport:
    """Whether a runtime can be installed on a system.

    Attributes:
        name: The runtime's, as in the registry.
        package: The distribution that brings it.
        source: Address of where that is from.
        version: The version pinned; None where there is no wheel.
        tag: Its wheel's tag, e.g. ``cp311-cp311-manylinux_2_28_aarch64``.
        reason: Why there is no wheel.
        requirements: The engine, numpy, Pillow and all they need, as ``name==version``.
    """

    name: str
    package: str
    source: str
    version: str | None = None
    tag: str | None = None
    reason: str | None = None
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """An operating system that devices run.

    Attributes:
        name: Its name here, e.g. ``debian-12-aarch64``.
        title: Its name for humans.
        architecture: ``aarch64`` or ``x86_64``.
        libc: ``glibc`` and its version, e.g. ``glibc 2.36``, or ``bionic``.
        python: The Python that requirements are pinned for, e.g. ``3.11``; None where it has none.
        runtimes: The runtimes, those without wheels too.
        notes: What to know of it.
        sources: Where each fact is from, by its attribute: an address, or why we chose so.
    """

    name: str
    title: str
    architecture: str
    libc: str
    python: str | None = None
    runtimes: tuple[RuntimeSupport, ...] = ()
    notes: tuple[Note, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def platforms(self) -> tuple[str, ...]:
        """Every wheel platform tag it accepts, newest first (PEP 600); none without glibc."""
        kind, _, version = self.libc.partition(" ")
        if kind != "glibc":
            return ()
        newest, oldest = int(version.partition(".")[2]), _OLDEST_GLIBC[self.architecture]
        tags = []
        for minor in range(newest, oldest - 1, -1):
            tags.append(f"manylinux_2_{minor}")
            if minor in _LEGACY_TAGS:
                tags.append(_LEGACY_TAGS[minor])
        return tuple(f"{tag}_{self.architecture}" for tag in (*tags, "linux"))

    @property
    def installable(self) -> tuple[str, ...]:
        """Names of the runtimes with wheels for it."""
        return tuple(each.name for each in self.runtimes if each.version)

    def runtime(self, name: str) -> RuntimeSupport:
        """What is known of a runtime on it.

        Raises:
            UsageError: If nothing is.
        """
        for each in self.runtimes:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.runtimes)
        raise UsageError(f"nothing is known of runtime {name!r} on {self.title}; of these: {known}")

    def requirements(self, runtime: str) -> tuple[str, ...]:
        """What to install for a runtime, as ``name==version``, sorted.

        Raises:
            UsageError: If it has no wheels for this system.
        """
        support = self.runtime(runtime)
        if support.version is None:
            raise UsageError(f"runtime {runtime!r} is not for {self.title}: {support.reason}")
        return support.requirements


@dataclass(frozen=True)
class Profile:
    """A kind of device.

    Attributes:
        name: E.g. ``raspberry-pi-4``.
        title: Its name for humans.
        architecture: ``aarch64`` or ``x86_64``.
        isa: Version of the instruction set, e.g. ``Armv8.2-A``.
        features: Its extensions, as Linux names them in ``/proc/cpuinfo``.
        formats: Artifact formats that suit it, the best one first.
        target: The int8 recipe of ONNX that suits it: ``arm`` (s8/s8) or ``x86`` (u8/s8).
        systems: What it runs; the first one is meant where none is named.
        core: Type of its cores; None where they vary, as with the next four.
        cores: Number of cores.
        clock_mhz: Highest clock as sold, MHz.
        memory_mib: Memory sizes it is sold with, MiB; empty where they vary.
        threads: Threads to start with; None is one per physical core.
        emulated_cpu: The processor of qemu that stands for it; None where there is none.
        notes: What to know of it.
        sources: Where each fact is from, by its attribute: an address, or why we chose so.
    """

    name: str
    title: str
    architecture: str
    isa: str
    features: tuple[str, ...]
    formats: tuple[str, ...]
    target: str
    systems: tuple[System, ...]
    core: str | None = None
    cores: int | None = None
    clock_mhz: int | None = None
    memory_mib: tuple[int, ...] = ()
    threads: int | None = None
    emulated_cpu: str | None = None
    notes: tuple[Note, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def system(self) -> System:
        """The system that is meant where none is named."""
        return self.systems[0]

    @property
    def installable(self) -> tuple[str, ...]:
        """Names of the runtimes with wheels for its system."""
        return self.system.installable

    def runtimes_for(self, model_format: str) -> tuple[str, ...]:
        """Names of the runtimes with wheels for its system that run a format, best first."""
        return tuple(name for name in runtimes_for(model_format) if name in self.installable)

    def requirements(self, runtime: str) -> tuple[str, ...]:
        """What to install for a runtime on its system, as ``name==version``, sorted.

        Raises:
            UsageError: If it has no wheels for its system.
        """
        return self.system.requirements(runtime)


@cache
def profiles() -> tuple[Profile, ...]:
    """Every profile, sorted by name."""
    from edgeferry.devices.profile_files import read_profiles

    return read_profiles(files("edgeferry.devices"))


def profile_named(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UsageError: If there is none; the nearest names are listed.
    """
    known = {profile.name: profile for profile in profiles()}
    if name not in known:
        raise UsageError(f"there is no device profile {name!r}; nearest: {nearest(name, known)}")
    return known[name]
