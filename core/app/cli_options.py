"""Options that several commands share, and the reading of those that hold lists or sizes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from edgeferry.errors import UsageError

Name = TypeVar("Name", bound=str)

Artifacts = Annotated[
    list[Path], typer.Argument(metavar="OUT|ARTIFACT...", help="Exported files, or their folders.")
]
Config = Annotated[
    bool | None,
    typer.Option(
        "--config/--no-config",
        expose_value=False,
        help="Print the settings in force and stop; or read no settings.",
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show tracebacks and the engines' own output.")
]
EngineDevice = Annotated[
    str | None,
    typer.Option(
        "--engine-device",
        metavar="NAME",
        help="ONNX Runtime execution provider, TFLite delegate library or OpenVINO device.",
    ),
]
EngineSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-setting",
        metavar="NAME=VALUE",
        help="A setting of the engine's own, e.g. one that benchmark --tune found.",
    ),
]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the results as JSON; - is standard output."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Work on the Dask cluster of this scheduler: tcp://host:8786. This machine.",
    ),
]
RuntimeName = Annotated[
    str | None, typer.Option("--runtime", metavar="NAME", help="Engine; the best one installed.")
]
GivenContractFile = Annotated[
    Path | None,
    typer.Option(
        "--contract",
        metavar="FILE",
        help="JSON that tells what a model of another maker does not: preprocessing, head, labels.",
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads per inference; physical cores.")
]
Verbose = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        show_default=False,
        help="Tell what is done; -vv: in detail.",
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"edgeferry {version('edgeferry')}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
]


def one_of(option: str, value: str, known: Sequence[Name]) -> Name:
    """Check an option that takes one of some names.

    Raises:
        UsageError: If it is none of them.
    """
    for name in known:
        if value == name:
            return name
    raise UsageError(f"unknown {option} {value!r}; known: {', '.join(known)}")


def one_of_or_none(option: str, value: str | None, known: Sequence[Name]) -> Name | None:
    """Check an option that may be left out.

    Raises:
        UsageError: If it is given and none of the known.
    """
    return None if value is None else one_of(option, value, known)


def several_of(option: str, text: str, known: Sequence[Name]) -> tuple[Name, ...]:
    """Read a comma-separated list of some names, each taken once.

    Raises:
        UsageError: If one is unknown, or there is none.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UsageError(f"--{option}s is empty; known: {', '.join(known)}")
    return tuple(dict.fromkeys(one_of(option, name, known) for name in names))


def read_size(text: str | None) -> tuple[int, int] | None:
    """Read ``224`` or ``224x320`` as height and width.

    Raises:
        UsageError: If it is neither.
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise UsageError(f"--size {text} is no size", "Give 224, or height and width: 224x320")
    return int(parts[0]), int(parts[-1])


def read_batch(text: str) -> int | None:
    """Read a number of pictures per inference; ``dynamic`` is None.

    Raises:
        UsageError: If it is neither a positive number nor ``dynamic``.
    """
    if text == "dynamic":
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(f"--batch {text} is no batch size", "Give a number, or: dynamic")
    return int(text)
