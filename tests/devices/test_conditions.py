"""Marks of good and doubtful runs, from facts of made-up machines and of nonsense."""

from typing import Any

import pytest

from edgeferry.devices.conditions import Mark, marks
from edgeferry.devices.machine import machine_facts
from edgeferry.devices.sensors import Reading
from edgeferry.devices.throttling import decoded


def facts(**changes: Any) -> dict[str, Any]:
    """Those of a quiet Raspberry Pi 4, but for the changes."""
    clocks = {str(cpu): {"now": 600.0, "max": 1500.0, "base": None} for cpu in range(4)}
    quiet = {
        "logical_cpus": 4,
        "usable_cpus": [0, 1, 2, 3],
        "clocks_mhz": clocks,
        "temperature_c": 48.0,
        "trip_c": 85.0,
        "throttled": decoded(0),
        "load_average": 0.2,
        "runnable_tasks": 1,
        "cpu_pressure": {"avg10": 0.0, "total_us": 1_000_000},
        "processor_ticks": {"all": 100_000, "steal": 0},
        "uptime_s": 1000.0,
        "pages_swapped_in": 500,
        "pages_swapped_out": 900,
    }
    return {**quiet, **changes}


def later(**changes: Any) -> dict[str, Any]:
    """The facts 100 s after, the processors having worked all the time."""
    worked = {
        "load_average": 4.0,
        "runnable_tasks": 5,
        "uptime_s": 1100.0,
        "processor_ticks": {"all": 140_000, "steal": 0},
        "cpu_pressure": {"avg10": 2.0, "total_us": 3_000_000},
    }
    return facts(**{**worked, **changes})


FULL_SPEED = [Reading(60.0, 1500.0, 0)] * 5


def names(found: list[Mark]) -> list[str]:
    return [mark.name for mark in found]


def only(found: list[Mark]) -> Mark:
    assert len(found) == 1, found
    return found[0]


def test_a_good_run_has_no_mark():
    assert marks(facts(), later(), FULL_SPEED) == []


BITS = [
    (0x1, "under-voltage"),
    (0x2, "frequency-capped"),
    (0x4, "throttled"),
    (0x8, "soft-temperature-limit"),
]


@pytest.mark.parametrize(("bit", "name"), BITS)
def test_what_the_firmware_tells_of_now_marks_the_run(bit, name):
    word = decoded(bit)
    runs = [
        marks(facts(throttled=word), later(), FULL_SPEED),
        marks(facts(), later(), [*FULL_SPEED, Reading(60.0, 1500.0, bit)]),
        marks(facts(), later(throttled=word), FULL_SPEED),
        marks(None, None, [Reading(throttled=bit)]),
    ]
    for found in runs:
        assert only(found).name == name
        assert "during the run" in only(found).text


@pytest.mark.parametrize(("bit", "name"), BITS)
def test_what_happened_between_two_looks_is_told_by_the_upper_bits(bit, name):
    mark = only(marks(facts(), later(throttled=decoded(bit << 16)), FULL_SPEED))
    assert mark.name == name
    assert "during the run" in mark.text


@pytest.mark.parametrize(("bit", "name"), BITS)
def test_what_happened_before_the_run_may_have_happened_in_it_too(bit, name):
    word = decoded(bit << 16)
    mark = only(marks(facts(throttled=word), later(throttled=word), FULL_SPEED))
    assert mark.name == name
    assert "cannot be told" in mark.text
    without_before = only(marks(facts(throttled=None), later(throttled=word), FULL_SPEED))
    assert without_before == mark


def test_a_weak_supply_that_throttles_has_both_marks():
    found = marks(facts(), later(), [Reading(50.0, 1500.0, 0x50005)])
    assert set(names(found)) == {"throttled", "under-voltage"}


def test_a_clock_of_600_of_1500_is_slow():
    mark = only(marks(facts(), later(), [Reading(50.0, 600.0, 0)] * 3))
    assert mark == Mark("slow-clock", "the processor ran at 600 MHz of 1500 MHz")


def test_one_slow_moment_is_no_slow_run():
    assert marks(facts(), later(), [*FULL_SPEED, Reading(50.0, 600.0, 0)]) == []


def test_a_pc_is_held_to_the_clock_that_all_its_cores_keep_up():
    clocks = {str(cpu): {"now": 800.0, "max": 4700.0, "base": 2400.0} for cpu in range(4)}
    before = facts(clocks_mhz=clocks)
    assert marks(before, later(), [Reading(60.0, 3000.0)]) == []
    assert names(marks(before, later(), [Reading(60.0, 1800.0)])) == ["slow-clock"]


