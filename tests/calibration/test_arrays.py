"""Reading arrays of pictures from disk, against numpy."""

import zipfile

import numpy as np
import pytest

from edgeferry.calibration.arrays import open_array
from edgeferry.errors import CalibrationError


def saved(path, array):
    np.save(path, array)
    return path


@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4, 3, 1), (5, 4, 3, 3), (5, 4, 3, 4)])
@pytest.mark.parametrize("kind", ["npy", "npz", "packed"])
def test_pictures_are_those_of_numpy(tmp_path, shape, kind):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    path = tmp_path / f"pictures.{'npy' if kind == 'npy' else 'npz'}"
    {"npy": np.save, "npz": np.savez, "packed": np.savez_compressed}[kind](path, pixels)
    array = open_array(path)
    assert len(array) == 5
    for _ in range(2):  # as often as asked
        np.testing.assert_array_equal(np.stack(list(array)), pixels)
    np.testing.assert_array_equal(np.stack(list(array.pictures([1, 4]))), pixels[[1, 4]])


def test_pictures_are_fresh(tmp_path):
    path = saved(tmp_path / "a.npy", np.zeros((2, 4, 3), np.uint8))
    first, second = open_array(path)
    first[:] = 9
    assert not second.any()
    assert not np.load(path).any()


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("images", "extra"), "images"),
        (("x_test", "x_train", "y_train"), "x_train"),
        (("X", "y"), "X"),
        (("pixels", "labels"), "pixels"),
        (("whatever",), "whatever"),
    ],
)
def test_the_pictures_of_an_archive_are_found_by_name(tmp_path, names, taken):
    arrays = {name: np.full((2, 4, 3), index, np.uint8) for index, name in enumerate(names)}
    np.savez(tmp_path / "a.npz", **arrays)
    picture = next(iter(open_array(tmp_path / "a.npz")))
    np.testing.assert_array_equal(picture, arrays[taken][0])


def test_an_archive_of_several_arrays_names_them(tmp_path):
    pixels = np.zeros((2, 4, 3), np.uint8)
    np.savez(tmp_path / "a.npz", left=pixels, right=pixels, labels=pixels)
    with pytest.raises(CalibrationError, match=r"left, right[^$]*'images'"):
        open_array(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.zeros((2, 4, 3)), "float64"),
        (np.zeros((2, 4, 3), np.int16), "int16"),
        (np.array([{}, {}], object), "object"),
        (np.zeros((4, 3), np.uint8), r"\[4, 3\]"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"\[2, 3, 8, 8\]"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"\[0, 8, 8, 3\]"),
        (np.asfortranarray(np.zeros((2, 4, 3), np.uint8)), "Fortran"),
    ],
)
def test_other_arrays_are_refused_with_what_they_are(tmp_path, array, named):
    with pytest.raises(CalibrationError, match=rf"a\.npy.*{named}"):
        open_array(saved(tmp_path / "a.npy", array))


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def test_no_pickle_is_opened(tmp_path):
    path = saved(tmp_path / "trap.npy", np.array([Trap()], object))
    with pytest.raises(CalibrationError, match="object"):
        open_array(path)


def test_damaged_files_are_refused_with_their_name(tmp_path):
    whole = saved(tmp_path / "whole.npy", np.zeros((9, 8, 8, 3), np.uint8)).read_bytes()
    np.savez(tmp_path / "whole.npz", np.zeros((9, 8, 8, 3), np.uint8))
    with zipfile.ZipFile(tmp_path / "none.npz", "w") as archive:
        archive.writestr("notes.txt", "no array")
    (tmp_path / "text.npy").write_text("no array at all")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "cut.npy").write_bytes(whole[:-1])
    (tmp_path / "header.npy").write_bytes(whole[:50])
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-30])
    damaged = ("text.npy", "empty.npy", "cut.npy", "header.npy", "text.npz", "cut.npz", "none.npz")
    for name in (*damaged, "gone.npy"):
        with pytest.raises(CalibrationError) as caught:
            open_array(tmp_path / name)
        assert name in caught.value.problem
        assert len(str(caught.value).splitlines()) <= 2


def test_damage_inside_is_found_when_it_is_read(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 20, 20, 3), np.uint8)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, pixels)
    data = bytearray(path.read_bytes())
    data[3000:5000] = bytes(2000)
    path.write_bytes(data)
    array = open_array(path)
    with pytest.raises(CalibrationError, match=r"a\.npz"):
        list(array)
    whole = open_array(saved(tmp_path / "b.npy", pixels))
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-1])
    with pytest.raises(CalibrationError, match="cut off"):
        list(whole)
