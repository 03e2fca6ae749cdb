"""Kernels that ran inside XNNPACK, brought together with the operations of the graph."""

from edgeferry.runtimes.base import Operation
from edgeferry.runtimes.tflite_layers import layer_times

CONV, MATMUL = "Convolution (NHWC, QC8) IGEMM", "Fully Connected (NC, QS8, QC8W) GEMM"
GRAPH = [
    Operation("cast", "CAST", "Cast", "fp32"),
    Operation("stem", "CONV_2D", "Conv", "int8"),
    Operation("one", "CONV_2D", "Conv", "int8"),
    Operation("sum", "ADD", "Add", "int8"),
    Operation("scores", "FULLY_CONNECTED", "MatMul", "fp32"),
    Operation("probabilities", "SOFTMAX", "Softmax", "fp32"),
]


def timed(*tags, graph=GRAPH):
    return layer_times(tags, range(len(tags)), graph)


def test_each_kernel_finds_its_operation():
    tags = ("CAST", CONV, MATMUL, "Add (ND)", "Fully Connected (NC, F32) GEMM")
    found = timed(*tags, "Softmax (NC, F32)")
    assert [each.originals for each in found] == [(each.name,) for each in GRAPH]
    assert [each.kind for each in found] == [each.kind for each in GRAPH]
    assert [each.precision for each in found] == [each.precision for each in GRAPH]
    assert [each.microseconds for each in found] == [0, 1, 2, 3, 4, 5]
    assert found[2].type == MATMUL


def test_a_kernel_of_its_own_belongs_to_the_operation_before():
    found = timed("CAST", CONV, MATMUL, "Add (ND)", "Clamp (NC)", MATMUL)
    assert [each.originals for each in found[3:5]] == [("sum",), ("sum",)]
    assert (found[4].kind, found[4].precision) == ("Clamp", "int8")
    assert found[5].originals == ("scores",)


def test_operations_that_no_kernel_ran_are_passed_over():
    found = timed(CONV, MATMUL, MATMUL, "Softmax (NC, F32)")
    names = [each.originals[0] for each in found]
    assert names == ["stem", "one", "scores", "probabilities"]


def test_nothing_is_guessed_where_weighted_kernels_are_not_as_many():
    found = timed("CAST", CONV, CONV, CONV, MATMUL)
    assert not any(each.originals for each in found)
    assert [each.kind for each in found] == ["Cast", "Conv", "Conv", "Conv", "MatMul"]
