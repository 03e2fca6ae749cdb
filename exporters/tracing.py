"""Tracing Keras models for inference, whatever code their layers hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgeferry.trained_model import keras_input_shape, keras_output_names

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def save_traced(model: keras.Model, path: Path) -> None:
    """Write a model that is in memory as a SavedModel, for another process to open.

    Unlike a ``.keras`` file it holds what layers of the user's own do. Unlike ``model.export``
    it never trains: that leaves augmentation on, and batch norm in training mode with it.

    Args:
        model: A built model with one input.
        path: Folder to write; its name is the model's from then on.

    Raises:
        SourceError: If it is no such model.
    """
    shape = keras_input_shape(model, path.name)
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec((None, *shape[1:]), tf.float32, name="picture")]
    names = keras_output_names(model)

    def answer(picture: tf.Tensor) -> dict[str, tf.Tensor]:
        given = model(picture, training=False)
        if isinstance(given, dict):
            return given
        return dict(zip(names, given if isinstance(given, list) else [given], strict=True))

    archive.add_endpoint("serving_default", answer, signature)
    with functions_inlined():
        archive.write_out(str(path), verbose=False)


@contextmanager
def functions_inlined() -> Iterator[None]:
    """Trace through functions that Keras compiles apart, as it does grouped convolutions."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
