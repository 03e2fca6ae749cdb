"""The calibration sample: decoded once, streamed, the same everywhere."""

import hashlib
import shutil
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from edgeferry.calibration.store import StoredPictures, write_calibration
from edgeferry.contract import InputSpec
from edgeferry.errors import CalibrationError, OutputError
from edgeferry.images import to_input


def write(source, spec, destination, count=100, seed=0, **options):
    return write_calibration(source, spec, count, seed, destination, **options)


def grays(path):
    return [int(picture[0, 0, 0, 0]) for picture in StoredPictures(path)]


def test_each_picture_is_what_prediction_makes_of_it(folder, spec, tmp_path):
    taken = write(folder, spec, tmp_path / "c.npy")
    expected = [to_input(path, spec) for path in sorted(folder.glob("*/*.png"))]
    stored = np.load(taken.path)
    order = np.argsort(stored[:, 0, 0, 0])
    np.testing.assert_array_equal(stored[order], np.stack(expected))
    assert (taken.images, taken.skipped) == (10, ())
    assert taken.sha256 == hashlib.sha256(stored.tobytes()).hexdigest()


def test_class_names_go_with_their_pictures(folder, spec, tmp_path):
    taken = write(folder, spec, tmp_path / "c.npy", count=5)
    assert len(taken.class_names) == 5
    for gray, name in zip(grays(taken.path), taken.class_names, strict=True):
        assert name == ("cat" if gray <= 6 else "dog" if gray <= 9 else "fox")
    assert Counter(taken.class_names).keys() == {"cat", "dog", "fox"}


def test_the_set_does_not_depend_on_where_and_how_the_folder_lies(folder, spec, tmp_path):
    moved = tmp_path / "far" / "away"
    for path in sorted(folder.glob("*/*.png"), reverse=True):  # another order of creation
        target = moved / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    first = write(folder, spec, tmp_path / "a.npy", count=4)
    assert write(moved, spec, tmp_path / "b.npy", count=4).sha256 == first.sha256
    others = {write(folder, spec, tmp_path / "b.npy", 4, seed).sha256 for seed in range(1, 6)}
    assert first.sha256 not in others


def test_an_unreadable_picture_is_skipped_counted_and_replaced(folder, spec, tmp_path):
    victims = grays(write(folder, spec, tmp_path / "c.npy", count=4).path)
    cut = next(p for p in folder.glob("*/*.png") if Image.open(p).getpixel((0, 0))[0] == victims[1])
    cut.write_bytes(cut.read_bytes()[:50])
    taken = write(folder, spec, tmp_path / "c.npy", count=4)
    assert taken.images == len(np.load(taken.path)) == len(taken.class_names) == 4
    assert len(taken.skipped) == 1
    assert str(cut) in taken.skipped[0]
    assert grays(taken.path)[:3] == [victims[0], *victims[2:]]


def test_what_cannot_be_replaced_is_missing(folder, spec, tmp_path):
    (folder / "cat" / "0.png").write_text("no picture")
    taken = write(folder, spec, tmp_path / "c.npy")
    assert taken.images == len(np.load(taken.path)) == 9


def test_a_csv_list(folder, spec, tmp_path):
    (folder / "list.csv").write_text("file,label\nfox/0.png,red\ndog/1.png,hound\ngone.png,red\n")
    taken = write(folder / "list.csv", spec, tmp_path / "c.npy")
    assert sorted(taken.class_names) == ["hound", "red"]
    assert "gone.png" in taken.skipped[0]


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_arrays_of_the_network_s_size_are_taken_as_they_are(pixels, spec, tmp_path, name):
    path = tmp_path / name
    (np.save if name == "a.npy" else np.savez)(path, pixels)
    taken = write(path, spec, tmp_path / "c.npy")
    np.testing.assert_array_equal(np.load(taken.path), pixels)
    assert taken.class_names == (None,) * 9


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_sample_of_an_array_is_seeded_and_in_its_order(pixels, spec, tmp_path, name):
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, pixels)
    position = {picture.tobytes(): index for index, picture in enumerate(pixels)}
    samples = []
    for seed in (0, 0, 1, 2, 3):
        taken = write(tmp_path / name, spec, tmp_path / "c.npy", 4, seed)
        samples.append(tuple(position[picture.tobytes()] for picture in np.load(taken.path)))
        assert list(samples[-1]) == sorted(set(samples[-1]))
    assert samples[0] == samples[1]
    assert len(set(samples)) > 1


