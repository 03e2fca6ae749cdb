"""What is said of calibration sets that are small, repeat themselves, or are of another kind."""

import numpy as np
import pytest

from edgeferry.calibration.histogram import Range
from edgeferry.calibration.sufficiency import doubts, movement, movements


def scenes(count, seed=0, side=48):
    """uint8 ``[count, 1, side, side, 3]``: warm light, soft blots of any color, some noise."""
    random = np.random.default_rng(seed)
    coarse = random.normal([140, 115, 90], 55, (count, 6, 6, 3))
    smooth = coarse.repeat(side // 6, axis=1).repeat(side // 6, axis=2)
    noisy = smooth + random.normal(0, 5, (count, side, side, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)[:, None]


def said(pictures, others=None):
    return "\n".join(doubts(pictures, others))


def grayscale(pictures):
    gray = pictures.mean(axis=-1, keepdims=True).astype(np.uint8)
    return gray.repeat(3, axis=-1)


def test_nothing_is_said_of_pictures_that_are_many_and_of_the_same_kind():
    assert said(scenes(60), scenes(60, seed=1)) == ""


@pytest.mark.parametrize("seed", range(10))
def test_twenty_pictures_give_no_false_alarm(seed):
    assert said(scenes(20, seed), scenes(20, seed + 100)) == ""


def test_few_pictures_are_counted():
    assert said(scenes(7)) == "only 7 calibration pictures: give 20 at least, better 100 or more"


def test_no_pictures_at_all_are_too_few():
    assert "only 0" in said([], scenes(3))


@pytest.mark.parametrize(
    "altered",
    [
        lambda picture: picture,
        lambda picture: np.clip(picture * 1.1 + 5, 0, 255),
        lambda picture: picture + np.random.default_rng(9).integers(-3, 3, picture.shape),
    ],
    ids=["the same", "lighter", "noisier"],
)
def test_near_duplicates_are_counted(altered):
    pictures = scenes(30)
    twins = np.clip(altered(pictures[:6].astype(float)), 0, 255).astype(np.uint8)
    assert "6 of 36 calibration pictures show nearly the same" in said([*pictures, *twins])


def test_one_twin_among_many_is_no_matter():
    pictures = scenes(60)
    assert said([*pictures, pictures[0]]) == ""


@pytest.mark.parametrize("shape", [(24, 32, 3), (24, 32, 1), (1, 1, 1), (3, 40, 3)])
def test_blank_pictures_are_near_duplicates_whatever_their_gray(shape):
    blank = [np.full((1, *shape), gray, np.uint8) for gray in range(0, 250, 10)]
    assert "24 of 25 calibration pictures show nearly the same" in said(blank)


def test_noise_of_any_size_is_no_duplicate():
    noise = np.random.default_rng(0).integers(0, 256, (25, 1, 400, 400, 1), np.uint8)
    assert said(noise) == ""


@pytest.mark.parametrize(
    ("altered", "words"),
    [
        (lambda pictures: pictures[..., ::-1], "bluer"),
        (lambda pictures: 255 - pictures, "brighter in blue"),
        (lambda pictures: pictures // 2, "darker"),
        (grayscale, "less colorful"),
        (lambda pictures: pictures // 2 + 64, "of less contrast"),
    ],
    ids=["swapped", "inverted", "darker", "gray", "flatter"],
)
def test_a_set_of_another_kind_is_named_by_what_it_differs_in(altered, words):
    heard = said(altered(scenes(25)), scenes(60, seed=1))
    assert "do not look like the validation pictures" in heard
    assert words in heard


def test_gray_networks_are_compared_too():
    gray = scenes(25).mean(axis=-1, keepdims=True).astype(np.uint8)
    others = scenes(25, seed=1).mean(axis=-1, keepdims=True).astype(np.uint8)
    assert said(gray, others) == ""
    assert "darker (brightness" in said(gray // 2, others)


def test_flat_pictures_that_hardly_differ_are_of_one_kind():
    ours = np.full((25, 1, 8, 8, 3), 100, np.uint8)
    theirs = np.full((25, 1, 8, 8, 3), 100, np.uint8)
    theirs[:, :, 0, 0] = 101
    assert "validation" not in said(ours, theirs)


def test_pictures_are_streamed_once():
    assert "only 3" in said(iter(scenes(3)), iter(scenes(3)))


def test_movement_is_told_against_the_width_that_ranges_have_in_the_end():
    half = {"still": Range(0, 10), "moving": Range(-1, 2), "dead": Range(0, 0)}
    whole = {"still": Range(0, 10), "moving": Range(-2, 3), "dead": Range(0, 0)}
    assert movements(half, whole) == pytest.approx({"still": 0, "moving": 0.4, "dead": 0})
    found = movement(half, whole)
    assert found == pytest.approx({"typical": 0, "high": 0.36, "most": 0.4, "tensor": "moving"})


def test_without_a_half_nothing_is_told_of_movement():
    assert movement({}, {"a": Range(0, 1)}) == {}
