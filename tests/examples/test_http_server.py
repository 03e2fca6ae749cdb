"""The HTTP server answers clients of the Open Inference Protocol, and shrugs off bad requests."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_ends.mosquitto import free_port
from device_ends.processes import wait_until

import edgeferry

httpx = pytest.importorskip("httpx")
uvicorn = pytest.importorskip("uvicorn")
triton = pytest.importorskip("tritonclient.http")
pytest.importorskip("fastapi")
from http_server import make_app  # noqa: E402  (needs FastAPI)

MODEL = "/v2/models/colors"
LARGEST = 1 << 20
IMAGES = np.random.default_rng(3).integers(0, 256, (40, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def address(artifact: Path) -> Iterator[str]:
    """Host and port of a server in a thread of this process."""
    with edgeferry.load(artifact) as predictor:
        app = make_app(predictor, "colors", LARGEST)
        config = uvicorn.Config(app, port=free_port(), log_level="critical")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        wait_until(lambda: server.started or not thread.is_alive(), "the server does not start")
        yield f"127.0.0.1:{config.port}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def http(address: str) -> Iterator[Any]:
    """A plain client."""
    with httpx.Client(base_url=f"http://{address}", timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Any]:
    """Triton's client."""
    with triton.InferenceServerClient(address) as client:
        yield client


def request_for(images: Any, **changes: Any) -> dict[str, Any]:
    """A request with JSON data."""
    images = np.asarray(images)
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(images.shape)}
    return {"inputs": [{**tensor, "data": images.ravel().tolist(), **changes}]}


def triton_input(images: np.ndarray, binary: bool = True) -> Any:
    tensor = triton.InferInput("image", list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images, binary_data=binary)
    return tensor


