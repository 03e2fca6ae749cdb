"""One tensor of an artifact, read by the engine's own means and dequantized by numpy."""

import numpy as np


def float_values(path, tensor, images):
    """Float64 values of a tensor of a float artifact, for all pictures."""
    return np.concatenate(list(_READERS[path.suffix](path, tensor, images)))


def dequantized(path, tensor, images):
    """Values of a tensor of an int8 artifact; lowest, highest and step of what it represents."""
    return {".tflite": _tflite_integers, ".onnx": _onnx_integers, ".xml": _openvino_integers}[
        path.suffix
    ](path, tensor, images)


def _tflite_tensors(path, index_of, images):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    detail = index_of(interpreter.get_tensor_details())
    for image in images:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        yield interpreter.get_tensor(detail["index"]).astype(np.float64), detail


def _tflite_floats(path, tensor, images):
    def named(details):
        return next(each for each in details if each["name"] == tensor)

    return (values for values, _ in _tflite_tensors(path, named, images))


def _tflite_integers(path, tensor, images):
    def named(details):
        return next(each for each in details if each["dtype"] is np.int8 and each["name"] == tensor)

    read = list(_tflite_tensors(path, named, images))
    scale, zero = read[0][1]["quantization"]
    integers = np.concatenate([values for values, _ in read])
    return (integers - zero) * scale, (-128 - zero) * scale, (127 - zero) * scale, scale


def _onnx_session(path, tensor, type_code):
    import onnx
    import onnxruntime

    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_tensor_value_info(tensor, type_code, None))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return model, onnxruntime.InferenceSession(model.SerializeToString(), options)


def _onnx_floats(path, tensor, images):
    _, session = _onnx_session(path, tensor, 1)
    for image in images:
        yield session.run([tensor], {"image": image[None]})[0].astype(np.float64)


def _onnx_integers(path, tensor, images):
    import onnx
    from onnx import numpy_helper

    nodes = onnx.load(path).graph.node
    quantize = next(
        node for node in nodes if node.op_type == "QuantizeLinear" and node.input[0] == tensor
    )
    model, session = _onnx_session(path, quantize.output[0], onnx.TensorProto.UINT8)
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    scale, zero = (float(constants[name]) for name in quantize.input[1:3])
    runs = [session.run(quantize.output[:1], {"image": image[None]})[0] for image in images]
    integers = np.concatenate(runs).astype(np.float64)
    return (integers - zero) * scale, -zero * scale, (255 - zero) * scale, scale


def _openvino_compiled(path, find):
    """The model up to one output, computed in float32 as the file says."""
    import openvino

    model = openvino.Core().read_model(path)
    output = find(model.get_ordered_ops())
    cut = openvino.Model([output], model.get_parameters(), "cut")
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return output, openvino.Core().compile_model(cut, "CPU", hint)


def _openvino_floats(path, tensor, images):
    def named(ops):
        return next(op for op in ops if op.get_friendly_name() == tensor).output(0)

    _, compiled = _openvino_compiled(path, named)
    for image in images:
        yield compiled([image[None]])[0].astype(np.float64)


def _openvino_integers(path, tensor, images):
    def quantized(ops):
        return next(
            op.output(0)
            for op in ops
            if op.get_type_name() == "FakeQuantize"
            and op.input_value(0).get_node().get_friendly_name() == tensor
        )

    output, compiled = _openvino_compiled(path, quantized)
    quantizer = output.get_node()
    low, high = (quantizer.input_value(i).get_node().data.item() for i in (1, 2))
    step = (high - low) / (quantizer.get_attributes()["levels"] - 1)
    values = np.concatenate([compiled([image[None]])[0] for image in images]).astype(np.float64)
    integers = np.round((values - low) / step)
    return integers * step + low, low, high, step


_READERS = {".tflite": _tflite_floats, ".onnx": _onnx_floats, ".xml": _openvino_floats}
