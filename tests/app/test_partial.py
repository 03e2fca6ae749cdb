"""What an interrupted run has finished: kept, verified, and published as one thing."""

import json
import os
import shutil
from pathlib import Path

import pytest

from edgeferry.app.lock import hidden_beside, unheard
from edgeferry.app.output_folder import check_output, finish_publishing, publish
from edgeferry.app.partial import open_partial
from edgeferry.errors import OutputError, UsageError

ASKED = {"seed": 0, "formats": ("onnx", "tflite")}


class Interrupted(BaseException):
    """As Ctrl-C, or anything that ends a run."""


def begun(output, finished, asked=ASKED, resume=False):
    """A run that finishes some things and is interrupted; what it told."""
    told = []
    with pytest.raises(Interrupted), open_partial(output, asked, resume, told.append) as partial:
        for name, files in finished.items():
            for file, content in files.items():
                (partial.work / file).write_text(content)
            partial.finish(name, [partial.work / file for file in files], {"seconds": 1.5})
        (partial.work / "half").write_text("ha")
        raise Interrupted
    return told


TWO = {"net.xml": {"net.xml": "graph", "net.bin": "weights"}, "net.onnx": {"net.onnx": "model"}}


def test_what_is_finished_is_kept_with_its_facts(tmp_path):
    told = begun(tmp_path / "out", TWO)
    assert "--resume" in told[0]
    with open_partial(tmp_path / "out", ASKED, True, told.append) as partial:
        assert "2 finished" in told[1]
        assert partial.finished("net.onnx")["seconds"] == 1.5
        assert partial.finished("other") is None
        assert sorted(file.name for file in partial.files.iterdir()) == [
            "net.bin",
            "net.onnx",
            "net.xml",
        ]
        assert list(partial.work.iterdir()) == []
        assert sorted(each.name for each in partial.folder.iterdir()) == sorted(
            ["files", "journal.json", partial.work.name]
        )
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_finished_nothing_leaves_nothing(tmp_path):
    assert begun(tmp_path / "out", {}) == []
    assert list(tmp_path.iterdir()) == []


def test_without_resume_it_begins_anew_and_says_so(tmp_path):
    begun(tmp_path / "out", TWO)
    told = []
    with open_partial(tmp_path / "out", {"seed": 1}, False, told.append) as partial:
        assert partial.finished("net.onnx") is None
        assert list(partial.files.iterdir()) == []
    assert "--resume" in told[0]


def test_with_nothing_to_resume_it_begins(tmp_path):
    told = []
    with open_partial(tmp_path / "out", ASKED, True, told.append) as partial:
        assert partial.groups() == []
    assert "from the start" in told[0]


@pytest.mark.parametrize("harm", ["changed", "cut", "gone"])
def test_only_what_is_verified_whole_is_kept(tmp_path, harm):
    begun(tmp_path / "out", TWO)
    weights = hidden_beside(tmp_path / "out", "partial") / "files" / "net.bin"
    {
        "changed": lambda: weights.write_text("weighty"),
        "cut": lambda: weights.write_text("weigh"),
        "gone": weights.unlink,
    }[harm]()
    with open_partial(tmp_path / "out", ASKED, True, unheard) as partial:
        assert partial.finished("net.xml") is None
        assert partial.finished("net.onnx") is not None
        assert [file.name for file in partial.files.iterdir()] == ["net.onnx"]


def test_it_goes_on_with_the_same_alone_and_names_what_differs(tmp_path):
    begun(tmp_path / "out", TWO)
    other = {**ASKED, "seed": 1}
    with (
        pytest.raises(UsageError, match="was made with seed 0, not 1") as caught,
        open_partial(tmp_path / "out", other, True, unheard),
    ):
        pass
    assert "without --resume" in caught.value.remedy
    with open_partial(tmp_path / "out", ASKED, True, unheard) as partial:
        assert len(partial.groups()) == 2, "the refusal took nothing"


def test_what_is_known_later_has_to_be_the_same_too(tmp_path):
    def with_source(digest, resume):
        with open_partial(tmp_path / "out", ASKED, resume, unheard) as partial:
            partial.ask({"model sha256": digest})
            (partial.work / "net.onnx").write_text("model")
            partial.finish("net.onnx", [partial.work / "net.onnx"], {})
            raise Interrupted

    with pytest.raises(Interrupted):
        with_source("aaa", False)
    with pytest.raises(UsageError, match='model sha256 "aaa", not "bbb"'):
        with_source("bbb", True)
    with pytest.raises(Interrupted):
        with_source("aaa", True)


STRANGE = {"schema": 1, "asked": {}, "finished": {"net.onnx": []}}


@pytest.mark.parametrize(
    "journal", ["", "no json", "[]", "{}", json.dumps(STRANGE), '{"schema": 99, "finished": {}}']
)
def test_a_journal_that_says_nothing_is_none(tmp_path, journal):
    begun(tmp_path / "out", TWO)
    (hidden_beside(tmp_path / "out", "partial") / "journal.json").write_text(journal)
    with open_partial(tmp_path / "out", ASKED, True, unheard) as partial:
        assert partial.groups() == []
        assert list(partial.files.iterdir()) == []


