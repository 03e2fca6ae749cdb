"""What every runtime must do. A new one passes by subclassing ``RuntimeConformance`` here.

One of another package does so in tests of its own: ``examples/plugin/tests``.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest

from edgeferry.artifact import find_artifacts
from edgeferry.errors import ArtifactError, ContractError, EngineError, ImageError
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.predictor import load
from edgeferry.runtimes.registry import RUNTIMES

PRECISIONS = ("fp32", "fp16", "int8")
LARGEST_DIFFERENCE = {"fp32": 1e-4, "fp16": 2e-2}
LEAST_AGREEMENT = {"fp32": 1.0, "fp16": 0.99, "int8": 0.98}
EXECUTED = {"fp32": {"fp32"}, "fp16": {"fp32", "fp16"}, "int8": {"int8"}}


class RuntimeConformance:
    """Inherit, and give ``runtime``, ``model_format``, ``module``, and whether it profiles."""

    runtime: ClassVar[str]
    model_format: ClassVar[str]
    module: ClassVar[str]
    keeps: ClassVar[bool] = False
    """Whether the engine compiles something that it can keep for the next start."""
    profiles: ClassVar[bool] = True
    integer: ClassVar[bool] = True
    """Whether it computes int8 artifacts in integers; if not, it has to say so."""

    @pytest.fixture(autouse=True)
    def needs_the_engine(self):
        pytest.importorskip(self.module)

    @pytest.fixture
    def artifacts(self, exported):
        """By precision; of several recipes the plain one, whose name is shortest."""
        found = find_artifacts([exported.folder])
        mine = [artifact for artifact in found if artifact.format == self.model_format]
        mine.sort(key=lambda artifact: -len(artifact.path.name))
        return {artifact.precision: artifact for artifact in mine}

    @pytest.fixture(params=PRECISIONS)
    def artifact(self, artifacts, request):
        return artifacts[request.param]

    @pytest.fixture
    def fp32(self, artifacts):
        return artifacts["fp32"]

    @pytest.fixture
    def pictures(self, exported):
        return exported.images[:32]

    def opened(self, artifact, threads=1):
        options = RuntimeOptions(threads=threads)
        return RUNTIMES.load(self.runtime)(artifact.path, artifact.contract, options)

    def executed(self, precision):
        """The precisions that it may run an artifact in."""
        return {"fp32"} if precision == "int8" and not self.integer else EXECUTED[precision]

    def load(self, artifact):
        return load(artifact.path, runtime=self.runtime, threads=1)

    def test_answers_are_those_of_the_reference(self, artifact, exported):
        with self.load(artifact) as predictor:
            result = predictor.predict_proba(exported.images)
        assert result.dtype == np.float32
        assert result.shape == exported.reference.shape
        same = result.argmax(axis=1) == exported.reference.argmax(axis=1)
        assert same.mean() >= LEAST_AGREEMENT[artifact.precision]
        difference = np.abs(result - exported.reference).max()
        assert difference <= LARGEST_DIFFERENCE.get(artifact.precision, 0.5)

    def test_probabilities_are_such(self, artifact, pictures):
        with self.load(artifact) as predictor:
            result = predictor.predict_proba(pictures)
        np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-3)
        assert result.min() >= 0

    def test_the_same_picture_gives_the_same_answer(self, artifact, pictures):
        with self.opened(artifact) as runtime:
            first, again = (runtime.infer(pictures[:1])["probabilities"] for _ in range(2))
        with self.opened(artifact) as runtime:
            reopened = runtime.infer(pictures[:1])["probabilities"]
        np.testing.assert_array_equal(first, again)
        np.testing.assert_array_equal(first, reopened)

    def test_outputs_belong_to_the_caller(self, artifact, pictures):
        with self.opened(artifact) as runtime:
            first = runtime.infer(pictures[:1])["probabilities"]
            kept = first.copy()
            second = runtime.infer(pictures[1:2])["probabilities"]
            assert not np.shares_memory(first, second)
            np.testing.assert_array_equal(first, kept)
            first[:] = 7  # writable, and the engine does not mind
            np.testing.assert_array_equal(runtime.infer(pictures[:1])["probabilities"], kept)
        assert (first == 7).all()

    def test_the_input_is_left_alone(self, fp32, pictures):
        images = pictures[:1].copy()
        images.flags.writeable = False
        with self.opened(fp32) as runtime:
            runtime.infer(images)
        np.testing.assert_array_equal(images, pictures[:1])

    def test_wrong_arrays_are_refused_with_the_right_shape(self, fp32, pictures):
        one = pictures[:1]
        wrong = (one.astype(np.float32), one[0], one[:, :-1], one[..., :2], one[:0], pictures[:2])
        with self.opened(fp32) as runtime:
            for images in wrong:
                with pytest.raises(ImageError, match=fp32.path.name):
                    runtime.infer(images)
            runtime.infer(one)  # and nothing is spoiled by it

    def test_closed_is_closed(self, fp32, pictures):
        runtime = self.opened(fp32)

        def profile():
            return runtime.profile(1)

        with pytest.raises(EngineError, match="not open"):
            runtime.infer(pictures[:1])
        with runtime as entered:
            assert entered is runtime
            assert runtime.open() is runtime
        runtime.close()
        for use in (lambda: runtime.infer(pictures[:1]), runtime.describe, profile):
            with pytest.raises(EngineError, match="not open"):
                use()
        runtime.open().infer(pictures[:1])
        runtime.close()

    def test_it_closes_when_the_block_fails(self, fp32):
        runtime = self.opened(fp32)
        with pytest.raises(KeyError), runtime:
            raise KeyError
        with pytest.raises(EngineError, match="not open"):
            runtime.describe()

    def test_it_describes_what_it_runs(self, artifact):
        with self.opened(artifact, threads=2) as runtime:
            description = runtime.describe()
        assert description.engine == self.runtime == runtime.name
        assert description.version[0].isdigit()
        assert description.device
        assert description.threads == 2
        assert description.executed in self.executed(artifact.precision)

    def test_every_convolution_is_counted(self, artifacts):
        counts = {}
        for precision, artifact in artifacts.items():
            with self.opened(artifact) as runtime:
                rows = runtime.describe().ops()
            counts[precision] = sum(row["count"] for row in rows if row["op"] == "Conv")
            total = sum(row["count"] for row in rows if not row["fused"])
            assert 0 < counts[precision] < total
        assert len(set(counts.values())) == 1, counts

    def test_int8_convolutions_and_additions_are_integer_or_it_says_not(self, artifacts):
        with self.opened(artifacts["int8"]) as runtime:
            rows = runtime.describe().ops()
        for kind in ("Conv", "Add"):
            found = {row["precision"] for row in rows if row["op"] == kind}
            assert found == self.executed("int8"), (kind, rows)

    def test_every_layer_is_timed_or_the_engine_says_that_it_cannot(self, artifact, pictures):
        with self.opened(artifact) as runtime:
            if not self.profiles:
                with pytest.raises(EngineError, match=f"{self.runtime} tells no times"):
                    runtime.profile(2)
                return
            before = runtime.infer(pictures[:1])["probabilities"]
            layers, executed = runtime.profile(2), runtime.describe().operations
            np.testing.assert_array_equal(runtime.infer(pictures[:1])["probabilities"], before)
        assert runtime.profiler
        assert min(layer.microseconds for layer in layers) >= 0
        assert sum(layer.microseconds for layer in layers if layer.kind == "Conv") > 0
        for kind in ("Conv", "MatMul"):
            timed = [layer.precision for layer in layers if layer.kind == kind]
            assert timed == [each.precision for each in executed if each.kind == kind]
            assert timed

    def test_eight_threads_share_a_predictor(self, artifact, pictures):
        with self.load(artifact) as predictor:
            alone = [predictor.predict_proba(picture) for picture in pictures]
            with ThreadPoolExecutor(8) as pool:
                together = list(pool.map(predictor.predict_proba, [*pictures] * 3))
        np.testing.assert_array_equal(together, alone * 3)

    def test_two_are_open_at_once(self, artifacts, pictures):
        with self.load(artifacts["fp32"]) as one, self.load(artifacts["int8"]) as other:
            first, second = one.predict_proba(pictures), other.predict_proba(pictures)
            np.testing.assert_array_equal(one.predict_proba(pictures), first)
            np.testing.assert_array_equal(other.predict_proba(pictures), second)

    def test_what_was_kept_gives_the_same_answers(self, artifact, pictures, tmp_path):
        with self.load(artifact) as predictor:
            expected, plain = predictor.predict_proba(pictures), predictor.describe()
        cache = tmp_path / "compiled"
        for _ in range(2):
            with load(artifact.path, self.runtime, threads=1, cache=cache) as predictor:
                np.testing.assert_array_equal(predictor.predict_proba(pictures), expected)
                assert predictor.describe().executed == plain.executed
                assert len(predictor.describe().operations) == len(plain.operations)
            kept = [file for file in cache.rglob("*") if file.is_file()]
            assert bool(kept) == self.keeps

    def test_what_was_kept_and_is_damaged_is_made_anew(self, fp32, pictures, tmp_path):
        with load(fp32.path, self.runtime, threads=1, cache=tmp_path) as predictor:
            expected = predictor.predict_proba(pictures)
        for kept in [file for file in tmp_path.rglob("*") if file.is_file()]:
            kept.write_bytes(kept.read_bytes()[:1000])
        with load(fp32.path, self.runtime, threads=1, cache=tmp_path) as predictor:
            np.testing.assert_array_equal(predictor.predict_proba(pictures), expected)

    def test_telemetry_is_off(self, fp32):
        with self.opened(fp32):
            assert os.environ.get("ORT_DISABLE_TELEMETRY", "1") == "1"

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
    def test_a_file_cut_off_is_an_error_not_a_crash(self, fp32, tmp_path, share):
        whole = fp32.path.read_bytes()
        copy = tmp_path / f"cut{fp32.path.suffix}"
        copy.write_bytes(whole[: int(len(whole) * share)])
        if fp32.path.suffix == ".xml":
            weights = fp32.path.with_suffix(".bin").read_bytes()
            copy.with_suffix(".bin").write_bytes(weights)
        with pytest.raises((ArtifactError, ContractError, EngineError), match="cut"):
            load(copy, runtime=self.runtime, threads=1)


class TestLitert(RuntimeConformance):
    runtime, model_format, module = "litert", "tflite", "ai_edge_litert"


class TestTfliteRuntime(RuntimeConformance):
    runtime, model_format, module = "tflite-runtime", "tflite", "tflite_runtime"
    profiles = False


class TestTensorflow(RuntimeConformance):
    runtime, model_format, module = "tensorflow", "tflite", "tensorflow"
    profiles = False


class TestOnnxRuntime(RuntimeConformance):
    runtime, model_format, module = "onnxruntime", "onnx", "onnxruntime"
    keeps = True


class TestOpenvino(RuntimeConformance):
    runtime, model_format, module = "openvino", "openvino", "openvino"
    keeps = True
