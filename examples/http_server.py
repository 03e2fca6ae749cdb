"""An HTTP server that speaks the Open Inference Protocol, version 2, as KServe and Triton do.

    python http_server.py my_model.int8.tflite --port 8000

Clients of the protocol, ``tritonclient`` among them, find the tensors of the artifact's contract:
``image`` UINT8 [N, height, width, 3] gives ``probabilities`` FP32 [N, classes], as JSON or by the
binary tensor data extension. Beside that, an image file can be sent as it is:

    curl --data-binary @cat.jpg localhost:8000/v2/models/my_model.int8/predict

An error is {"error": TEXT} with 400 for what cannot be meant, 404 for a model that is not there,
413 for too large a body. It needs ``pip install 'fastapi>=0.115' 'uvicorn>=0.30'``; copy
``open_inference.py`` with it.
"""

import argparse
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from open_inference import Inference, answer, read_image, tensors
from pydantic import ValidationError
from starlette.exceptions import HTTPException

import edgeferry
from edgeferry.app.answer_data import answer_rows
from edgeferry.errors import ImageError, UsageError

KNOWN_ERRORS = (HTTPException, RequestValidationError, ValidationError, ImageError, UsageError)


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", type=Path, help="the exported model: .tflite, .onnx or .xml")
    parser.add_argument("--name", help="of the model (default: that of the file)")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 serves other machines too")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--largest", type=int, default=32, metavar="MIB", help="size of a request")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the engine")
    options = parser.parse_args()
    try:
        with edgeferry.load(options.artifact, threads=options.threads) as predictor:
            name = options.name or options.artifact.stem
            app = make_app(predictor, name, options.largest << 20)
            uvicorn.run(app, host=options.host, port=options.port, limit_concurrency=64)
    except edgeferry.EdgeferryError as error:
        parser.error(str(error))


def make_app(predictor: edgeferry.Predictor, name: str, largest: int = 32 << 20) -> FastAPI:
    """The application: one model, shared by all threads.

    Args:
        predictor: The model; the caller closes it.
        name: What clients call it.
        largest: Bytes that a request's body may have.
    """
    app = FastAPI(title="edgeferry", version=edgeferry.__version__)
    for kind in (*KNOWN_ERRORS, Exception):
        app.add_exception_handler(kind, tell_error)
    contract, model = predictor.contract, f"/v2/models/{name}"

    async def read_body(request: Request) -> bytes:
        if "content-encoding" in request.headers:
            raise HTTPException(415, "the body must not be compressed")
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > largest:
                raise HTTPException(413, f"a body may have {largest} bytes, no more")
        return bytes(body)

    Body = Annotated[bytes, Depends(read_body)]

    @app.get("/v2")
    def server() -> dict[str, Any]:
        extensions = ["binary_tensor_data"]
        return {"name": "edgeferry", "version": edgeferry.__version__, "extensions": extensions}

    @app.get("/v2/health/live")
    def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.get(model)
    def metadata() -> dict[str, Any]:
        return {"name": name, "platform": "edgeferry", **tensors(contract)}

    @app.get(f"{model}/ready")
    def model_ready() -> dict[str, Any]:
        return {"name": name, "ready": True}

    @app.post(f"{model}/infer")
    def infer(
        body: Body, inference_header_content_length: Annotated[int | None, Header(ge=0)] = None
    ) -> Response:
        end = inference_header_content_length
        request = Inference.model_validate_json(body[:end])
        binary = b"" if end is None else body[end:]
        outputs = predictor.predict_outputs(read_image(request, binary, contract))
        return answer(request, name, outputs)

    @app.post(f"{model}/predict")
    def predict(body: Body, top_k: Annotated[int, Query(ge=1)] = 5) -> dict[str, Any]:
        return {"model_name": name, "predictions": answer_rows(predictor.predict(body, top_k))}

    return app


async def tell_error(_: Request, error: Exception) -> JSONResponse:
    """An error as the protocol has it; only the user's own are told in full."""
    status, text = 500, "the server failed"
    if isinstance(error, HTTPException):
        status, text = error.status_code, error.detail
    elif isinstance(error, RequestValidationError | ValidationError):
        first = error.errors()[0]
        status, text = 400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    elif isinstance(error, ImageError | UsageError):
        status, text = 400, str(error)
    return JSONResponse({"error": text}, status)


if __name__ == "__main__":
    main()
