"""Choosing calibration pictures: seeded, the same everywhere, evenly over the classes."""

import random
from collections import defaultdict
from collections.abc import Sequence

from edgeferry.pictures import PictureFile


def sample_order(pictures: Sequence[PictureFile], seed: int) -> list[PictureFile]:
    """All pictures in the order in which they are to be taken: one of each class in turn.

    Args:
        pictures: In an order that does not depend on the machine.
        seed: Shuffles the pictures within a class, and the classes.
    """
    generator = random.Random(seed)
    by_class: dict[str, list[PictureFile]] = defaultdict(list)
    for picture in pictures:
        by_class[picture.class_name or ""].append(picture)
    queues = [by_class[name] for name in sorted(by_class)]
    for queue in queues:
        generator.shuffle(queue)
    generator.shuffle(queues)
    rounds = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(rounds) for queue in queues if turn < len(queue)]


def sample_indices(total: int, count: int, seed: int) -> list[int]:
    """Sorted positions of ``count`` members of an array without classes."""
    if count >= total:
        return list(range(total))
    return sorted(random.Random(seed).sample(range(total), count))
