"""A Dask scheduler and two worker processes: the same figures, whatever becomes of a worker."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from edgeferry.app import cluster
from edgeferry.app.cli import run
from edgeferry.app.crew import open_crew
from edgeferry.app.debugging import debug
from edgeferry.app.evaluation import EvaluationOptions, evaluate
from edgeferry.app.shipment import differing, pack
from edgeferry.errors import MissingDependencyError
from edgeferry.runtimes.base import RuntimeOptions

SUFFIXES = (".tflite", ".onnx", ".xml")
ONE_THREAD = RuntimeOptions(threads=1)


@pytest.fixture(scope="module")
def workers():
    """Two worker processes with one thread each, and their scheduler."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as local:
        yield local


@pytest.fixture
def scheduler(workers):
    return workers.scheduler_address


@pytest.fixture
def twins(tmp_path, matrix, write_network):
    """An fp32 and an int8 artifact whose answers differ on some pictures."""
    other = matrix + np.random.default_rng(2).normal(0, 0.01, matrix.shape).astype(np.float32)
    return [
        write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix),
        write_network(tmp_path / "colors.int8.onnx", "int8", other),
    ]


def test_evaluation_gives_the_same_figures(twins, pictures, scheduler):
    (pictures / "red" / "2.png").write_bytes(b"no picture")
    here = evaluate(twins, EvaluationOptions(pictures, engine=ONE_THREAD)).document()
    options = EvaluationOptions(pictures, engine=ONE_THREAD, scheduler=scheduler)
    assert evaluate(twins, options).document() == here
    assert "red" in here["warnings"][0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_real_networks_give_the_same_figures(exported, suffix, scheduler):
    paths = [exported.folder / f"digits.{precision}{suffix}" for precision in ("fp32", "int8")]
    options = EvaluationOptions(exported.calibration, engine=ONE_THREAD)
    here = evaluate(paths, options).document()
    assert evaluate(paths, replace(options, scheduler=scheduler)).document() == here


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_debug_gives_the_same_figures(exported, suffix, scheduler):
    int8, fp32 = (exported.folder / f"digits.{precision}{suffix}" for precision in ("int8", "fp32"))
    here = debug(int8, fp32, exported.calibration, count=12)
    there = debug(int8, fp32, exported.calibration, count=12, scheduler=scheduler)
    assert [each.layer for each in there.layers] == [each.layer for each in here.layers]
    for ours, theirs in zip(here.layers, there.layers, strict=True):
        assert theirs.sqnr_db == pytest.approx(ours.sqnr_db, rel=1e-5)
        assert theirs.error == pytest.approx(ours.error, rel=1e-4)


def test_a_worker_killed_in_the_middle_loses_nothing(twins, pictures, workers, scheduler):
    for folder in pictures.iterdir():
        for number in range(60):
            (folder / f"more{number}.png").write_bytes(next(folder.glob("1.png")).read_bytes())
    here = evaluate(twins, EvaluationOptions(pictures, engine=ONE_THREAD)).document()
    killed = []

    def kill_one(step, done, total):
        if not killed:
            killed.append(workers.workers[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    options = EvaluationOptions(pictures, engine=ONE_THREAD, scheduler=scheduler)
    assert evaluate(twins, options, kill_one).document() == here
    assert killed


def test_a_cluster_out_of_reach_is_named(twins, pictures, capsys):
    dask = pytest.importorskip("dask")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        code = run(
            [
                "evaluate",
                str(twins[0]),
                "--images",
                str(pictures),
                "--scheduler",
                "tcp://127.0.0.1:9",
            ]
        )
    assert code == 2
    assert "cannot reach a Dask scheduler at tcp://127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["", "host", "ftp://host:1", "tcp://host", "tcp://host:x"])
def test_what_is_no_address_is_named(twins, pictures, address, capsys):
    pytest.importorskip("distributed")
    code = run(["evaluate", str(twins[0]), "--images", str(pictures), "--scheduler", address])
    assert code == 2
    assert "is no address of a Dask scheduler" in capsys.readouterr().err


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "is_installed", lambda name: False)
    with pytest.raises(MissingDependencyError, match=r"edgeferry\[dask\]"):
        open_crew("tcp://127.0.0.1:9").__enter__()


def test_other_versions_are_named():
    assert differing("worker x", {"numpy": "2.0"}, {"numpy": "2.0"}) is None
    error = differing("worker x", {"numpy": None}, {"numpy": "2.0"})
    assert "worker x has numpy not installed" in str(error)


def test_files_arrive_as_they_were(tmp_path):
    (tmp_path / "net.xml").write_text("net")
    (tmp_path / "net.bin").write_bytes(b"weights")
    packed = pack(tmp_path / "net.xml")
    there = packed.unpack(tmp_path / "there")
    assert there.read_text() == "net"
    assert there.with_suffix(".bin").read_bytes() == b"weights"
    assert pack(there).digest() == packed.digest()
