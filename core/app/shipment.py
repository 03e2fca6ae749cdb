"""What workers of a cluster need to have open for their work, on its way to them and there."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Generic

from edgeferry.app.crew import Opened, Resource
from edgeferry.artifact import artifact_files
from edgeferry.errors import UsageError
from edgeferry.threads import physical_cores


@dataclass(frozen=True)
class Packed:
    """A file with what belongs to it, or a folder.

    Attributes:
        path: Where it lies; a name, if there is no such file.
        contents: Bytes by path, relative to where it lies; empty for a name.
    """

    path: Path
    contents: Mapping[str, bytes]

    def digest(self) -> str:
        """SHA-256 of the contents, hexadecimal."""
        digest = hashlib.sha256()
        for name, content in self.contents.items():
            digest.update(f"{name} {len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()

    def unpack(self, folder: Path) -> Path:
        """Write it into a new folder, and tell where it is."""
        if not self.contents:
            return self.path
        for name, content in self.contents.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return folder / self.path.name


def pack(path: Path) -> Packed:
    """Read a file with what belongs to it, or a folder; what is neither is left a name."""
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    else:
        files = list(artifact_files(path)) if path.is_file() else []
    contents = {file.relative_to(path.parent).as_posix(): file.read_bytes() for file in files}
    return Packed(path, contents)


class Shipment(Generic[Opened]):
    """A resource with its files; each process that gets it opens it once, when it is used.

    Dask keeps one of them in each worker as long as there is work for it. When it drops it, what
    is open is closed and the files are removed.

    Args:
        resource: What to open.
        files: The contents of its ``paths``.
        versions: What has to be installed, by package.
    """

    def __init__(
        self,
        resource: Resource[Opened],
        files: Sequence[Packed],
        versions: Mapping[str, str | None],
    ) -> None:
        self._content = (resource, files, versions)
        self._guard = Lock()
        self._opened: Opened | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Shipment, self._content

    def __sizeof__(self) -> int:
        """Bytes, for Dask's account of the worker's memory."""
        return sum(len(content) for file in self._content[1] for content in file.contents.values())

    def opened(self) -> Opened:
        """What is open in this process.

        Raises:
            UsageError: If other versions are installed here.
            EdgeferryError: If it cannot be opened.
        """
        with self._guard:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> Opened:
        from distributed import get_worker
        from distributed.versions import get_versions

        worker = get_worker()
        resource, files, versions = self._content
        # The client asked too, but only those who had joined by then.
        installed = get_versions(versions)["packages"]
        if error := differing(f"worker {worker.address}", installed, versions):
            raise error
        cores = min(worker.state.nthreads, physical_cores())
        with ExitStack() as stack:
            place = tempfile.TemporaryDirectory(
                prefix="edgeferry-", dir=worker.local_directory, ignore_cleanup_errors=True
            )
            folder = Path(stack.enter_context(place))
            paths = [file.unpack(folder / str(number)) for number, file in enumerate(files)]
            opened = stack.enter_context(resource.opened(paths, cores))
            weakref.finalize(self, stack.pop_all().close)
        return opened


def differing(
    where: str, installed: Mapping[str, str | None], expected: Mapping[str, str | None]
) -> UsageError | None:
    """The error for versions that are not those of the machine that wants the results.

    Args:
        where: Whose they are, for the message.
        installed: Versions there, by package; None where missing.
        expected: What they have to be.
    """
    for name, version in expected.items():
        if installed[name] != version:
            return UsageError(
                f"{where} has {name} {installed[name] or 'not installed'}, this machine "
                f"{version or 'none'}: results would differ",
                "Install the same versions of edgeferry and the engines in the whole cluster",
            )
    return None