@pytest.mark.parametrize("shape", [(3, 12, 16), (3, 12, 16, 1)])
def test_gray_arrays_for_a_grayscale_network(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    taken = write(tmp_path / "a.npy", InputSpec(12, 16, channels=1), tmp_path / "c.npy")
    np.testing.assert_array_equal(np.load(taken.path), pixels.reshape(3, 12, 16, 1))


@pytest.mark.parametrize("shape", [(3, 20, 30), (3, 20, 30, 3), (3, 20, 30, 4), (3, 12, 16)])
def test_other_arrays_go_the_way_of_every_picture(spec, tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    taken = write(tmp_path / "a.npy", spec, tmp_path / "c.npy")
    expected = [to_input(picture, spec) for picture in pixels]
    np.testing.assert_array_equal(np.load(taken.path), expected)


def test_stored_pictures_stream_as_often_as_asked(pixels, tmp_path):
    np.save(tmp_path / "c.npy", pixels)
    stored = StoredPictures(tmp_path / "c.npy")
    assert len(stored) == 9
    for _ in range(2):
        pictures = list(stored)
        assert {picture.shape for picture in pictures} == {(1, 12, 16, 3)}
        np.testing.assert_array_equal(np.concatenate(pictures), pixels)
    pairs = zip(stored, stored, strict=True)  # two readers do not disturb each other
    assert all((a == b).all() for a, b in pairs)


def test_progress_is_told_after_each_picture(folder, spec, tmp_path):
    told = []
    write(folder, spec, tmp_path / "c.npy", 4, progress=lambda *step: told.append(step[1:]))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("content", ["gone", "empty", "text", "damaged"])
def test_no_pictures_is_an_error_that_names_the_folder(tmp_path, spec, content):
    folder = tmp_path / "my pictures"
    if content != "gone":
        folder.mkdir()
    if content == "text":
        (folder / "notes.txt").write_text("no pictures here")
    if content == "damaged":
        for name in ("a.png", "b.jpg"):
            (folder / name).write_text("no picture")
    with pytest.raises(CalibrationError) as caught:
        write(folder, spec, tmp_path / "c.npy")
    assert str(folder) in caught.value.problem
    assert caught.value.remedy
    assert len(str(caught.value).splitlines()) == 2
    assert {path.name for path in tmp_path.iterdir()} <= {folder.name}


def test_a_source_that_is_damaged_halfway_leaves_nothing(pixels, spec, tmp_path):
    np.savez_compressed(tmp_path / "a.npz", pixels)
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[2000:4000] = bytes(2000)
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(CalibrationError, match=r"a\.npz"):
        write(tmp_path / "a.npz", spec, tmp_path / "c.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_destination_that_cannot_be_written(folder, spec, tmp_path):
    with pytest.raises(OutputError, match=r"c\.npy"):
        write(folder, spec, tmp_path / "gone" / "c.npy")


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_5000_pictures_of_an_array_cost_no_more_memory_than_50(tmp_path, kind):
    spec = InputSpec(32, 32)
    peaks = []
    for count in (50, 5000):
        source = tmp_path / f"{count}.{kind}"
        (np.save if kind == "npy" else np.savez)(source, np.zeros((count, 32, 32, 3), np.uint8))

        def work(source=source, count=count):
            taken = write(source, spec, tmp_path / "c.npy", count)
            assert sum(1 for _ in StoredPictures(taken.path)) == count

        peaks.append(peak_of(work))
    picture = 32 * 32 * 3
    assert peaks[1] - peaks[0] < 150 * picture  # the 4,950 more pictures are 33 times that


def test_more_files_cost_no_more_memory_than_their_names(tmp_path):
    spec = InputSpec(128, 128)
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    content = (tmp_path / "one.png").read_bytes()
    peaks = []
    for count in (10, 400):
        folder = tmp_path / str(count)
        folder.mkdir()
        for index in range(count):
            (folder / f"{index}.png").write_bytes(content)
        peaks.append(peak_of(lambda: write(folder, spec, tmp_path / "c.npy", count)))  # noqa: B023
    assert peaks[1] - peaks[0] < 20 * 128 * 128 * 3
