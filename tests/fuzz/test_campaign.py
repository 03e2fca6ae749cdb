"""The harness itself: it finds what a case must not do, goes on after it, and can do it again."""

import sys

import pytest

from fuzz.campaign import Campaign
from fuzz.faults import WAYS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the harness reads /proc")
FINE = ("answer", "refuse", "answer again")
ESSENCE = {
    "raise": "ZeroDivisionError",
    "crash": "signal 11",
    "work": "worked for too long",
    "wait": "hung",
    "memory": "memory grew",
    "write": "open: ",
    "link": "os.symlink: ",
    "remove": "os.remove: ",
    "remove link": "os.remove: ",
    "program": "subprocess.Popen",
    "connect": "socket.connect",
}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fell")
    return Campaign("fuzz.faults:Faults", folder, kept=folder, waiting=2).run(0, len(WAYS))


def test_every_fault_is_found_and_named_and_nothing_else(report):
    assert (report.cases, report.refused) == (len(WAYS), 1)
    assert [fall.done for fall in report.falls] == [way for way in WAYS if way not in FINE]
    for fall in report.falls:
        assert ESSENCE[fall.done] in fall.why
        assert [path.name for path in fall.kept.iterdir()] == [fall.done], "its input is kept"


def test_a_fault_is_found_again_by_its_number_alone(report, tmp_path):
    fall = next(each for each in report.falls if each.done == "crash")
    again = Campaign("fuzz.faults:Faults", tmp_path, kept=tmp_path).run(fall.index, fall.index + 1)
    assert [each.why for each in again.falls] == [fall.why]
    assert f"--seed 0 --case {fall.index}" in str(fall)
