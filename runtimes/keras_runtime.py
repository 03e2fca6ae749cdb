"""The reference: the trained model itself, behind the contract of its artifacts."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgeferry.contract import Head
from edgeferry.operations import kind_of, precision_of
from edgeferry.preprocessing import preprocess
from edgeferry.runtimes.base import Description, Operation, Runtime
from edgeferry.runtimes.binding import activated
from edgeferry.trained_model import load_trained_model

_PLUMBING = ("Const", "Identity", "NoOp", "Placeholder", "ReadVariableOp")


class KerasRuntime(Runtime):
    """A trained model, run by TensorFlow; the contract tells its preprocessing and head."""

    name = "keras"
    forks = False

    def _open(self) -> None:
        _limit_threads(self.options.thread_count())
        self._model = load_trained_model(self.path, self.contract.source.signature)
        batch, *sizes = self.contract.input.shape
        noise = np.random.default_rng(0).integers(0, 256, (batch or 4, *sizes), np.uint8)
        head, outputs = self.contract.head, self._predict(noise).values()
        self._lacks_head = not all(_are_probabilities(output, head) for output in outputs)

    def _infer(self, images: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        outputs = self._predict(images)
        if not self._lacks_head:
            return outputs
        return {name: activated(each, self.contract.head) for name, each in outputs.items()}

    def _predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Outputs by their names in the contract, which keeps the source's order."""
        if self._model.input_shape[0] == 1 and len(images) > 1:
            rows = [self._predict(image[None]) for image in images]
            return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        given = self._model.predict(preprocess(images, self.contract.source.preprocessing))
        outputs = zip(self.contract.outputs, given.values(), strict=True)
        return {spec.name: each.reshape(len(each), *spec.shape) for spec, each in outputs}

    def _close(self) -> None:
        del self._model

    def _describe(self) -> Description:
        import tensorflow as tf

        threads = tf.config.threading.get_intra_op_parallelism_threads()
        return Description(
            engine=self.name,
            version=tf.keras.__version__,
            device="TensorFlow",
            threads=threads or self.options.thread_count(),
            operations=tuple(self._operations()),
        )

    def _operations(self) -> list[Operation]:
        import tensorflow as tf

        picture = tf.TensorSpec(self.contract.input.shape, tf.float32)
        graph = tf.function(self._model).get_concrete_function(picture).graph
        return [
            Operation(
                name=node.name,
                type=node.type,
                kind=kind_of(node.type),
                precision=precision_of(node.outputs[0].dtype.name),
            )
            for node in graph.get_operations()
            if node.outputs and node.type not in _PLUMBING
        ]


def _limit_threads(threads: int) -> None:
    """Tell TensorFlow how many threads to use; it listens before its first use only."""
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return


def _are_probabilities(output: NDArray[np.float32], head: Head) -> bool:
    if head == "none":
        return True
    within = bool(np.all((output >= 0) & (output <= 1)))
    sums_to_one = bool(np.allclose(output.sum(axis=-1), 1, atol=1e-2))
    return within and (head == "sigmoid" or sums_to_one)
