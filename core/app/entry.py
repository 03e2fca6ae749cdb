"""What the console script starts: the command line, or how to get it."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; without its packages, say which extra brings them (exit 2)."""
    from edgeferry.registry import is_installed, missing_dependency

    missing = tuple(name for name in ("typer", "rich") if not is_installed(name))
    if missing:
        print(
            f"edgeferry: {missing_dependency('the command line', missing, 'cli')}", file=sys.stderr
        )
        sys.exit(2)
    from edgeferry.app.cli import main as run_command_line

    run_command_line()