def test_the_server_and_its_model_are_described(client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("colors")
    assert not client.is_model_ready("shapes")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    model = client.get_model_metadata("colors")
    assert model["name"] == "colors"
    assert model["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 8, 8, 3]}]
    assert model["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("sent", ["binary", "json"])
@pytest.mark.parametrize("received", ["all", "binary", "json"])
def test_triton_client_gets_what_the_predictor_says(client, predictor, count, sent, received):
    images = IMAGES[:count]
    wanted = triton.InferRequestedOutput("probabilities", binary_data=received == "binary")
    result = client.infer(
        "colors",
        [triton_input(images, binary=sent == "binary")],
        request_id="seven",
        outputs=None if received == "all" else [wanted],
    )
    np.testing.assert_array_equal(
        result.as_numpy("probabilities"), predictor.predict_proba(images), strict=True
    )
    assert result.get_response()["id"] == "seven"
    assert result.get_response()["model_name"] == "colors"


def test_triton_client_is_told_its_mistakes(client):
    other = triton.InferRequestedOutput("other")
    classes = triton.InferRequestedOutput("probabilities", class_count=2)
    mistakes = [
        ("shapes", triton_input(IMAGES[:1]), None, "404"),
        ("colors", triton_input(IMAGES[:1, :4]), None, "400"),
        ("colors", triton_input(IMAGES[:1]), [other], "400"),
        ("colors", triton_input(IMAGES[:1]), [classes], "400"),
    ]
    for model, tensor, outputs, status in mistakes:
        with pytest.raises(triton.InferenceServerException) as error:
            client.infer(model, [tensor], outputs=outputs)
        assert error.value.status() == status
        assert error.value.message()


def test_plain_json(http, predictor):
    nested = request_for(IMAGES[:2]) | {"id": "eight"}
    nested["inputs"][0]["data"] = IMAGES[:2].tolist()
    for request in (request_for(IMAGES[:2]), nested):
        answer = http.post(f"{MODEL}/infer", json=request)
        assert answer.status_code == 200
        told = answer.json()
        assert told.get("id") == request.get("id")
        (output,) = told["outputs"]
        assert (output["name"], output["datatype"]) == ("probabilities", "FP32")
        assert output["shape"] == [2, 3]
        np.testing.assert_array_equal(
            np.array(output["data"], np.float32).reshape(2, 3), predictor.predict_proba(IMAGES[:2])
        )


BAD = {
    "empty": b"",
    "no JSON": b"\xff{",
    "no object": b"[]",
    "deep": b"[" * 100_000,
    "no inputs": {},
    "empty inputs": {"inputs": []},
    "two inputs": {"inputs": request_for(IMAGES[:1])["inputs"] * 2},
    "other input": request_for(IMAGES[:1], name="picture"),
    "other type": request_for(IMAGES[:1], datatype="FP32"),
    "no data": request_for(IMAGES[:1], data=None),
    "words": request_for(IMAGES[:1], data=["red"] * 192),
    "fractions": request_for(IMAGES[:1], data=[0.5] * 192),
    "too large": request_for(IMAGES[:1], data=[256] * 192),
    "huge": request_for(IMAGES[:1], data=[1 << 70] * 192),
    "negative": request_for(IMAGES[:1], data=[-1] * 192),
    "ragged": request_for(IMAGES[:1], data=[[1], [2, 3]]),
    "too few": request_for(IMAGES[:1], data=[1] * 191),
    "no numbers": request_for(IMAGES[:1], data=[]),
    "no images": request_for(IMAGES[:0]),
    "less than none": request_for(IMAGES[:1], shape=[-1, 8, 8, 3]),
    "no shape": request_for(IMAGES[:1], shape=[]),
    "other shape": request_for(IMAGES[:1], shape=[1, 8, 3, 8]),
    "binary that is not there": request_for(IMAGES[:1], parameters={"binary_data_size": 192}),
    "shared memory": request_for(IMAGES[:1], parameters={"shared_memory_region": "a"}),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_a_bad_request_is_told_and_ends_nothing(http, body):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = http.post(f"{MODEL}/infer", content=content)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"} and answer.json()["error"]
    assert http.get(f"{MODEL}/ready").status_code == 200


@pytest.mark.parametrize("length", ["-1", "many", "5", "100000"])
def test_a_bad_header_is_told(http, length):
    headers = {"Inference-Header-Content-Length": length}
    body = json.dumps(request_for(IMAGES[:1], parameters={"binary_data_size": 192}))
    answer = http.post(f"{MODEL}/infer", content=body, headers=headers)
    assert answer.status_code == 400 and answer.json()["error"]


def test_a_body_may_not_be_too_large(http):
    for content in (b" " * (LARGEST + 1), iter([b" " * LARGEST, b" "])):
        answer = http.post(f"{MODEL}/infer", content=content)
        assert answer.status_code == 413 and answer.json()["error"]
    assert http.get("/v2/health/ready").status_code == 200


def test_a_compressed_body_is_refused(http):
    answer = http.post(f"{MODEL}/infer", content=b"", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415 and answer.json()["error"]


def test_an_unknown_place_is_told(http):
    for answer in (http.get("/v2/models/shapes"), http.post("/v2/models/shapes/infer", json={})):
        assert answer.status_code == 404 and set(answer.json()) == {"error"}


def test_a_file_gives_labels(http, predictor, pictures):
    file = pictures / "2-blue.png"
    answer = http.post(f"{MODEL}/predict", content=file.read_bytes(), params={"top_k": 2})
    assert answer.status_code == 200
    expected = [asdict(each) for each in predictor.predict(file, top_k=2)]
    assert answer.json() == {"model_name": "colors", "predictions": expected}


def test_a_broken_file_is_told(http, pictures):
    whole = (pictures / "0-red.png").read_bytes()
    for content in (b"", b"no picture", whole[:200]):
        answer = http.post(f"{MODEL}/predict", content=content)
        assert answer.status_code == 400 and answer.json()["error"]
    answer = http.post(f"{MODEL}/predict", content=whole, params={"top_k": 0})
    assert answer.status_code == 400 and "top_k" in answer.json()["error"]


def test_a_failure_of_the_engine_is_no_mistake_of_the_client(artifact):
    predictor = edgeferry.load(artifact)
    app = make_app(predictor, "colors")
    predictor.close()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    async def ask() -> Any:
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.post(f"{MODEL}/infer", json=request_for(IMAGES[:1]))

    answer = asyncio.run(ask())
    assert answer.status_code == 500 and set(answer.json()) == {"error"}


def test_many_clients_at_once(address, predictor):
    expected = predictor.predict_proba(IMAGES)

    def ask(number: int) -> bool:
        with triton.InferenceServerClient(address) as client:
            result = client.infer("colors", [triton_input(IMAGES[number : number + 1])])
        return np.array_equal(result.as_numpy("probabilities")[0], expected[number])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(len(IMAGES))))


def test_the_program(start, artifact, pictures, predictor):
    port = free_port()
    running = start("http_server.py", artifact, "--port", port)

    def is_ready() -> bool:
        assert running.process.poll() is None, running.complained()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(is_ready, "the server does not start")
    place = f"http://127.0.0.1:{port}/v2/models/{artifact.stem}/predict"
    answer = httpx.post(place, content=(pictures / "1-green.png").read_bytes())
    assert answer.json()["predictions"][0]["label"] == "green"
