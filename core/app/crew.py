"""Who works through a set of pictures: the cores of this machine, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol, TypeVar

from edgeferry.app.engine_pool import in_order
from edgeferry.threads import physical_cores

Opened = TypeVar("Opened")
OpenedHere = TypeVar("OpenedHere", covariant=True)
Item = TypeVar("Item")
Made = TypeVar("Made")


class Resource(Protocol[OpenedHere]):
    """What has to be open for the work, e.g. an engine: it pickles, what it opens need not."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders that it is opened from."""

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages whose versions the results depend on, besides edgeferry's own needs."""

    def opened(
        self, paths: Sequence[Path], cores: int | None = None
    ) -> AbstractContextManager[OpenedHere]:
        """Open it.

        Args:
            paths: Where the ``paths`` are now.
            cores: How many it may use; None is all.
        """


class Crew(Protocol):
    """Does the same work on one item after another, as many at a time as it can."""

    def carried(self, picture: Path) -> Path | bytes:
        """A picture in the form in which it gets to the crew.

        Raises:
            OSError: If it cannot be read.
        """

    def map(
        self,
        work: Callable[[Opened, Item], Made],
        resource: Resource[Opened],
        items: Iterable[Item],
    ) -> Iterator[Made]:
        """What comes of each item, in the items' order, which are taken as there is room.

        Args:
            work: A module's function, without memory of earlier items.
            resource: Opened for the first argument of ``work``.
            items: For the second one.
        """


class Threads:
    """The threads of this process, one for each engine, and two for a single one.

    Each decodes and then waits for its engine: more of them would only take the processor away
    from engines at work.

    Args:
        jobs: Engines side by side, where their number was asked for.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self._count = max(2, jobs or physical_cores())

    def carried(self, picture: Path) -> Path:
        """The path: each thread reads for itself."""
        return picture

    def map(
        self,
        work: Callable[[Opened, Item], Made],
        resource: Resource[Opened],
        items: Iterable[Item],
    ) -> Iterator[Made]:
        """What comes of each item; two for each thread are held."""
        with resource.opened(resource.paths) as opened:
            yield from in_order(lambda item: work(opened, item), items, self._count)


def open_crew(scheduler: str | None, jobs: int | None = None) -> AbstractContextManager[Crew]:
    """Those who do the work.

    Args:
        scheduler: Address of a Dask scheduler, e.g. ``tcp://host:8786``; None stays here.
        jobs: Engines side by side in this process; None is what is fastest.

    Raises:
        MissingDependencyError: If Dask is not installed.
        UsageError: If the cluster cannot be reached or has no workers.
    """
    if scheduler is None:
        return nullcontext(Threads(jobs))
    from edgeferry.app.cluster import open_cluster

    return open_cluster(scheduler)
