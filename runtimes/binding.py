"""How a file of another maker is brought under the contract: what goes in and comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeferry.contract import (
    Contract,
    Head,
    InputSpec,
    OutputSpec,
    Precision,
    Preprocessing,
    SourceInfo,
)
from edgeferry.errors import ContractError
from edgeferry.given_contract import GivenContract
from edgeferry.labels import check_labels
from edgeferry.outputs import classes_of, contract_outputs, task_of
from edgeferry.preprocessing import preprocess
from edgeferry.runtimes.tensors import Tensors, TensorSpec, shape_text

_COLORS = (1, 3)
_ACTIVATED = ("classification", "segmentation")


@dataclass(frozen=True)
class Binding:
    """How the contract's tensors are made into the file's, and back.

    Attributes:
        input: What it takes.
        channels_first: Whether that is ``[N, channels, height, width]``.
        preprocessing: Done on the host.
        outputs: What it gives, in the contract's order.
        specs: The same as the contract has it.
        masks_first: Whether its outputs are masks ``[N, classes, height, width]``.
        activation: Done on the host; ``none`` where the file has done it.
    """

    input: TensorSpec
    channels_first: bool
    preprocessing: Preprocessing
    outputs: tuple[TensorSpec, ...]
    specs: tuple[OutputSpec, ...]
    masks_first: bool = False
    activation: Head = "none"

    def fed(self, images: NDArray[np.uint8]) -> NDArray[np.generic]:
        """Pictures uint8 ``[N, height, width, channels]`` as the file takes them."""
        given = self.input
        value: NDArray[np.generic] = images
        as_it_is = given.dtype == "uint8" and (given.scale, given.zero_point) in ((0, 0), (1, 0))
        if not as_it_is or self.preprocessing != "none":
            real = preprocess(images, self.preprocessing)
            value = _quantized(real, given) if given.scale else real.astype(given.dtype)
        if self.channels_first:
            value = value.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(value)

    def read(self, found: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        """The file's outputs by its names, as the contract has them."""
        outputs = {}
        for given, spec in zip(self.outputs, self.specs, strict=True):
            value = found[given.name]
            real = value.astype(np.float32)
            if given.scale:
                real = (real - given.zero_point) * np.float32(given.scale)
            if self.masks_first:
                real = real.transpose(0, 2, 3, 1)
            outputs[spec.name] = activated(real.reshape(-1, *spec.shape), self.activation)
        return outputs


def bind(
    name: str, tensors: Tensors, given: GivenContract, precision: Precision = "fp32"
) -> tuple[Contract, Binding]:
    """Make a contract of what a file tells of itself and what the user tells of it.

    Args:
        name: The file's, without folder and suffix.
        tensors: What it takes and gives.
        given: What the user tells.
        precision: What the contract says it is.

    Raises:
        ContractError: If the two do not fit, or do not suffice.
        UsageError: If the outputs do not tell the task, or do not suit the one given.
        LabelError: If there are not as many labels as classes.
    """
    taken = _picture(name, tensors.inputs)
    if "int" in taken.dtype and not taken.scale and given.preprocessing != "none":
        raise ContractError(
            f"{name} takes {taken.dtype}: it does its own preprocessing",
            'Say so with "preprocessing": "none"',
        )
    spec, channels_first = _input_spec(name, taken, given)
    chosen = _chosen(name, tensors.outputs, given.outputs)
    own = [OutputSpec(told, _known(name, each)) for told, each in chosen.items()]
    task = task_of(name, own, given.task)
    masks_first = channels_first and task == "segmentation"
    if masks_first:
        own = [OutputSpec(each.name, (*each.shape[1:], each.shape[0])) for each in own]
    specs = contract_outputs(task, own)
    classes = classes_of(task, specs)
    if given.labels is not None:
        check_labels(given.labels, classes)
    head: Head = "none"
    if task in _ACTIVATED:
        if given.head is None:
            raise ContractError(
                f"what the scores of {name} are is not known",
                'Say it with "head": logits, softmax or sigmoid',
            )
        head = "sigmoid" if given.head == "sigmoid" else "softmax"
    contract = Contract(
        task=task,
        input=spec,
        classes=classes,
        labels=given.labels,
        head=head,
        precision=precision,
        recipe="foreign",
        source=SourceInfo(name, "", given.preprocessing),
        outputs=tuple(specs),
    )
    activation: Head = "softmax" if head != "none" and given.head == "logits" else "none"
    binding = Binding(
        input=taken,
        channels_first=channels_first,
        preprocessing=given.preprocessing,
        outputs=tuple(chosen.values()),
        specs=contract.outputs,
        masks_first=masks_first,
        activation=activation,
    )
    return contract, binding


def _picture(name: str, inputs: Sequence[TensorSpec]) -> TensorSpec:
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        listed = ", ".join(f"{each.name} {shape_text(each.shape)}" for each in inputs)
        raise ContractError(f"{name} takes {listed or 'nothing'}, not pictures in one tensor")
    return inputs[0]


def _input_spec(name: str, taken: TensorSpec, given: GivenContract) -> tuple[InputSpec, bool]:
    """The input as the contract has it, and whether the file has channels first."""
    batch, *sizes = taken.shape
    last, first = sizes[2] in _COLORS, sizes[0] in _COLORS
    if not (first or last):
        raise ContractError(
            f"{name} takes {shape_text(taken.shape)}: neither axis 1 nor axis 3 is 1 or 3 colors"
        )
    own, channels = (sizes[:2], sizes[2]) if last else (sizes[1:], sizes[0])
    height, width = own if given.size is None else given.size
    if height is None or width is None:
        raise ContractError(f"{name} takes pictures of any size", 'Fix one with "size"')
    if any(a not in (None, b) for a, b in zip(own, (height, width), strict=True)):
        raise ContractError(f"{name} takes {own[0]}x{own[1]} pictures, not {height}x{width}")
    return InputSpec(height, width, channels or 3, batch, given.resize), not last


def _chosen(
    name: str, outputs: Sequence[TensorSpec], told: Mapping[str, str]
) -> dict[str, TensorSpec]:
    """The outputs that count, by the contract's names."""
    by_name = {each.name: each for each in outputs}
    if missing := sorted(set(told.values()) - by_name.keys()):
        raise ContractError(f"{name} has no output {missing[0]!r}", f"It has: {', '.join(by_name)}")
    return {new: by_name[old] for new, old in told.items()} if told else by_name


def _known(name: str, output: TensorSpec) -> tuple[int, ...]:
    sizes = tuple(size for size in output.shape[1:] if size is not None)
    if len(sizes) != len(output.shape) - 1:
        raise ContractError(f"{name} gives {output.name} in a size that is not known beforehand")
    return sizes


def _quantized(real: NDArray[np.float32], spec: TensorSpec) -> NDArray[np.generic]:
    limits = np.iinfo(spec.dtype)
    steps = np.rint(real / spec.scale) + spec.zero_point
    return np.asarray(np.clip(steps, limits.min, limits.max), spec.dtype)


def activated(scores: NDArray[np.float32], activation: Head) -> NDArray[np.float32]:
    """Put the last activation on scores ``[..., classes]``; ``none`` gives them as they are."""
    if activation == "none":
        return scores
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-scores)), np.float32)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
