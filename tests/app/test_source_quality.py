"""A wrong preprocessing shows before anything is quantized; a right one is left in peace."""

import pytest

from edgeferry.app.source_quality import source_quality


def asker(rights):
    """Answer by mode: how many of the first pictures are right."""
    asked = []

    def ask(modes, count):
        asked.append((tuple(modes), count))
        return {mode: [number < rights.get(mode, 0) for number in range(count)] for mode in modes}

    ask.asked = asked
    return ask


def test_a_good_source_is_asked_once():
    ask = asker({"caffe": 97})
    quality = source_quality("caffe", 100, 3, ask)
    assert (quality.top1, quality.images, quality.warning) == (97, 100, None)
    assert ask.asked == [(("caffe",), 100)]


def test_a_preprocessing_that_does_better_is_named():
    quality = source_quality("torch", 100, 3, asker({"torch": 3, "caffe": 33, "none": 20}))
    assert quality.top1 == 3
    assert "3 of 40 labeled pictures right with --preprocessing torch, 33 with caffe" in (
        quality.warning
    )


@pytest.mark.parametrize(("other", "told"), [(30, False), (33, False), (39, True)])
def test_a_little_better_may_be_chance(other, told):
    quality = source_quality("caffe", 40, 3, asker({"caffe": 30, "none": other}))
    assert (quality.warning is not None) == told


def test_only_what_does_no_worse_at_first_is_asked_further():
    ask = asker({"caffe": 30, "none": 20, "tf": 3})
    source_quality("caffe", 100, 3, ask)
    assert [(modes, count) for modes, count in ask.asked if "tf" in modes] == [
        (("torch", "tf", "zero_one", "none"), 16)
    ]
    assert ask.asked[-1] == (("none",), 40)


def test_bad_whatever_is_done_is_told():
    quality = source_quality("caffe", 100, 3, asker({"caffe": 10}))
    assert "only 10.0 % of 100 labeled pictures" in quality.warning


def test_few_pictures_are_all_asked_about():
    ask = asker({"tf": 4})
    assert source_quality("tf", 8, 3, ask).top1 == 50
    assert {count for _, count in ask.asked} == {8}


def test_a_grayscale_network_is_asked_with_its_own_preprocessing_only():
    ask = asker({"tf": 4})
    source_quality("tf", 8, 1, ask)
    assert ask.asked == [(("tf",), 8)]
