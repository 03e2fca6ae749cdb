"""Work in a process of its own."""

import os
import sys

import pytest

from edgeferry.app.child import run_in_child
from edgeferry.errors import EngineError, LabelError
from edgeferry.progress import silent

WORK = """
import os
from edgeferry.errors import LabelError

def add(one, other, progress):
    progress("adding", 1, 2)
    return one + other, os.getpid()

def refuse(progress):
    raise LabelError("no such label", "Give another.")

def die(progress):
    os._exit(3)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "some_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    import some_work

    yield some_work
    del sys.modules["some_work"]


def test_result_and_progress_come_back_from_another_process(work):

    steps = []
    total, process = run_in_child(work.add, (1, 2), lambda *step: steps.append(step), "adding")
    assert total == 3
    assert process != os.getpid()
    assert steps == [("adding", 1, 2)]


def test_error_of_the_child_is_raised_as_it_was(work):
    with pytest.raises(LabelError) as caught:
        run_in_child(work.refuse, (), silent, "refusing")
    assert str(caught.value) == "no such label\nGive another."


def test_child_that_dies_is_an_error_with_its_exit_code(work):
    with pytest.raises(EngineError, match=r"training ended early: .* exit code 3"):
        run_in_child(work.die, (), silent, "training")
