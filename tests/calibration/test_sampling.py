"""Choosing calibration pictures."""

from collections import Counter
from pathlib import Path

import pytest

from edgeferry.calibration.sampling import sample_indices, sample_order
from edgeferry.pictures import PictureFile

CLASSES = {"cat": 50, "dog": 20, "fox": 3}


def pictures(root):
    return [
        PictureFile(Path(root) / name / f"{index}.png", name)
        for name, count in CLASSES.items()
        for index in range(count)
    ]


def names(order):
    return [(picture.class_name, picture.path.name) for picture in order]


def test_every_picture_comes_once():
    assert sorted(names(sample_order(pictures("a"), 0))) == sorted(names(pictures("a")))


@pytest.mark.parametrize("count", [3, 9, 30, 60])
def test_classes_take_turns_until_one_is_used_up(count):
    taken = Counter(picture.class_name for picture in sample_order(pictures("a"), 1)[:count])
    for name, total in CLASSES.items():
        fair = max(other for other in taken.values())
        assert taken[name] in (total, fair, fair - 1)


def test_the_order_depends_on_the_seed_alone():
    order = names(sample_order(pictures("a"), 7))
    assert names(sample_order(pictures("/some/where/else"), 7)) == order
    assert names(sample_order(pictures("a"), 8)) != order


def test_fewer_pictures_than_classes_still_vary_with_the_seed():
    first = {sample_order(pictures("a"), seed)[0].class_name for seed in range(20)}
    assert first == set(CLASSES)


def test_flat_pictures_are_shuffled():
    flat = [PictureFile(Path(f"{index:03}.png"), None) for index in range(100)]
    order = sample_order(flat, 0)
    assert sorted(picture.path.name for picture in order) == [p.path.name for p in flat]
    assert [picture.path for picture in order[:20]] != [picture.path for picture in flat[:20]]


def test_indices_are_distinct_sorted_and_seeded():
    indices = sample_indices(1000, 50, 3)
    assert indices == sorted(set(indices))
    assert len(indices) == 50
    assert 0 <= indices[0] < 200
    assert 800 <= indices[-1] < 1000
    assert indices == sample_indices(1000, 50, 3)
    assert indices != sample_indices(1000, 50, 4)
    assert sample_indices(5, 9, 3) == [0, 1, 2, 3, 4]
