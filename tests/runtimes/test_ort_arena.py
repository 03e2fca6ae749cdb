"""The arena that ONNX Runtime's sessions share."""

from __future__ import annotations

import os

import numpy as np
import pytest

import edgeferry
from edgeferry.runtimes import ort_arena
from edgeferry.runtimes.ort_arena import share_arena

SHARED = "session.use_env_allocators"

ort = pytest.importorskip("onnxruntime")


def test_sessions_share_an_arena():
    assert settings_of_a_session().get(SHARED) == "1"


def test_a_child_made_by_fork_has_its_own(monkeypatch):
    """The parent's may be locked for good, by a thread that the child does not have."""
    settings_of_a_session()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert SHARED not in settings_of_a_session()


def test_a_program_that_has_registered_one_keeps_it(monkeypatch, exported):
    """Older releases of ONNX Runtime take only the first."""

    def refused(*_):
        raise RuntimeError("An allocator for this device has already been registered for sharing.")

    monkeypatch.setattr(ort, "create_and_register_allocator", refused)
    ort_arena._registering_process.cache_clear()
    with edgeferry.load(exported.folder / "digits.fp32.onnx", threads=1) as predictor:
        found = predictor.predict_proba(exported.images[:4])
    ort_arena._registering_process.cache_clear()
    assert np.allclose(found, exported.reference[:4], atol=1e-4)


def settings_of_a_session() -> dict[str, str]:
    """What is set of ``SHARED`` in the options that sessions are opened with."""
    options = ort.SessionOptions()
    share_arena(options)
    try:
        return {SHARED: options.get_session_config_entry(SHARED)}
    except RuntimeError:  # it is not set
        return {}
