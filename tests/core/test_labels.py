"""Labels: reading them, and what a name means."""

import json

import pytest

from edgeferry.errors import LabelError
from edgeferry.labels import check_labels, match_label, read_labels

IMAGENET = (
    "tench, Tinca tinca",
    "great white shark, white shark, man-eater",
    "crane",
    "hammerhead, hammerhead shark",
    "crane",
    "drake",
    "boxer, crane fly",
)


def test_one_label_a_line(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffcafé, coffee \r\nnext\u2028line\n\nlast\n\n \n".encode())
    assert read_labels(path) == ("café, coffee", "next\u2028line", "", "last")


@pytest.mark.parametrize("data", [["a", "b", "c"], {"2": "c", "0": "a", "1": "b"}])
def test_json_list_or_object(tmp_path, data):
    path = tmp_path / "labels.JSON"
    path.write_text(json.dumps(data))
    assert read_labels(path) == ("a", "b", "c")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", b"\n\n"),
        ("labels.txt", b"caf\xe9\n"),
        ("labels.json", b"{"),
        ("labels.json", b"[]"),
        ("labels.json", b"[1, 2]"),
        ("labels.json", b'"cat"'),
        ("labels.json", b'{"1": "a", "2": "b"}'),
    ],
)
def test_a_file_without_labels_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelError, match=name):
        read_labels(tmp_path / name)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(LabelError, match="gone"):
        read_labels(tmp_path / "gone.txt")
    with pytest.raises(LabelError, match="directory"):
        read_labels(tmp_path)


def test_labels_must_be_as_many_as_the_classes():
    check_labels(("a", "b"), 2)
    with pytest.raises(LabelError, match=r"2 labels .* 3 classes"):
        check_labels(("a", "b"), 3)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("tench, Tinca tinca", 0),
        ("TENCH", 0),
        ("tinca_tinca", 0),
        ("Great_White-Shark", 1),
        ("  white shark ", 1),
        ("man eater", 1),
        ("hammerhead_shark", 3),
        ("drake", 5),
        ("crane_fly", 6),
        ("6", 6),
        ("0003", 3),
    ],
)
def test_label_synonym_or_index(name, index):
    assert match_label(name, IMAGENET, 7) == index


def test_an_exact_label_goes_before_another_one_s_synonym():
    labels = ("Cardigan, Cardigan Welsh corgi", "cardigan")
    assert match_label("cardigan", labels, 2) == 1
    with pytest.raises(LabelError, match="0, 1"):  # the dog or the garment?
        match_label("Cardigan", labels, 2)


def test_a_name_of_several_classes_is_refused_with_their_indices():
    with pytest.raises(LabelError, match=r"'Crane'.*2, 4"):
        match_label("Crane", IMAGENET, 7)


@pytest.mark.parametrize("name", ["hamerhead", "Hammer-Head"])
def test_an_unknown_name_lists_the_nearest_labels(name):
    with pytest.raises(LabelError) as caught:
        match_label(name, IMAGENET, 7)
    assert name in str(caught.value)
    assert "'hammerhead, hammerhead shark'" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize("name", ["7", "-1", "1.0", "", "n01440764"])
def test_what_is_neither_label_nor_index_is_refused(name):
    for labels in (IMAGENET, None):
        with pytest.raises(LabelError, match="below 7"):
            match_label(name, labels, 7)


def test_indices_do_without_labels():
    assert [match_label(name, None, 10) for name in ("0", "9", "007")] == [0, 9, 7]


def test_digits_are_labels_and_indices_at_once():
    digits = tuple("0123456789")
    assert [match_label(name, digits, 10) for name in ("0", "9", "007")] == [0, 9, 7]


def test_numbers_that_are_labels_are_no_indices():
    floors = ("1", "2", "3")
    assert [match_label(name, floors, 3) for name in ("1", "02", "3")] == [0, 1, 2]
    with pytest.raises(LabelError):
        match_label("0", floors, 3)
