"""One arena for all sessions of ONNX Runtime, which grows by what is asked for.

Each session's own would grow by doubling: docs/decisions/0022-one-arena-that-does-not-double.md.
"""

import os
from contextlib import suppress
from functools import cache
from typing import Any

_SAME_AS_REQUESTED = 1
_USE_SHARED = "session.use_env_allocators"


def share_arena(options: Any) -> None:
    """Have a session on the CPU take its memory from the arena of this process.

    In a child made by fork, whose parent's threads may have held the arena, it has its own.

    Args:
        options: ``onnxruntime.SessionOptions``.
    """
    if _registering_process() == os.getpid():
        options.add_session_config_entry(_USE_SHARED, "1")


@cache
def _registering_process() -> int:
    import onnxruntime as ort

    kind = (ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    config = ort.OrtArenaCfg({"arena_extend_strategy": _SAME_AS_REQUESTED})
    with suppress(Exception):  # the program has one already, which serves as well
        ort.create_and_register_allocator(ort.OrtMemoryInfo("Cpu", *kind), config)
    return os.getpid()
