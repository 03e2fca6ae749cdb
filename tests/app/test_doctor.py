"""What doctor tells."""

import subprocess
import sys

from edgeferry.app import doctor
from edgeferry.app.doctor import diagnose
from edgeferry.runtimes.registry import RUNTIMES


def test_engine_that_is_missing_names_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setattr("edgeferry.registry.find_spec", lambda name: None)
    engines = {engine.name: engine for engine in diagnose().engines}
    assert engines["onnxruntime"].missing == ("onnxruntime",)
    assert engines["onnxruntime"].remedy == "pip install 'edgeferry[onnx]'"
    assert engines["onnxruntime"].devices == ()


def test_package_that_is_missing_makes_its_extras_incomplete(monkeypatch):
    installed = doctor._version

    def without_nncf(package: str) -> str | None:
        return None if package == "nncf" else installed(package)

    monkeypatch.setattr(doctor, "_version", without_nncf)
    monkeypatch.setattr(doctor, "_devices", lambda name: ())
    extras = {extra.name: extra for extra in diagnose().extras}
    assert extras["export"].packages["nncf"] is None
    assert extras["export"].remedy == "pip install 'edgeferry[export]'"
    assert "nncf" in extras["demo"].packages, "the demo needs what exporting needs"
    assert "nncf" not in extras["onnx"].packages


def test_every_runtime_is_listed(monkeypatch):
    monkeypatch.setattr(doctor, "_devices", lambda name: ())
    assert {engine.name for engine in diagnose().engines} == set(RUNTIMES.entries())


def test_broken_engine_is_reported_not_raised(monkeypatch):
    broken = ("onnxruntime", "raise ImportError")
    monkeypatch.setitem(doctor._PROBES, "onnxruntime", broken)
    assert doctor._devices("onnxruntime") == ("onnxruntime cannot be imported",)


def test_looking_around_imports_no_engine():
    program = (
        "import sys; from edgeferry.app.doctor import diagnose; diagnose(); "
        "loaded = {'tensorflow', 'onnxruntime', 'openvino', 'nncf', 'ai_edge_litert'}; "
        "print(loaded & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "set()"
