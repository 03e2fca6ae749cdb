"""Code blocks of Markdown pages, and what a comment just before one says of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*$")
_TITLE = re.compile(r'title="(.+?)"')


@dataclass(frozen=True)
class Block:
    """One code block.

    Attributes:
        page: The file it is in.
        line: Where it begins there, from 1.
        language: The word behind its fence; empty where it has none, or is merely indented.
        title: The file that a reader puts it into; empty where none is named.
        text: What is in it.
        not_run: Why no test can run it; empty where one can.
    """

    page: Path
    line: int
    language: str
    title: str
    text: str
    not_run: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def commands(self) -> list[str]:
        """The lines of a shell block, those that a backslash continues joined."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def blocks(page: Path) -> Iterator[Block]:
    """Every code block of a page, in order."""
    before = ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            language, _, rest = token.info.strip().partition(" ")
            title, reason = _TITLE.search(rest), NOT_RUN.search(before)
            yield Block(
                page,
                (token.map or [0])[0] + 1,
                language,
                title[1] if title else "",
                token.content,
                reason[1] if reason else "",
            )
        before = token.content if token.type == "html_block" else ""


def runnable(page: Path) -> list[Block]:
    """Those a test follows: it runs them, or writes the files they name."""
    return [each for each in blocks(page) if not each.not_run and each.language != "text"]
