"""LiteRT's own profiler, through the C interface of the library that its package brings along.

The Python classes of ``ai-edge-litert`` hand out no times. ``libLiteRt.so`` beside them does, down
to the kernels that run inside XNNPACK (``litert/c/litert_profiler.h``, ``litert_compiled_model.h``
of LiteRT 2.3). It runs a compiled model of its own: the interpreter that is measured elsewhere
cannot be looked into.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import ExitStack
from ctypes import byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.closing import Closing

_CPU = 1
_FOR_WRITING = 1
_TYPE_NUMBERS = 256
"""More than LiteRT's description of a tensor takes: its type, its rank, then its sizes."""
_ANY_SIZE = -1
_OPERATOR, _KERNEL = 2, 8
"""Kinds of events: an operation of TFLite, and one that a delegate ran inside itself."""
_KINDS = frozenset(1 << bit for bit in range(9))
_NO_DESTRUCTOR = ctypes.CFUNCTYPE(None, c_void_p)


class _Event(ctypes.Structure):
    """``ProfiledEventData``; its memory figures are three numbers each, as C++ has them."""

    _fields_ = (
        ("tag", c_char_p),
        ("kind", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory", c_int64 * 6),
        ("metadata", c_uint64 * 2),
        ("source", c_int),
    )


@dataclass(frozen=True)
class Kernel:
    """One operation as it ran.

    Attributes:
        tag: LiteRT's name for it, e.g. ``Convolution (NHWC, QC8) IGEMM``.
        microseconds: How long it took.
        delegated: Whether it ran inside a delegate.
    """

    tag: str
    microseconds: float
    delegated: bool


class ProfiledModel(Closing):
    """A compiled model with its profiler, on the CPU.

    Args:
        library: ``libLiteRt.so``.
        model: The ``.tflite`` file.
        threads: Threads for one inference.
        xnnpack: Whether XNNPACK may take operations over.

    Raises:
        OSError: If the library is not there.
        AttributeError: If it has no such interface.
        RuntimeError: If it refuses something.
    """

    def __init__(self, library: Path, model: Path, threads: int, xnnpack: bool = True) -> None:
        self._library = ctypes.CDLL(str(library))
        self._held = ExitStack()
        self._texts: list[Any] = []
        with ExitStack() as on_error:
            on_error.callback(self.close)
            self._environment = self._made("Environment", 0, None)
            self._model = self._made("ModelFromFile", self._environment, str(model).encode())
            self._compiled = self._compile(threads, xnnpack)
            self._profiler = c_void_p()
            self._call("CompiledModelGetProfiler", self._compiled, byref(self._profiler))
            self._input, self._output = self._buffer("Input"), self._buffer("Output")
            on_error.pop_all()

    def close(self) -> None:
        """Give back what the library holds."""
        self._held.close()

    def set_input(self, values: NDArray[np.uint8]) -> None:
        """Give the input.

        Raises:
            ValueError: If the model takes another number of bytes.
        """
        size, address = c_size_t(), c_void_p()
        self._call("GetTensorBufferPackedSize", self._input, byref(size))
        if size.value != values.nbytes:
            raise ValueError(f"the model takes {size.value} bytes, not {values.nbytes}")
        self._call("LockTensorBuffer", self._input, byref(address), _FOR_WRITING)
        ctypes.memmove(address, np.ascontiguousarray(values).ctypes.data, values.nbytes)
        self._call("UnlockTensorBuffer", self._input)

    def run(self) -> list[Kernel]:
        """Run once, and tell what ran, in order."""
        self._call("ResetProfiler", self._profiler)
        self._call("StartProfiler", self._profiler)
        one, inputs, outputs = c_size_t(1), (c_void_p * 1)(), (c_void_p * 1)()
        inputs[0], outputs[0] = self._input.value, self._output.value
        self._call("RunCompiledModel", self._compiled, c_size_t(0), one, inputs, one, outputs)
        self._call("StopProfiler", self._profiler)
        return [
            Kernel(event.tag.decode(errors="replace"), event.elapsed_us, event.kind == _KERNEL)
            for event in self._events()
            if event.kind in (_OPERATOR, _KERNEL)
        ]

    def _events(self) -> Sequence[_Event]:
        count = c_int()
        self._call("GetNumProfilerEvents", self._profiler, byref(count))
        # Twice the room, and a look at the kinds: a version with larger events is told by them.
        events = (_Event * (2 * count.value))()
        self._call("GetProfilerEvents", self._profiler, count, events)
        told = events[: count.value]
        if not told or any(event.kind not in _KINDS for event in told):
            raise ValueError("this version of LiteRT tells its events in another form")
        return told

    def _compile(self, threads: int, xnnpack: bool) -> c_void_p:
        options = self._made("Options")
        self._call("SetOptionsHardwareAccelerators", options, _CPU)
        kernels = "" if xnnpack else "kernel_mode = 2\n"
        self._add(options, "xnnpack", f"num_threads = {threads}\n{kernels}")
        self._add(options, "runtime_options_string", "enable_profiling = true\n")
        return self._made("CompiledModel", self._environment, self._model, options)

    def _add(self, options: c_void_p, name: str, text: str) -> None:
        """Put in options of a name; the text belongs to this object."""
        payload = ctypes.create_string_buffer(text.encode())
        keep = _NO_DESTRUCTOR(lambda _: None)
        self._texts += [payload, keep]
        made = c_void_p()
        self._call("CreateOpaqueOptions", name.encode(), payload, keep, byref(made))
        self._call("AddOpaqueOptions", options, made)

    def _buffer(self, side: str) -> c_void_p:
        """Memory for the first input or output."""
        signature, tensor, needed = c_void_p(), c_void_p(), c_void_p()
        first, form = c_size_t(0), (c_int32 * _TYPE_NUMBERS)()
        self._call("GetModelSignature", self._model, first, byref(signature))
        self._call(f"GetSignature{side}TensorByIndex", signature, first, byref(tensor))
        self._call("GetRankedTensorType", tensor, form)
        form[:] = [1 if number == _ANY_SIZE else number for number in form]  # one picture
        asked = f"GetCompiledModel{side}BufferRequirements"
        self._call(asked, self._compiled, first, first, byref(needed))
        arguments = (self._environment, form, needed)
        return self._made("ManagedTensorBufferFromRequirements", *arguments, kind="TensorBuffer")

    def _made(self, what: str, *arguments: Any, kind: str = "") -> c_void_p:
        """Something that the library creates, and destroys when this is closed."""
        made = c_void_p()
        self._call(f"Create{what}", *arguments, byref(made))
        destroy = getattr(self._library, f"LiteRtDestroy{kind or what.removesuffix('FromFile')}")
        self._held.callback(destroy, made)
        return made

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, f"LiteRt{name}")
        function.restype = c_int
        status = function(*arguments)
        if status:
            raise RuntimeError(f"LiteRt{name} gave status {status}")
