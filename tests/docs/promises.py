"""What can be checked of a code block without running it."""

import ast
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from docs.blocks import Block, blocks

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = {"run.py": ROOT / "core" / "app" / "bundle_run.py"}
"""Programs that are elsewhere in the repository than where a reader finds them."""
PARSERS = {"python": ast.parse, "json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}

Options = Mapping[str, set[str]]
"""Every option of each command, by its words: ``devices add``; the empty one stands before all."""


class Promises:
    """Holds the blocks of one page to what there is.

    Args:
        page: The page.
        options: What the command line has.
    """

    def __init__(self, page: Path, options: Options) -> None:
        self._options = options
        self._blocks = list(blocks(page))
        self._written = {each.title: each.text for each in self._blocks if each.title}

    def broken(self) -> dict[str, list[str]]:
        """What is wrong, by block."""
        found = {str(each): list(self._problems(each)) for each in self._blocks}
        return {place: problems for place, problems in found.items() if problems}

    def _problems(self, block: Block) -> Iterator[str]:
        if block.language == "bash":
            yield from self._in_shell(block.text)
        elif parse := PARSERS.get(block.language):
            try:
                content = parse(block.text)
            except (SyntaxError, ValueError, yaml.YAMLError) as error:
                yield f"it cannot be read: {error}"
            else:
                for script in _scripts(content):
                    yield from self._in_shell(script)

    def _in_shell(self, text: str) -> Iterator[str]:
        """Its syntax, and of every command that is ours whether there is such a thing."""
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        yield from filter(None, [done.stderr.strip()])
        for program, *words in _simple_commands(text):
            if Path(program).name == "edgeferry":
                yield from self._in_command(words)
            elif program.startswith("python") and words and words[0].endswith(".py"):
                yield from self._in_script(*words)
            elif program == "make":
                targets = (ROOT / "Makefile").read_text(encoding="utf-8")
                yield from (f"no target {each}" for each in words if f"\n{each}:" not in targets)

    def _in_command(self, words: list[str]) -> Iterator[str]:
        names = (" ".join(words[:count]) for count in (2, 1))
        command = next((name for name in names if name in self._options), "")
        if not command and words and not words[0].startswith("-"):
            yield f"no command edgeferry {words[0]}"
        known = self._options[command] | {"--help"}
        yield from (f"edgeferry {command} has no {each}" for each in _unknown(words, known))

    def _in_script(self, script: str, *words: str) -> Iterator[str]:
        path = BUNDLED.get(Path(script).name, ROOT / script)
        if script not in self._written and not path.is_file():
            yield f"no file {script}"
            return
        source = self._written.get(script) or path.read_text(encoding="utf-8")
        yield from (f"{script} has no {each}" for each in _unknown(words, source))


def _simple_commands(text: str) -> Iterator[list[str]]:
    """The words of each command, those behind a pipe or && by themselves."""
    for line in text.replace("\\\n", " ").splitlines():
        reader = shlex.shlex(line, posix=True, punctuation_chars=True)
        reader.whitespace_split = True
        for apart, words in groupby(reader, key=lambda word: set(word) <= set("|&;()<>")):
            if not apart:
                yield list(words)


def _scripts(content: Any) -> Iterator[str]:
    """What stands behind ``run:`` in a workflow, however deep."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from [value] if key == "run" and isinstance(value, str) else _scripts(value)
    elif isinstance(content, list):
        for each in content:
            yield from _scripts(each)


def _unknown(words: list[str] | tuple[str, ...], known: set[str] | str) -> Iterator[str]:
    """Options that are not known."""
    options = (word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word))
    return (option for option in options if option not in known)
