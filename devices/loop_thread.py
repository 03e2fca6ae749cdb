"""An event loop in a thread of its own, for callers that wait."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines in one background thread, which starts when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._waited_for: set[Future[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="edgeferry-loop", daemon=True)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for it; an interrupt of the wait cancels it.

        Raises:
            CancelledError: If the loop is closed, before or meanwhile
                (``concurrent.futures``).
        """
        with self._lock:
            if self._closed:
                work.close()
                raise CancelledError
            future = asyncio.run_coroutine_threadsafe(work, self._started())
            self._waited_for.add(future)
        try:
            return future.result()
        finally:
            future.cancel()
            self._waited_for.discard(future)

    def call(self, function: Callable[[], object]) -> None:
        """Have the loop call a function soon; nothing happens where it is closed."""
        with self._lock:
            if self._loop is not None and not self._closed:
                self._loop.call_soon_threadsafe(function)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a last coroutine, cancel every other and end the thread; may be called twice."""
        with self._lock:
            first, self._closed = not self._closed, True
        if first and self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._stop(last), self._loop)
            self._thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread.start()
        return self._loop

    def _run(self) -> None:
        assert self._loop is not None
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()
            for future in tuple(self._waited_for):  # done, but too late for the loop to tell
                with contextlib.suppress(InvalidStateError):
                    future.set_exception(CancelledError())

    async def _stop(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            await last()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        finally:
            loop.stop()
