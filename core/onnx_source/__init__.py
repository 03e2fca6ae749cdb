"""ONNX files as a source: their operators as TensorFlow operations, for the one way to go on."""