@pytest.mark.parametrize("strange", ["other user", "link", "file"])
def test_what_may_be_another_users_is_not_taken(tmp_path, strange, monkeypatch):
    """In a folder where all may write, another could put an artifact for us to publish."""
    begun(tmp_path / "out", TWO)
    folder = hidden_beside(tmp_path / "out", "partial")
    if strange == "other user":
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    else:
        folder.rename(tmp_path / "elsewhere")
    if strange == "link":
        folder.symlink_to("elsewhere")
    if strange == "file":
        folder.write_text("file")
    for resume in (True, False):
        with (
            pytest.raises(OutputError, match="no folder of yours"),
            open_partial(tmp_path / "out", ASKED, resume, unheard),
        ):
            pass


def test_nobody_else_can_write_to_what_will_be_published(tmp_path):
    begun(tmp_path / "out", TWO)
    assert stat_mode(hidden_beside(tmp_path / "out", "partial")) == 0o700


def stat_mode(path):
    return path.stat().st_mode & 0o777


NEW = {
    "net.xml": {"net.xml": "new graph", "net.bin": "new weights"},
    "net.onnx": {"net.onnx": "new model"},
    "manifest.json": {"manifest.json": "new manifest"},
}
OLD = {
    "net.xml": "graph",
    "net.bin": "weights",
    "net.onnx": "model",
    "net.tflite": "other",
    "manifest.json": "manifest",
}


class Steps:
    """Lets a process take some steps in the file system, and be killed before the next."""

    def __init__(self, monkeypatch, count):
        self.left = count
        for name in ("replace", "rename", "unlink"):
            monkeypatch.setattr(Path, name, self.stepping(getattr(Path, name)))

    def stepping(self, step):
        def take(*arguments, **options):
            if self.left == 0:
                raise Interrupted
            self.left -= 1
            return step(*arguments, **options)

        return take


@pytest.fixture
def replaced(tmp_path, monkeypatch):
    """Publish into a folder that is in use, and be killed after some steps."""

    def publish_some(steps):
        output = tmp_path / str(steps) / "out"
        output.mkdir(parents=True)
        for name, content in OLD.items():
            (output / name).write_text(content)
        begun(output, NEW)
        killed = True
        with monkeypatch.context() as patch, open_partial(output, ASKED, True, unheard) as partial:
            patch.setattr(shutil, "rmtree", lambda *args, **options: None)  # a dead one tidies not
            Steps(patch, steps)
            try:
                publish(partial, output)
                killed = False
            except Interrupted:
                pass
        return output, killed

    return publish_some


def test_a_publishing_that_is_killed_anywhere_is_finished_by_the_next_run(replaced):
    new = {name: content for files in NEW.values() for name, content in files.items()}
    killed, steps = True, 0
    while killed:
        output, killed = replaced(steps)
        found = {file.name: file.read_text() for file in output.iterdir()}
        assert all(content in (OLD[name], new.get(name)) for name, content in found.items())
        if "net.xml" in found:
            assert ("new" in found["net.xml"]) == ("new" in found["net.bin"]), steps
        if "manifest.json" in found:
            kinds = {"new" in found[name] for name in (*new,)}
            assert len(kinds) == 1, "it tells of what is there"
        began = hidden_beside(output, "partial") / "publishing.json"
        finish_publishing(output)
        if steps > 1:  # until then it has not begun: only a resumed run can go on
            assert not began.exists()
            now = {file.name: file.read_text() for file in output.iterdir()}
            assert now == {**OLD, **new}
            assert [each.name for each in output.parent.iterdir()] == ["out"]
        steps += 1
    assert steps > 6


def test_a_folder_that_was_removed_meanwhile_is_not_published_to(replaced):
    output, _ = replaced(4)
    shutil.rmtree(output)
    finish_publishing(output)
    assert not output.exists()


def test_a_new_folder_appears_at_once(tmp_path):
    output = tmp_path / "out"
    begun(output, NEW)
    with open_partial(output, ASKED, True, unheard) as partial:
        publish(partial, output)
    assert len(list(output.iterdir())) == 4
    assert stat_mode(output) == 0o777 & ~umask()
    assert list(tmp_path.iterdir()) == [output]


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_its_own_companions_do_not_make_a_mounted_folder_full(tmp_path, monkeypatch):
    output = tmp_path / "out"
    output.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == output)
    begun(output, NEW)
    check_output(output, force=False)
    with open_partial(output, ASKED, True, unheard) as partial:
        publish(partial, output)
    assert len(list(output.iterdir())) == 4
    with pytest.raises(OutputError, match="not empty"):
        check_output(output, force=False)


def test_what_cannot_be_taken_over_is_an_error_of_the_output(tmp_path):
    with (
        pytest.raises(OutputError, match=r"cannot write .*out: No such file"),
        open_partial(tmp_path / "out", ASKED, False, unheard) as partial,
    ):
        partial.finish("net", [partial.work / "lost"], {})
