#!/usr/bin/env python3
"""Predict with the model of this bundle, on this device.

    python3 run.py --setup          install what it needs into the folder "site" beside this file
    python3 run.py PICTURE...       tell what is on pictures
    python3 run.py --camera         take a picture with the first camera, and tell what is on it
    python3 run.py --verify         check that every file of the bundle is whole
    python3 run.py --key PUB.pem    beside any of them: check first that all of it was signed for
                                    this Ed25519 key, and that nothing else is here

Nothing outside this folder is changed; to be rid of everything, remove it.
"""

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # this folder: what was put beside this file must not be imported

import argparse
import base64
import csv
import hashlib
import json
import os
import runpy
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
SITE = HERE / "site"
SUMS, SIGNATURE = HERE / "SHA256SUMS", HERE / "SHA256SUMS.sig"
NOT_BUNDLED = ("site", "site.unfinished")
PIP_WRITES = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")
HASHES = ("sha256", "sha384", "sha512")
"""Kinds of digests that wheels may tell of their files."""
ED25519 = bytes.fromhex("302a300506032b6570032100")
"""What is before the 32 bytes of a public key (RFC 8410)."""
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
    try:
        check(options)
    except OSError as error:
        stop(f"cannot check the bundle: {error}")
    if options.setup:
        install()
    if options.pictures or options.camera is not None:
        predict(options)


def check(options: argparse.Namespace) -> None:
    """See that the bundle is what it should be, as far as that was asked for."""
    if options.key is not None:
        trust(Path(options.key), options.setup)
    elif options.setup or options.verify:
        verify(read_sums())


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
    parser.add_argument("--key", metavar="PUB.pem", help="what it must be signed for")
    options = parser.parse_args()
    if options.setup and (options.pictures or options.camera is not None):
        parser.error("--setup comes first, and alone")
    asked = options.pictures or options.setup or options.verify or options.key is not None
    if not asked and options.camera is None:
        parser.print_help()
    return options


def read_sums() -> bytes:
    """What SHA256SUMS holds."""
    if not SUMS.is_file():
        stop(f"{SUMS.name} is missing: unpack the bundle again")
    return SUMS.read_bytes()


def verify(sums: bytes) -> set[str]:
    """Check every file against the content of SHA256SUMS; tell which there are."""
    names = set()
    for line in sums.decode("utf-8", "replace").rstrip("\n").split("\n"):
        expected, _, name = line.partition("  ")
        path = HERE / name
        if not path.is_file():
            stop(f"{name} is missing: unpack the bundle again")
        if digest(path) != expected:
            stop(f"{name} is damaged: unpack the bundle again")
        names.add(name)
    return names


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trust(key: Path, setup: bool) -> None:
    """See that all of the bundle, and what was installed of it, is what was signed.

    This holds for what lies around this file. Who could change this file itself could leave the
    check out: README.txt tells how to check it without running it.
    """
    sums = read_sums()
    check_signature(key, sums)
    known = verify(sums) | {SUMS.name, SIGNATURE.name}
    for name in plain_files(HERE, NOT_BUNDLED):
        if name not in known:
            stop(f"{name} is no part of the bundle: remove it")
    sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull  # none is read either
    if not setup:
        check_site()
    elif not read_bundle()["offline"]:
        stop("what the setup would fetch is not signed: make the bundle with --offline")


def check_signature(key: Path, sums: bytes) -> None:
    """See that SHA256SUMS was signed with the private key that belongs to a public one."""
    if not SIGNATURE.is_file():
        stop("this bundle is not signed")
    public, signature = public_key(key), SIGNATURE.read_bytes()
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        good = openssl_verifies(key, sums, signature)
    else:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, sums)
            good = True
        except InvalidSignature:
            good = False
    if not good:
        stop(f"this bundle was not signed for {key}, or was changed since")


