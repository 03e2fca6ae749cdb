"""TFLite files in TensorFlow's own interpreter: the last resort."""

import os
import warnings
from types import SimpleNamespace
from typing import Any

from edgeferry.runtimes.tflite_base import TfliteRuntime


class TensorflowRuntime(TfliteRuntime):
    """The interpreter inside TensorFlow."""

    name = "tensorflow"
    package = "tensorflow"

    @classmethod
    def _engine(cls) -> Any:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        # It warns of its move to LiteRT, which is what edgeferry prefers where installed.
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")
        import tensorflow as tf

        return SimpleNamespace(
            Interpreter=tf.lite.Interpreter,
            OpResolverType=tf.lite.experimental.OpResolverType,
            load_delegate=tf.lite.experimental.load_delegate,
        )
