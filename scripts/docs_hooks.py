"""What MkDocs asks of us while it builds the site (``hooks`` in ``mkdocs.yml``)."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from cli_reference import cli_reference
from results_reference import results_reference

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {
    "<!-- every command -->": cli_reference,
    "<!-- every key -->": results_reference,
}
"""What is put in place of a comment, from the program itself."""
_LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<target>(?:\.\./)+[^)#\s]+)\)")


def on_startup(command: str, dirty: bool) -> None:
    """Lay out the package, before mkdocstrings looks for it."""
    lay_out_package(ROOT / ".cache" / "docs")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the decisions in the navigation."""
    decisions = sorted(Path(config.docs_dir).glob("decisions/*.md"))
    for entry in config.nav or []:
        if "Decisions" in entry:
            entry["Decisions"] = [f"decisions/{path.name}" for path in decisions]
    return config


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what is generated; take the link off what is in the repository, not on the site."""
    for comment, generate in GENERATED.items():
        if comment in markdown:
            markdown = markdown.replace(comment, generate())
    folder = Path(page.file.abs_src_path or "").parent
    return _LINK.sub(lambda link: _on_site(link, folder, Path(config.docs_dir)), markdown)


def lay_out_package(folder: Path) -> None:
    """Link each folder of the repository to where it installs, so that its sources are found."""
    shutil.rmtree(folder, ignore_errors=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package, source in project["tool"]["setuptools"]["package-dir"].items():
        place = folder.joinpath(*package.split("."))
        place.mkdir(parents=True, exist_ok=True)
        for module in (ROOT / source).glob("*.py"):
            (place / module.name).symlink_to(module)


def _on_site(link: re.Match[str], folder: Path, docs: Path) -> str:
    """A link to a file outside the docs as its text alone; one to nothing stays, and warns."""
    target = (folder / link["target"]).resolve()
    outside = target.exists() and not target.is_relative_to(docs)
    return link["text"] if outside else link[0]
