"""edgeferry's own suites, on what this package brings: it supplies the facts and fixtures."""

import os

import pytest
from conformance.test_devices import DeviceConformance
from conformance.test_runtimes import RuntimeConformance
from edgeferry_example_plugin.cores_device import CoresDevice

from edgeferry.devices.device import DeviceSettings
from edgeferry.errors import UsageError

pytest_plugins = ["device_ends.processes"]


class TestOnnxReference(RuntimeConformance):
    runtime, model_format, module = "onnx-reference", "onnx", "onnx"
    profiles = False
    integer = False


class TestCores(DeviceConformance):
    @pytest.fixture
    def core(self):
        return min(os.sched_getaffinity(0))

    @pytest.fixture
    def device(self, core):
        with CoresDevice(DeviceSettings("one core", f"cores://{core}")) as device:
            yield device

    def test_a_program_has_the_named_cores_only(self, device, core):
        code = "import os; print(os.sched_getaffinity(0))"
        assert self.printed(device, code) == f"{ {core} }\n"

    @pytest.mark.parametrize("cores", ["", "all", "0,", "0-1", "100000"])
    def test_cores_that_are_not_there_are_refused(self, cores):
        with pytest.raises(UsageError, match="Usable ones"):
            CoresDevice(DeviceSettings("one core", f"cores://{cores}"))
