"""The workers of a Dask cluster as a crew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edgeferry.app.crew import Item, Made, Opened, Resource
from edgeferry.app.shipment import Shipment, differing, pack
from edgeferry.errors import EdgeferryError, EngineError, UsageError
from edgeferry.registry import is_installed, missing_dependency

if TYPE_CHECKING:
    from distributed import Client, Future

_HELD = 2
"""Pieces of work on their way for each thread of the workers."""
_RETRIES = 2
"""Of a piece that failed for a worker's own reasons; one whose worker died is always tried
again, as often as the scheduler's ``allowed-failures`` says."""
_RELEVANT = ("edgeferry", "numpy", "pillow")
"""Packages that decide how pictures are decoded and figures summed."""
_TLS = "DASK_DISTRIBUTED__COMM__TLS__"
"""What the names of the environment variables start with that tell Dask its certificates."""


class Cluster:
    """Does the work on the workers, which need share no files with this machine.

    What the work needs is sent to each of them once, and a picture's bytes with the piece of
    work it belongs to. The scheduler can send either again, so a worker that is lost costs time
    and nothing else. Everything is released at the end of the work, or when this process ends.

    Args:
        client: Connected to the scheduler.
        address: Of the scheduler.
    """

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address

    def carried(self, picture: Path) -> bytes:
        """The bytes of the file: the workers do not see it."""
        return picture.read_bytes()

    def map(
        self,
        work: Callable[[Opened, Item], Made],
        resource: Resource[Opened],
        items: Iterable[Item],
    ) -> Iterator[Made]:
        """What comes of each item, in their order.

        Raises:
            UsageError: If a worker has other versions than this machine.
            EngineError: If the cluster is lost, or keeps failing on a piece of work.
            EdgeferryError: What the work raised.
        """
        packages = (*_RELEVANT, *resource.packages)
        shipment = self._ship(resource, self._checked_versions(packages))
        room = _HELD * sum(self._client.nthreads().values())
        pending = deque[Any]()
        try:
            for item in items:
                pending.append(self._submit(work, shipment, item))
                if len(pending) >= room:
                    yield self._result(pending.popleft())
            while pending:
                yield self._result(pending.popleft())
        finally:
            self._client.cancel(list(pending))

    def _ship(self, resource: Resource[Opened], versions: dict[str, str | None]) -> Future[Any]:
        """Give the scheduler what each worker will ask for, as soon as it has work."""
        import dask
        from dask.base import tokenize

        files = [pack(path) for path in resource.paths]
        digests = [file.digest() for file in files]
        key = f"edgeferry-{tokenize(resource, digests, versions)}"
        # It is meant to be large: Dask would warn of it.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self._client.submit(Shipment, resource, files, versions, key=key)

    def _submit(
        self, work: Callable[[Opened, Item], Made], shipment: Future[Any], item: Item
    ) -> Future[Any]:
        return self._client.submit(_done, work, shipment, item, pure=False, retries=_RETRIES)

    def _result(self, future: Future[Any]) -> Any:
        from distributed.scheduler import KilledWorker

        try:
            result = future.result()
        except KilledWorker as error:
            raise EngineError(
                f"workers of {self._address} died, one after another, over the same pictures",
                "Probably they are out of memory; their logs tell",
            ) from error
        except Exception as error:
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            problem = f"the cluster at {self._address} failed: {type(error).__name__}: {reason}"
            raise EngineError(problem) from error
        if isinstance(result, EdgeferryError):
            raise result
        return result

    def _checked_versions(self, packages: tuple[str, ...]) -> dict[str, str | None]:
        """The versions here; the workers have the same, and the scheduler the same edgeferry."""
        found = self._client.get_versions(packages=packages)
        versions = {name: found["client"]["packages"][name] for name in packages}
        at_scheduler = {"the scheduler": (found["scheduler"], ("edgeferry",))}
        at_workers = {f"worker {name}": (its, packages) for name, its in found["workers"].items()}
        for where, (its, wanted) in {**at_scheduler, **at_workers}.items():
            expected = {name: versions[name] for name in wanted}
            if error := differing(where, its["packages"], expected):
                raise error
        return versions


@contextmanager
def open_cluster(address: str) -> Iterator[Cluster]:
    """Connect to a Dask scheduler.

    Args:
        address: Of the scheduler, e.g. ``tcp://host:8786`` or ``tls://host:8786``.

    Raises:
        MissingDependencyError: If Dask is not installed.
        UsageError: If the scheduler cannot be reached within Dask's time limit for connecting,
            or no worker joins it within the same.
    """
    if not is_installed("distributed"):
        raise missing_dependency("a Dask cluster", ("distributed",), "dask")
    _check_address(address)
    import dask
    from distributed import Client

    limit = dask.config.get("distributed.comm.timeouts.connect")
    try:
        client = Client(address, timeout=limit, set_as_default=False)
    except Exception as error:  # certificates that are missing or wrong raise anything
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise UsageError(
            f"cannot reach a Dask scheduler at {address}: {reason}",
            "Start it (dask scheduler), or leave --scheduler out to work on this machine",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=limit)
        except TimeoutError as error:
            raise UsageError(
                f"the Dask scheduler at {address} has no workers",
                f"Start some: dask worker {address}",
            ) from error
        yield Cluster(client, address)


def _check_address(address: str) -> None:
    """Refuse what Dask's client stumbles over: it would take seconds to be given up."""
    import dask

    scheme, separator, _ = address.partition("://")
    parts = urlsplit(address if separator else f"tcp://{address}")
    try:
        usable = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            f"{address!r} is no address of a Dask scheduler",
            "Give it as tcp://host:8786, or tls://host:8786",
        )
    if scheme == "tls" and not dask.config.get("distributed.comm.tls.client.cert", None):
        raise UsageError(
            f"{address} needs certificates, and Dask does not know of any",
            f"Set {_TLS}CLIENT__CERT, {_TLS}CLIENT__KEY and {_TLS}CA_FILE",
        )


def _done(
    work: Callable[[Opened, Item], Made], shipment: Shipment[Opened], item: Item
) -> Made | EdgeferryError:
    """Do a piece of work, on the worker; errors of ours are answers, and are not tried again."""
    try:
        return work(shipment.opened(), item)
    except EdgeferryError as error:
        return error