def test_clocks_of_processors_that_may_not_be_used_do_not_count():
    clocks = {"0": {"max": 1500.0}, "1": {"max": 3000.0}}
    before = facts(usable_cpus=[0], clocks_mhz=clocks)
    assert marks(before, later(), FULL_SPEED) == []


def test_a_processor_at_its_trip_point_is_hot():
    assert names(marks(facts(), later(), [Reading(85.0, 1500.0, 0)])) == ["hot"]
    assert names(marks(facts(trip_c=None), later(trip_c=None), [Reading(99.0)])) == []


def test_pages_swapped_in_the_run_mark_it():
    mark = only(marks(facts(), later(pages_swapped_in=510, pages_swapped_out=907), FULL_SPEED))
    assert mark == Mark("swapped", "17 pages were swapped in or out")


def test_time_stolen_by_other_machines_starves_the_run():
    mark = only(marks(facts(), later(processor_ticks={"all": 140_000, "steal": 2000}), FULL_SPEED))
    assert mark == Mark("starved", "other virtual machines took 5% of the processors' time")
    little = later(processor_ticks={"all": 140_000, "steal": 300})
    assert marks(facts(), little, FULL_SPEED) == []


def test_waiting_for_a_processor_starves_the_run():
    mark = only(marks(facts(), later(cpu_pressure={"total_us": 26_000_000}), FULL_SPEED))
    assert mark == Mark("starved", "tasks waited for a processor in 25% of the time")


def test_load_before_the_run_starves_it_if_something_runs_then():
    mark = only(marks(facts(load_average=3.1, runnable_tasks=3), later(), FULL_SPEED))
    assert mark == Mark("starved", "the load was 3.1 on 4 processors before the run")


def test_the_load_that_an_earlier_measurement_left_is_no_mark():
    assert marks(facts(load_average=3.9, runnable_tasks=1), later(), FULL_SPEED) == []


def test_other_work_starves_the_run_and_its_own_does_not():
    before = facts(processor_ticks={"all": 100_000, "busy": 5_000, "steal": 0}, own_ticks=40.0)
    worked = {"all": 140_000, "busy": 44_000, "steal": 0}
    own = later(processor_ticks=worked, own_ticks=38_000.0, load_average=4.0)
    assert marks(before, own, FULL_SPEED) == []
    shared = later(processor_ticks=worked, own_ticks=20_040.0)
    mark = only(marks(before, shared, FULL_SPEED))
    assert mark == Mark("starved", "other work took 48% of the processors' time")


def test_load_is_no_mark_where_the_work_of_others_is_known():
    before = facts(
        processor_ticks={"all": 100_000, "busy": 5_000, "steal": 0},
        own_ticks=40.0,
        load_average=3.9,
        runnable_tasks=3,
    )
    after = later(processor_ticks={"all": 140_000, "busy": 44_000, "steal": 0}, own_ticks=39_000.0)
    assert marks(before, after, FULL_SPEED) == []


def test_reasons_to_be_starved_make_one_mark():
    after = later(
        processor_ticks={"all": 140_000, "steal": 2000}, cpu_pressure={"total_us": 26_000_000}
    )
    text = only(marks(facts(), after, FULL_SPEED)).text
    assert "other virtual machines" in text and "waited for a processor" in text


def test_a_machine_restarted_in_between_tells_nothing_of_its_counters():
    restarted = later(
        uptime_s=5.0,
        processor_ticks={"all": 400, "steal": 90},
        cpu_pressure={"total_us": 0},
        pages_swapped_in=1,
        pages_swapped_out=1,
    )
    assert marks(facts(), restarted, FULL_SPEED) == []


@pytest.mark.parametrize("nothing", [None, {}, [], "facts", 7])
def test_without_facts_there_are_no_marks(nothing):
    assert marks(nothing, nothing, []) == []


NONSENSE = [
    None,
    True,
    "",
    "many",
    -1,
    10**400,
    float("nan"),
    float("inf"),
    [],
    [1],
    {},
    {"raw": {}},
]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda value: repr(value)[:12])
def test_nonsense_in_the_facts_is_no_mark_and_no_error(nonsense):
    broken = dict.fromkeys(facts(), nonsense)
    reading = Reading(nonsense, nonsense, nonsense)
    assert marks(broken, broken, [reading]) == []
    inside = {
        key: dict.fromkeys(value, nonsense) for key, value in facts().items() if type(value) is dict
    }
    assert marks(inside, inside, FULL_SPEED) == []


def test_the_facts_of_this_machine_can_be_marked():
    before = machine_facts()
    assert all(mark.text for mark in marks(before, machine_facts(), []))
