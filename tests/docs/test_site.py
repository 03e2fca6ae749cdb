"""The site: built without a warning, and nothing in it is loaded from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.promises import ROOT

LOADED = re.compile(r"<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)=.?(?:https?:|//)[^>]*>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for needed in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(needed)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    pages = {page.parent.name for page in site.rglob("index.html")}
    assert {page.stem for page in (ROOT / "docs").rglob("*.md")} - {"index"} <= pages


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = {page.name: LOADED.findall(page.read_text()) for page in site.rglob("*.html")}
    assert {name: found for name, found in loaded.items() if found} == {}


def test_the_references_tell_what_there_is(site: Path) -> None:
    commands = (site / "reference" / "cli" / "index.html").read_text()
    assert all(f"edgeferry {name}" in commands for name in ("export", "devices add", "compare"))
    names = (site / "reference" / "api" / "index.html").read_text()
    assert [name for name in public_names() if f'.{name}"' not in names] == []
    keys = (site / "reference" / "results" / "index.html").read_text()
    assert all(key in keys for key in ("ratio_to_fp32_low", "verdicts[].ship"))


def test_pictures_are_those_of_their_script(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    script = str(ROOT / "scripts" / "doc_pictures.py")
    subprocess.run([sys.executable, script, str(tmp_path)], check=True)
    kept = sorted((ROOT / "docs" / "pictures").iterdir())
    assert sorted(each.name for each in tmp_path.iterdir()) == [each.name for each in kept]
    assert [
        each.name for each in kept if each.read_bytes() != (tmp_path / each.name).read_bytes()
    ] == []


def public_names() -> list[str]:
    import edgeferry

    return [name for name in edgeferry.__all__ if name != "__version__"]
