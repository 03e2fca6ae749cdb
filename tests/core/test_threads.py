"""Counting cores, on made-up machines."""

import os
import signal
from pathlib import Path
from threading import Event, Thread

import pytest

from edgeferry.threads import lock_for_forks, physical_cores

HYPER_THREADED = {0: "0,4", 1: "1,5", 2: "2,6", 3: "3,7", 4: "0,4", 5: "1,5", 6: "2,6", 7: "3,7"}


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text + "\n")


@pytest.fixture
def machine(tmp_path):
    for cpu, siblings in HYPER_THREADED.items():
        path = f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        put(tmp_path, path, siblings)
    return tmp_path


def test_hyper_threads_of_one_core_count_once(machine):
    assert physical_cores(machine, range(8)) == 4


def test_only_cores_of_the_affinity_mask_count(machine):
    assert physical_cores(machine, {0, 4, 5}) == 2


def test_without_topology_every_processor_counts(tmp_path):
    assert physical_cores(tmp_path, range(6)) == 6


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 4), ("900000 100000", 4)],
)
def test_the_quota_of_a_version_2_group_is_rounded_up(machine, limit, cores):
    put(machine, "proc/self/cgroup", "0::/app")
    put(machine, "sys/fs/cgroup/app/cpu.max", limit)
    assert physical_cores(machine, range(8)) == cores


def test_the_quota_of_a_group_above_holds_too(machine):
    put(machine, "proc/self/cgroup", "0::/slice/app")
    put(machine, "sys/fs/cgroup/slice/cpu.max", "100000 100000")
    put(machine, "sys/fs/cgroup/slice/app/cpu.max", "max 100000")
    assert physical_cores(machine, range(8)) == 1


@pytest.mark.parametrize(("quota", "cores"), [("300000", 3), ("-1", 4)])
def test_the_quota_of_a_version_1_group(machine, quota, cores):
    # As in a container: the group's path is the host's, its files are at the top.
    put(machine, "proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc")
    put(machine, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota)
    put(machine, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    assert physical_cores(machine, range(8)) == cores


def test_this_machine():
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_lock_that_another_thread_held_is_free_in_a_child():
    lock, held = lock_for_forks(), Event()

    def work():
        with lock:
            held.set()
            for _ in range(2_000_000):  # the fork comes meanwhile
                pass

    thread = Thread(target=work)
    thread.start()
    held.wait()
    if not (pid := os.fork()):
        signal.alarm(10)
        with lock:
            os._exit(0)
    thread.join()
    assert os.waitpid(pid, 0)[1] == 0
