"""Non-maximum suppression, held to its definition."""

import numpy as np
import pytest

from edgeferry.runtimes.suppression import intersection_over_union, suppress


def plain(boxes, scores, least, overlap):
    """The definition, box by box."""
    kept = []
    for index in range(scores.shape[1]):
        order = sorted(range(len(boxes)), key=lambda each: -scores[each, index])
        mine = []
        for each in order:
            if scores[each, index] >= least and all(
                intersection_over_union(boxes[each], boxes[other : other + 1])[0] <= overlap
                for other in mine
            ):
                mine.append(each)
        kept += [(index, each) for each in mine]
    return sorted(kept, key=lambda pair: -scores[pair[1], pair[0]])


@pytest.mark.parametrize("overlap", [0.2, 0.5, 1.0])
def test_what_is_kept_is_what_the_definition_keeps(overlap):
    random = np.random.default_rng(0)
    corner, size = random.random((60, 2)), 0.05 + 0.4 * random.random((60, 2))
    boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    scores = random.random((60, 3)).astype(np.float32)
    found = suppress(boxes, scores, 0.3, overlap, 1000)
    expected = plain(boxes, scores, 0.3, overlap)
    assert len(expected) > 20
    assert [(each.index, each.score) for each in found] == [
        (index, pytest.approx(scores[place, index])) for index, place in expected
    ]
    assert len(suppress(boxes, scores, 0.3, overlap, 7)) == 7


def test_intersection_over_union_of_known_boxes():
    box = np.float32([0, 0, 2, 2])
    others = np.float32([[0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [1, 1, 1, 1]])
    np.testing.assert_allclose(intersection_over_union(box, others), [1, 1 / 7, 0, 0], atol=1e-6)


def test_nothing_sure_enough_is_nothing():
    assert (
        suppress(np.zeros((3, 4), np.float32), np.full((3, 2), 0.1, np.float32), 0.2, 0.5, 9) == []
    )