def public_key(path: Path) -> bytes:
    """The 32 bytes of an Ed25519 public key in a PEM file."""
    try:
        _, _, rest = path.read_text("ascii").partition("-----BEGIN PUBLIC KEY-----")
        data = base64.b64decode("".join(rest.partition("-----END")[0].split()), validate=True)
    except OSError as error:
        stop(f"cannot read {path}: {error.strerror}")
    except ValueError:
        data = b""
    if not data.startswith(ED25519) or len(data) != len(ED25519) + 32:
        stop(f"{path} holds no Ed25519 public key in PEM")
    return data[len(ED25519) :]


def openssl_verifies(key: Path, message: bytes, signature: bytes) -> bool:
    """What the program openssl says of a signature."""
    program = shutil.which("openssl")
    version = program and subprocess.run([program, "version"], capture_output=True, text=True)
    name, _, number = (version.stdout if version else "").partition(" ")
    if not program or name != "OpenSSL" or not number[:1].isdigit() or number[0] < "3":
        stop("checking a signature needs openssl 3, or python3-cryptography: install either")
    with tempfile.TemporaryDirectory() as folder:
        signed, made = Path(folder, "signed"), Path(folder, "made")
        signed.write_bytes(message)
        made.write_bytes(signature)
        command = [program, "pkeyutl", "-verify", "-pubin", "-inkey", str(key), "-rawin"]
        told = subprocess.run(
            [*command, "-in", str(signed), "-sigfile", str(made)], capture_output=True
        )
    return told.returncode == 0


def check_site() -> None:
    """See that all that was installed came out of the wheels here."""
    known = {pair for wheel in HERE.glob("wheels/*.whl") for pair in recorded(wheel)}
    for name in plain_files(SITE):
        folder, _, file = name.rpartition("/")
        never_loaded = name.startswith("bin/") or folder.endswith("__pycache__")
        if never_loaded or (folder.endswith(".dist-info") and file in PIP_WRITES):
            continue
        content = (SITE / name).read_bytes()
        if not any((name, kind, hashlib.new(kind, content).digest()) in known for kind in HASHES):
            stop(f"site/{name} is not from a wheel of the bundle: run --setup again, or offline")


def recorded(wheel: Path) -> Iterator[tuple[str, str, bytes]]:
    """Name, kind of digest and digest of each file that a wheel installs."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
        lines = archive.read(min(names, key=len)).decode().splitlines()
    for name, told, _ in csv.reader(lines):
        top, _, rest = name.partition("/")
        if top.endswith(".data"):
            name = rest.partition("/")[2]
        kind, _, text = told.partition("=")
        if kind in HASHES:
            yield name, kind, base64.urlsafe_b64decode(text.rstrip("=") + "==")


def plain_files(folder: Path, besides: tuple[str, ...] = ()) -> Iterator[str]:
    """Names of all files below a folder, none of which may be a link."""
    for root, folders, files in os.walk(folder):
        for path in (Path(root, name) for name in (*folders, *files)):
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                stop(f"{path} is no plain file: unpack the bundle again")
        if Path(root) == folder:
            folders[:] = [name for name in folders if name not in besides]
        yield from (Path(root, name).relative_to(folder).as_posix() for name in files)


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
    kinds = {"python": str, "artifact": str, "runtime": str, "settings": dict, "offline": bool}
    try:
        told = dict(json.loads((HERE / "bundle.json").read_text(encoding="utf-8")))
        whole = all(isinstance(told[name], kind) for name, kind in kinds.items())
        whole = whole and isinstance(told["threads"], (int, type(None)))
        whole = whole and all(isinstance(value, str) for value in told["settings"].values())
    except (LookupError, OSError, RecursionError, TypeError, ValueError):
        whole = False
    if not whole:
        stop("bundle.json is damaged: unpack the bundle again")
    return told


def stop(message: str) -> NoReturn:
    """End with one line, in which nothing steers the terminal."""
    shown = "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in message)
    print(f"run.py: {shown}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
