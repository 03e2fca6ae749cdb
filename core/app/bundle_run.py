#!/usr/bin/env python3
"""Predict with the model of this bundle, on this device.

    python3 run.py --setup          install what it needs into the folder "site" beside this file
    python3 run.py PICTURE...       tell what is on pictures
    python3 run.py --camera         take a picture with the first camera, and tell what is on it
    python3 run.py --verify         check that every file of the bundle is whole

Nothing outside this folder is changed; to be rid of everything, remove it.
"""

import argparse
import hashlib
import json
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
SITE = HERE / "site"
_V4L2 = ("-loglevel", "error", "-y", "-f", "v4l2", "-i", "/dev/video{n}", "-frames:v", "1")
CAMERAS = (
    ("rpicam-jpeg", "--nopreview", "--immediate", "--camera", "{n}", "--output", "{file}"),
    ("libcamera-jpeg", "--nopreview", "--immediate", "--camera", "{n}", "--output", "{file}"),
    ("fswebcam", "--quiet", "--no-banner", "--device", "/dev/video{n}", "{file}"),
    ("ffmpeg", *_V4L2, "{file}"),
)
"""Programs that take one picture, tried in this order."""


def main() -> None:
    """Do what the command line says."""
    options = read_options()
    if options.setup or options.verify:
        verify()
    if options.setup:
        install()
    if options.pictures or options.camera is not None:
        predict(options)


def read_options() -> argparse.Namespace:
    """The command line; without anything to do, its help."""
    lines = (__doc__ or "").strip().splitlines()
    parser = argparse.ArgumentParser(
        description=lines[0],
        epilog="\n".join(lines[1:]),
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="image files")
    parser.add_argument("--camera", nargs="?", type=int, const=0, metavar="N", help="camera number")
    parser.add_argument("--top-k", type=int, default=5, metavar="K", help="answers per picture")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the engine")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--setup", action="store_true", help="install what is needed")
    parser.add_argument("--verify", action="store_true", help="check the files")
    options = parser.parse_args()
    if options.setup and (options.pictures or options.camera is not None):
        parser.error("--setup comes first, and alone")
    if not (options.pictures or options.setup or options.verify or options.camera is not None):
        parser.print_help()
    return options


def verify() -> None:
    """Check every file against SHA256SUMS."""
    for line in (HERE / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        path = HERE / name
        if not path.is_file():
            stop(f"{name} is missing: unpack the bundle again")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            stop(f"{name} is damaged: unpack the bundle again")


def install() -> NoReturn:
    """Install with pip into a folder of our own; ends the program as pip ends it."""
    bundle = read_bundle()
    check_python(bundle["python"])
    unfinished = HERE / "site.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    own_pip = next(iter(sorted(HERE.glob("wheels/pip-*.whl"))), None)
    if own_pip is not None:
        sys.path.insert(0, str(own_pip))
    requirements = [
        part
        for line in (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
        for part in absolute(line)
    ]
    sys.argv = ["pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    sys.argv.append("--root-user-action=ignore")  # the folder is ours
    sys.argv += ["--no-deps", "--target", str(unfinished), *requirements]
    try:
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
    except ImportError:
        stop("this Python has no pip: install python3-pip, or make the bundle with --offline")
    except SystemExit as ended:
        if ended.code:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    shutil.rmtree(SITE, ignore_errors=True)
    unfinished.replace(SITE)
    sys.exit(0)


def absolute(line: str) -> list[str]:
    """A line of requirements.txt as arguments of pip, from wherever it is run."""
    if line.startswith("./"):
        return [str(HERE / line)]
    option, _, value = line.partition(" ")
    return [option, str(HERE / value)] if option == "--find-links" else line.split()


def check_python(wanted: str) -> None:
    """The wheels are for one version of Python."""
    found = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if found != wanted:
        stop(f"this is Python {found}; the bundle is for {wanted}: run it with python{wanted}")


def predict(options: argparse.Namespace) -> None:
    """Print the answers for each picture."""
    bundle = read_bundle()
    sys.path.insert(0, str(SITE))
    try:
        import edgeferry
    except ImportError as error:
        stop(f"{error}: run first: python3 run.py --setup")
    threads = options.threads or bundle["threads"]
    artifact, failed = HERE / bundle["artifact"], False
    try:
        with edgeferry.load(
            artifact, runtime=bundle["runtime"], threads=threads, settings=bundle["settings"]
        ) as predictor:
            for name, picture in pictures(options):
                try:
                    show(name, predictor.predict(picture, top_k=options.top_k), options.json)
                except edgeferry.EdgeferryError as error:
                    failed = True
                    print(f"run.py: {name}: {error}", file=sys.stderr)
    except edgeferry.EdgeferryError as error:
        stop(str(error))
    sys.exit(failed)


def pictures(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    """Name and content of each picture."""
    if options.camera is not None:
        yield f"camera {options.camera}", photograph(options.camera)
    for name in options.pictures:
        yield name, name


def photograph(number: int) -> bytes:
    """A JPEG file from a camera, by the first program that is there."""
    for program, *arguments in CAMERAS:
        if shutil.which(program):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "frame.jpg")
                filled = [part.format(n=number, file=file) for part in arguments]
                done = subprocess.run([program, *filled], stdin=subprocess.DEVNULL)
                if done.returncode or not file.is_file():
                    stop(f"{program} took no picture with camera {number}")
                return file.read_bytes()
    names = ", ".join(program for program, *_ in CAMERAS)
    stop(f"no program takes pictures here; one of these would: {names}")


def show(name: str, predictions, as_json: bool) -> None:  # type: ignore[no-untyped-def]
    """Print one picture's answers, a line of JSON or a line for each."""
    from edgeferry.app.answer_data import answer_arrays, answer_rows

    answers, outputs = answer_rows(predictions), answer_arrays(predictions)
    if as_json:
        told = {"picture": name, "predictions": answers}
        print(json.dumps(told if outputs is None else told | {"outputs": outputs}), flush=True)
        return
    print(name)
    for answer in answers:
        place = answer.get("box") or answer.get("share") or ""
        print(f"  {answer['score']:.4f}  {answer['label']}  {place}".rstrip(), flush=True)
    for output, values in (outputs or {}).items():
        print(f"  {output}  {values}", flush=True)


def read_bundle() -> dict:  # type: ignore[type-arg]
    """What the bundle says of itself."""
    return dict(json.loads((HERE / "bundle.json").read_text(encoding="utf-8")))


def stop(message: str) -> NoReturn:
    """End with one line."""
    print(f"run.py: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
