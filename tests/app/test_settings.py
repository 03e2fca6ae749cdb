"""The user's own defaults: where they are found, what they may be, and how they are shown."""

import json
import os
import tomllib
from pathlib import Path

import pytest

from edgeferry.app import export as export_module
from edgeferry.app.cli import run
from edgeferry.app.settings import find_settings
from edgeferry.errors import SourceError


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder to work in, below one that may hold settings too."""
    folder = tmp_path / "project" / "models"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder.parent


@pytest.fixture
def exported(monkeypatch, capfd):
    """Run ``export net.keras`` with more arguments; what it was asked: output and options."""
    asked = []

    def export(model, output, options, *others):
        asked.append((output, options))
        raise SourceError("seen")

    monkeypatch.setattr(export_module, "export", export)

    def run_export(*arguments):
        code = run(["export", "net.keras", *map(str, arguments)])
        assert (code, capfd.readouterr().err) == (2, "edgeferry: seen\n")
        return asked.pop()

    return run_export


def refused(capfd, *arguments):
    """Run what must be refused: exit 2, one line. Returns it."""
    assert run(list(arguments)) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert len(errors.splitlines()) == 1
    return errors


def shown(capfd, *arguments):
    """What ``--config`` prints."""
    assert run([*arguments, "--config"]) == 0
    return capfd.readouterr().out


def test_settings_stand_in_for_options(project, exported):
    (project / "edgeferry.toml").write_text(
        """
        [export]
        output = "out"
        preprocessing = "caffe"
        calibration = "photos"
        calibration-count = 7
        max-accuracy-drop = 1
        formats = ["tflite", "onnx"]
        precisions = "fp32,int8"
        size = 224
        force = true
        """
    )
    output, options = exported()
    assert output == project / "out"
    assert options.calibration == project / "photos"
    assert (options.preprocessing, options.calibration_count) == ("caffe", 7)
    assert options.max_accuracy_drop == 1.0
    assert (options.formats, options.precisions) == (("tflite", "onnx"), ("fp32", "int8"))
    assert (options.size, options.force) == ((224, 224), True)


def test_the_command_line_has_the_last_word(project, exported):
    (project / "edgeferry.toml").write_text('[export]\nformats = "onnx"\nseed = 3\noutput = "a"\n')
    output, options = exported("-o", "b", "--seed", 4)
    assert (output, options.formats, options.seed) == (Path("b"), ("onnx",), 4)
    assert exported("-o", "b", "--no-config")[1].seed == 0


def test_repeated_options_take_lists(project, monkeypatch):
    asked = []

    def benchmark(artifacts, options, *others):
        asked.append(options)
        raise SourceError("seen")

    monkeypatch.setattr("edgeferry.app.benchmark.benchmark", benchmark)
    file = project / "edgeferry.toml"
    for text, devices in (('["local", "pi"]', ("local", "pi")), ('"pi"', ("pi",))):
        file.write_text(f"[benchmark]\ndevice = {text}\n")
        assert run(["benchmark", "net.onnx"]) == 2
        assert asked.pop().devices == devices
    assert run(["benchmark", "net.onnx", "--device", "zero"]) == 2
    assert asked.pop().devices == ("zero",)


@pytest.mark.parametrize(
    ("written", "seed"),
    [
        ({"pyproject.toml": "[tool.edgeferry.export]\nseed = 1"}, 1),
        ({"pyproject.toml": "[tool]\nedgeferry.export.seed = 1"}, 1),
        ({"pyproject.toml": "[project]\nname = 'edgeferry-user'"}, 0),
        ({"pyproject.toml": "this is broken ["}, 0),
        ({"edgeferry.toml": "[export]\nseed = 2"}, 2),
        (
            {
                "pyproject.toml": "[tool.edgeferry.export]\nseed = 1",
                "edgeferry.toml": "[export]\nseed = 2",
            },
            2,
        ),
        (
            {
                "models/pyproject.toml": "[tool.edgeferry.export]\nseed = 3",
                "edgeferry.toml": "[export]\nseed = 2\njobs = 1",
            },
            3,
        ),
    ],
)
def test_the_nearest_file_is_taken_and_the_own_one_first(project, exported, written, seed):
    for name, text in written.items():
        (project / name).write_text(text)
    _, options = exported("-o", "out")
    assert (options.seed, options.jobs) == (seed, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[exprt]\nseed = 1", ["'exprt'", "export"]),
        ("seed = 1", ["'seed'"]),
        ("export = 1", ["[export] has to be a table"]),
        ("[export]\npreprocesing = 'tf'", ["[export]", "'preprocesing'", "preprocessing"]),
        ("[export]\ncalibration_count = 1", ["'calibration_count'", "calibration-count"]),
        ("[export]\ndebug = true", ["'debug'"]),
        ("[export]\nseed = 'x'", ["'seed'", "a whole number", "'x'"]),
        ("[export]\nseed = true", ["'seed'", "a whole number"]),
        ("[export]\ncrop-ratio = '1'", ["'crop-ratio'", "a number"]),
        ("[export]\nforce = 'yes'", ["'force'", "true or false"]),
        ("[export]\ncalibration = 3", ["'calibration'", "a path"]),
        ("[export]\ntask = ['raw']", ["'task'", "a text"]),
        ("[export]\nformats = [['onnx']]", ["'formats'", "a text"]),
        ("[devices.ad]\nprofile = 'x'", ["'ad'", "add"]),
        ("[devices.add]\nprofil = 'x'", ["[devices.add]", "'profil'", "profile"]),
        ("[export", ["no valid TOML"]),
    ],
)
def test_what_cannot_be_meant_is_named(project, capfd, text, told):
    file = project / "edgeferry.toml"
    file.write_text(text)
    errors = refused(capfd, "devices", "list")
    assert all(each in errors for each in [str(file), *told])


def test_a_home_folder_of_nobody_is_a_folder(project, exported):
    (project / "edgeferry.toml").write_text("[export]\ncalibration = '~nobody-at-all/x'")
    assert exported("-o", "out")[1].calibration == project / "~nobody-at-all/x"


def test_a_project_file_is_named_with_its_table(project, capfd):
    (project / "pyproject.toml").write_text("[tool.edgeferry.export]\nsed = 1")
    errors = refused(capfd, "devices", "list")
    assert f"{project / 'pyproject.toml'}, [tool.edgeferry.export]: unknown key 'sed'" in errors


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["export", "--help"], ["--version"], ["--no-config", "devices", "list"]],
)
def test_broken_settings_do_not_stop_everything(project, arguments):
    (project / "edgeferry.toml").write_text("[export")
    assert run(arguments) == 0


def test_a_table_may_be_named_like_an_option_of_all(project, capfd):
    (project / "edgeferry.toml").write_text("[debug]\ncount = 3\n[report]\n")
    assert run(["devices", "list"]) == 0
    assert "count = 3" in shown(capfd, "debug")


def test_a_removed_folder_has_no_settings(project, monkeypatch):
    gone = project / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert find_settings() is None


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")
def test_a_stranger_sets_nothing(project, exported, capfd, monkeypatch):
    file = project / "edgeferry.toml"
    file.write_text("[export]\nseed = 1")
    project.chmod(0o777)
    assert exported("-o", "out")[1].seed == 1
    if os.geteuid() == 0:
        os.chown(file, 12345, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert shown(capfd).startswith("# no edgeferry.toml")
    run(["devices", "list"])
    assert f"{file} is not read" in capfd.readouterr().err
    project.chmod(0o755)
    assert exported("-o", "out")[1].seed == 1


def test_config_shows_every_command_as_toml(project, capfd):
    (project / "edgeferry.toml").write_text(
        "[export]\nformats = ['onnx']\n[benchmark]\ntune = true"
    )
    text = shown(capfd)
    assert text.startswith(f"# {project / 'edgeferry.toml'}\n")
    tables = tomllib.loads(text)
    assert {"export", "predict", "evaluate", "benchmark", "bundle", "compare"} <= tables.keys()
    assert (tables["export"]["formats"], tables["export"]["seed"]) == ("onnx", 0)
    assert tables["benchmark"]["tune"] is True
    assert tables["devices"]["add"]["replace"] is False


def test_what_config_shows_can_be_set(project, capfd):
    text = shown(capfd)
    (project / "edgeferry.toml").write_text(text)
    before, after = tomllib.loads(text), tomllib.loads(shown(capfd))
    assert before.pop("demo") == {"output": "demo-output"}
    assert after.pop("demo") == {"output": str(project / "demo-output")}
    assert after == before


def test_config_tells_where_a_value_comes_from(project, capfd):
    (project / "edgeferry.toml").write_text("[export]\nseed = 1\nbatch = 2\n")
    assert run(["--config", "export", "net.keras", "--batch", "3", "--formats", "onnx"]) == 0
    lines = [line.split("  # ") for line in capfd.readouterr().out.splitlines()]
    origins = {setting.strip(): origin for setting, *rest in lines for origin in rest}
    assert origins["seed = 1"] == "edgeferry.toml"
    assert origins['batch = "3"'] == "command line"
    assert origins['formats = "onnx"'] == "command line"
    assert origins["calibration-count = 100"] == "default"
    assert "# labels is not set" in [setting.strip() for setting, *_ in lines]


def test_config_shows_the_commands_of_a_group(capfd, project):
    assert tomllib.loads(shown(capfd, "devices")).keys() == {"devices"}
    assert tomllib.loads(shown(capfd, "devices", "add"))["devices"].keys() == {"add"}


def test_config_of_an_unknown_command(capfd, project):
    errors = refused(capfd, "exprt", "--config")
    assert "'exprt'" in errors
    assert "export" in errors


def test_results_tell_the_whole_command_line(project):
    """What a file set is part of how results came about."""
    text = '[doctor]\njson = "doctor.json"\n'
    (project / "edgeferry.toml").write_text(text)
    assert run(["doctor"]) == 0
    told = json.loads((project / "doctor.json").read_text())["tool"]["arguments"]
    assert told == ["doctor", "--json", str(project / "doctor.json")]
    assert run(["doctor", "--json", "other.json"]) == 0
    told = json.loads((project / "models" / "other.json").read_text())["tool"]["arguments"]
    assert told == ["doctor", "--json", "other.json"]


def test_results_of_a_command_of_a_group_tell_it_too(project, monkeypatch):
    monkeypatch.setenv("EDGEFERRY_CONFIG", str(project))
    (project / "edgeferry.toml").write_text("[devices.list]\njson = 'devices.json'\n")
    assert run(["devices", "list"]) == 0
    told = json.loads((project / "devices.json").read_text())["tool"]["arguments"]
    assert told == ["devices", "list", "--json", str(project / "devices.json")]
