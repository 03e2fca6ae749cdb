"""How many exporters run side by side."""

import pytest

from edgeferry.app import export as module
from edgeferry.app.export import jobs_here

GIB = 2**30


@pytest.mark.parametrize(("memory", "jobs"), [(1, 1), (5, 1), (7, 2), (64, 5)])
def test_one_more_than_cores_as_far_as_memory_bears(monkeypatch, memory, jobs):
    monkeypatch.setattr(module, "physical_cores", lambda: 4)
    assert jobs_here(memory * GIB) == jobs


def test_cores_alone_count_where_memory_is_not_told(monkeypatch):
    monkeypatch.setattr(module, "physical_cores", lambda: 4)
    monkeypatch.setattr(module, "available_memory", lambda: None)
    assert jobs_here() == 5
