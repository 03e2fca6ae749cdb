"""A process that answers for one picture and ends: ``ours PATH PICTURE [CACHE]``, ``bare ...``."""

import sys


def ours(path: str, picture: str, cache: str | None = None) -> None:
    """Through edgeferry."""
    import edgeferry

    print(edgeferry.load(path, cache=cache).predict(picture)[0])


def bare(path: str, picture: str) -> None:
    """With Pillow, numpy and the engine alone, on the same artifact."""
    import numpy as np
    from PIL import Image

    image = Image.open(picture).convert("RGB")
    scale = 256 / min(image.size)
    width, height = round(image.width * scale), round(image.height * scale)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - 224) // 2, (height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)))[np.newaxis]
    print(np.argmax(_run(path, pixels)))


def _run(path: str, pixels: object) -> object:
    if path.endswith(".xml"):
        import openvino as ov

        return ov.Core().compile_model(path, "CPU")(pixels)[0]
    if path.endswith(".onnx"):
        import onnxruntime as ort

        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: pixels})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


if __name__ == "__main__":
    {"ours": ours, "bare": bare}[sys.argv[1]](*sys.argv[2:])
