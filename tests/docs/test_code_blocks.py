"""Every code block of the README and the docs does what a reader expects, or says why not."""

import shutil
from pathlib import Path

import pytest

from docs.blocks import blocks, runnable
from docs.promises import ROOT, Options, Promises
from docs.running import Reader, settle

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"bash", "python", "yaml", "json", "toml", "text"}


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def that_do_something() -> list[Path]:
    """The pages a reader would type from; the README is done before them."""
    kinds = {page: {each.language for each in runnable(page)} for page in PAGES}
    return [page for page in PAGES[1:] if kinds[page] & {"bash", "python"}]


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from cli_reference import commands

    return {
        words: {name for parameter in command.params for name in parameter.opts}
        for words, command in commands()
    }


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_names_its_language(page: Path) -> None:
    assert [str(each) for each in blocks(page) if each.language not in LANGUAGES] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_blocks_name_only_what_there_is(page: Path, options: Options) -> None:
    assert Promises(page, options).broken() == {}


def test_the_readme_runs(after_readme: Path) -> None:
    assert (after_readme / "artifacts" / "my_model.int8.tflite").is_file()


@pytest.mark.parametrize("page", that_do_something(), ids=named)
def test_blocks_run_one_after_another(
    page: Path, after_readme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(after_readme, folder, symlinks=True)
    if any("-o artifacts" in each.text for each in runnable(page)):
        shutil.rmtree(folder / "artifacts")  # this page makes its own
    settle(folder, monkeypatch)
    reader = Reader(folder)
    for block in runnable(page):
        reader.follow(block)
