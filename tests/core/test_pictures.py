"""Finding pictures, and the classes that folders and lists name."""

import os

import pytest
from PIL import Image

from edgeferry.errors import ImageError, LabelError
from edgeferry.pictures import find_pictures, labeled_pictures

LABELS = ("cat", "dog, hound", "fox")


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(folder / name)


def found(path):
    return [(p.path.relative_to(path).as_posix(), p.class_name) for p in find_pictures(path)]


def test_a_flat_folder(tmp_path):
    put(tmp_path, "b.png", "a.JPG", "c.webp")
    assert found(tmp_path) == [("a.JPG", None), ("b.png", None), ("c.webp", None)]


def test_one_sub_folder_for_each_class(tmp_path):
    put(tmp_path, "dog/2.png", "dog/1.png", "cat/deep/er/3.png", "loose.png")
    assert found(tmp_path) == [
        ("cat/deep/er/3.png", "cat"),
        ("dog/1.png", "dog"),
        ("dog/2.png", "dog"),
        ("loose.png", None),
    ]


def test_hidden_files_and_other_kinds_are_passed_over(tmp_path):
    put(tmp_path, "a.png", ".hidden.png", ".thumbnails/b.png", "cat/.c.png")
    for name in ("notes.txt", "model.h5", "figure.pdf", "drawing.eps", "png"):
        (tmp_path / name).write_bytes(b"?")
    assert found(tmp_path) == [("a.png", None)]


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    put(tmp_path / "elsewhere", "1.png")
    folder = tmp_path / "pictures"
    put(folder, "dog/2.png")
    try:
        (folder / "cat").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        (folder / "dog" / "up").symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    assert found(folder) == [("cat/1.png", "cat"), ("dog/2.png", "dog")]


@pytest.mark.parametrize("header", ["", "file,label\n", "\ufefffilename, class\n"])
def test_a_csv_with_or_without_header(tmp_path, header):
    put(tmp_path, "a.png", "sub/b.png", "c.png")
    rows = 'a.png,cat\n\nsub/b.png, "dog, hound"\nc.png,\nc.png\n'.replace(', "', ',"')
    (tmp_path / "list.CSV").write_text(header + rows, encoding="utf-8")
    assert [(p.path, p.class_name) for p in find_pictures(tmp_path / "list.CSV")] == [
        (tmp_path / "a.png", "cat"),
        (tmp_path / "sub/b.png", "dog, hound"),
        (tmp_path / "c.png", None),
        (tmp_path / "c.png", None),
    ]


def test_a_missing_first_picture_is_not_taken_for_a_header(tmp_path):
    (tmp_path / "list.csv").write_text("gone.png,cat\na.png,dog\n")
    assert [p.path.name for p in find_pictures(tmp_path / "list.csv")] == ["gone.png", "a.png"]


@pytest.mark.parametrize("content", [b"", b"file,label\n", b"caf\xe9.png,cat\n"])
def test_a_csv_without_pictures(tmp_path, content):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(ImageError, match=r"list\.csv"):
        find_pictures(tmp_path / "list.csv")


@pytest.mark.parametrize("name", ["gone", "gone.csv", "empty", "single.png"])
def test_nothing_to_be_found_is_an_error_with_its_name(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no pictures")
    put(tmp_path, "single.png")
    with pytest.raises(ImageError) as caught:
        find_pictures(tmp_path / name)
    assert str(tmp_path / name) in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["locked", "locked/inner"])
def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path, name, monkeypatch):
    put(tmp_path / "locked", "a.png", "inner/b.png")
    refused = str(tmp_path / name)
    scandir = os.scandir

    def guarded(path):
        if str(path) == os.path.realpath(refused):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)  # permissions do not stop root
    with pytest.raises(ImageError, match=f"cannot read .*{name}: Permission denied"):
        find_pictures(tmp_path / "locked")


def test_true_classes_are_matched_by_name_and_never_counted(tmp_path):
    put(tmp_path, "fox/1.png", "Hound/2.png", "1/3.png", "loose.png")
    pictures = labeled_pictures(tmp_path, LABELS, 3)
    indices = {p.path.relative_to(tmp_path).as_posix(): p.index for p in pictures}
    assert indices == {"fox/1.png": 2, "Hound/2.png": 1, "1/3.png": 1, "loose.png": None}


def test_an_unknown_folder_lists_the_nearest_labels(tmp_path):
    put(tmp_path, "foxx/1.png")
    with pytest.raises(LabelError, match=r"'foxx'[^$]*'fox'"):
        labeled_pictures(tmp_path, LABELS, 3)


def test_one_class_is_told_from_its_absence(tmp_path):
    put(tmp_path, "0/a.png", "1/b.png", "fox/c.png", "not fox/d.png")
    found = labeled_pictures(tmp_path, ("Fox",), 1)
    assert [picture.index for picture in found] == [0, 1, 1, 0]
    put(tmp_path, "hound/e.png")
    with pytest.raises(LabelError, match="'hound' is not an answer of a network of one class"):
        labeled_pictures(tmp_path, ("Fox",), 1)
