"""What other packages bring by entry points, and that one which is broken harms nothing."""

import json
import os
import re
import subprocess
import sys
from itertools import count

import pytest

from edgeferry.errors import MissingDependencyError, UsageError
from edgeferry.registry import Entry, Registry

GROUP = "edgeferry.runtimes"
ENTRY = "from edgeferry.registry import Entry\n"
EMPTY_ONNX = b"\x08\x08\x3a\x00\x42\x00"
"""A version of the format, a graph and a set of operators with nothing in them."""
BROKEN = {
    "not importable": ("import no_such_module", "No module named 'no_such_module'"),
    "fails": ("raise RuntimeError('out of order\\nand more')", "RuntimeError: out of order$"),
    "leaves": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "without the object": ("other = 1", "AttributeError: .*entry"),
    "of another kind": ("entry = 'abacus:Abacus'", "abacus_0:entry is no .*Entry"),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Call with a name and a module's code: a package whose entry point is the module's entry."""
    numbers = count()
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, code, group=GROUP):
        package = f"{name}_{next(numbers)}"
        (tmp_path / f"{package}.py").write_text(code)
        facts = tmp_path / f"{package}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[{group}]\n{name} = {package}:entry\n")
        monkeypatch.delitem(sys.modules, package, raising=False)
        return package

    return install


def registry():
    """One built-in entry, and whatever is installed by now."""
    return Registry("runtime", GROUP, {"built-in": Entry("json:loads", formats=("tflite",))})


def test_another_packages_entry_is_known_and_loaded_by_its_name(install):
    install("abacus", f"{ENTRY}entry = Entry('abacus_0:Abacus')\nclass Abacus: beads = 10")
    known = registry()
    assert list(known.entries())[:1] == ["built-in"]
    assert known.entries()["abacus"].package == "abacus_0"
    assert known.load("abacus").beads == 10


def test_what_it_requires_is_named_where_it_is_missing(install):
    install("abacus", f"{ENTRY}entry = Entry('abacus_0:Abacus', requires=('no_such_beads',))")
    with pytest.raises(MissingDependencyError, match="pip install no_such_beads"):
        registry().load("abacus")


def test_other_packages_are_not_asked_for_a_built_in_entry(install):
    package = install("abacus", "raise RuntimeError")
    assert registry().load("built-in") is json.loads
    assert next(registry().in_turn())[0] == "built-in"
    assert package not in sys.modules


@pytest.mark.parametrize("why", BROKEN)
def test_a_broken_entry_point_is_an_error_only_where_it_is_asked_for(install, why):
    code, problem = BROKEN[why]
    install("abacus", code)
    install("works", f"{ENTRY}entry = Entry('json:dumps')")
    known = registry()
    assert known.load("built-in") is json.loads
    assert known.load("works") is json.dumps
    for ask in (known.entry, known.require, known.load):
        with pytest.raises(UsageError, match="runtime 'abacus' of abacus_0 cannot be used") as told:
            ask("abacus")
        assert "uninstall" in told.value.remedy
    assert re.search(problem, known.entries()["abacus"].problem)


@pytest.mark.parametrize("target", ["no_such_module:Abacus", "abacus_0:Other", "no dotted path"])
def test_an_entry_whose_target_is_not_there_names_its_package(install, target):
    install("abacus", f"{ENTRY}entry = Entry({target!r})")
    known = registry()
    known.require("abacus")
    with pytest.raises(UsageError, match=r"'abacus' of abacus_0 cannot be used: \w+Error"):
        known.load("abacus")


def test_a_name_that_is_taken_stays_what_it_was(install):
    install("built-in", f"{ENTRY}entry = Entry('json:dumps')")
    install("abacus", f"{ENTRY}entry = Entry('json:dumps')")
    install("abacus", f"{ENTRY}entry = Entry('json:dump')")
    known = registry()
    assert known.load("built-in") is json.loads
    assert known.load("abacus") in (json.dumps, json.dump)
    problems = [entry.problem for name, entry in known.plug_ins if entry.problem]
    assert problems[1] == "edgeferry has a runtime of that name"
    assert problems[0].startswith("abacus_")


@pytest.fixture
def edgeferry(install, tmp_path):
    """Call with a command's arguments, where the installed packages can be seen."""

    def run(*arguments):
        command = [sys.executable, "-m", "edgeferry", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    return run


def test_doctor_tells_what_is_broken_and_does_not_break(install, edgeferry):
    for kind in ("runtimes", "exporters", "devices"):
        install("abacus", "import no_such_module", f"edgeferry.{kind}")
    done = edgeferry("doctor", "--json", "-")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [each["kind"] for each in told["plug_ins"]] == ["runtime", "format", "device transport"]
    for each in told["plug_ins"]:
        assert each["name"] == "abacus"
        assert each["package"].startswith("abacus_")
        assert "no_such_module" in each["problem"]
    assert "abacus" not in {engine["name"] for engine in told["engines"]}


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("runtimes", ["predict", "FILE", "x.png", "--runtime", "abacus"]),
        ("exporters", ["export", "FILE", "-o", "OUT", "--formats", "abacus", "--precisions=fp32"]),
        ("devices", ["devices", "check", "abacus://here"]),
    ],
)
def test_the_command_names_the_package_that_is_broken(install, edgeferry, tmp_path, kind, command):
    install("abacus", "import no_such_module", f"edgeferry.{kind}")
    model = tmp_path / "x.onnx"
    model.write_bytes(EMPTY_ONNX)
    done = edgeferry(*(model if word == "FILE" else word for word in command))
    assert done.returncode == 2
    assert "abacus_0 cannot be used: ModuleNotFoundError" in done.stderr
    assert "internal error" not in done.stderr
