"""The report: what it holds, as a page, Markdown and CSV, and the page in a real browser."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from edgeferry.app.cli import run
from edgeferry.app.report.documents import short_names
from edgeferry.app.results import results_schema

pytest.importorskip("plotly")
pytest.importorskip("jinja2")


@dataclass(frozen=True)
class Runs:
    """Results files of the digits network, and the pictures that it was judged on."""

    folder: Path
    pictures: Path

    def files(self, *names: str) -> list[str]:
        return [str(self.folder / f"{name}.json") for name in names]

    def data(self, name: str) -> dict:
        return json.loads((self.folder / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def runs(exported, tmp_path_factory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    pictures = folder / "pictures"
    for source in sorted(exported.pictures.glob("*/*.png"))[::3]:
        target = pictures / source.relative_to(exported.pictures)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    fp32, int8 = (str(exported.folder / f"digits.{each}.tflite") for each in ("fp32", "int8"))
    onnx = str(exported.folder / "digits.int8.onnx")
    images = ["--images", str(pictures)]
    commands = {
        "evaluate": [fp32, int8, onnx, *images, "--threads", "1"],
        "benchmark": [fp32, int8, "--duration", "0.5", "--threads", "1", "--profile"],
        "debug": [int8, "--reference", fp32, *images, "--count", "8"],
    }
    for name, arguments in commands.items():
        path = str(folder / f"{name}.json")
        assert run([name, *arguments, "--json", path]) == 0
    _make_up(folder)
    return Runs(folder, pictures)


def _make_up(folder: Path) -> None:
    """What this machine cannot give: a hot board, and an answer that int8 changed."""
    path = folder / "benchmark.json"
    data = json.loads(path.read_text())
    curve = [
        {"seconds": 30 * at, "p50_ms": 1 + at / 10, "temperature_c": 50 + at, "clock_mhz": None}
        for at in range(6)
    ]
    told = {"seconds": 150, "first_p50_ms": 1.0, "last_p50_ms": 1.5, "last_to_first": 1.5}
    data["results"][1]["sustained"] = told | {"curve": curve, "timings_ns": [[1_000_000]] * 6}
    path.write_text(json.dumps(data))
    path = folder / "evaluate.json"
    data = json.loads(path.read_text())
    picture = sorted((folder / "pictures").glob("*/*.png"))[0]
    change = {
        "picture": str(picture.relative_to(folder / "pictures")),
        "true": {"label": "zero", "index": 0},
        "reference": {"label": "zero | <b>0</b>", "index": 0, "score": 0.6},
        "answer": {"label": "eight", "index": 8, "score": 0.5},
    }
    outside = change | {"picture": "../evaluate.json"}
    data["results"][1]["changes"] = [change, outside]
    path.write_text(json.dumps(data))


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    outputs = [
        part for kind in ("html", "md", "csv") for part in ("-o", str(folder / f"report.{kind}"))
    ]
    files = runs.files("debug", "evaluate", "benchmark")
    assert run(["report", *files, *outputs, "--json", str(folder / "report.json")]) == 0
    return folder


def test_measurement_and_accuracy_of_one_file_become_one_row(runs, written):
    document = json.loads((written / "report.json").read_text())
    jsonschema.validate(document, results_schema())
    rows = {each["artifact"]: each for each in document["results"]}
    assert list(rows) == ["digits.fp32.tflite", "digits.int8.tflite", "digits.int8.onnx"]
    judged = {each["artifact"]: each for each in runs.data("evaluate")["results"]}
    measured = {each["artifact"]: each for each in runs.data("benchmark")["results"]}
    int8 = rows["digits.int8.tflite"]
    assert int8["top1"] == judged["digits.int8.tflite"]["top1"]
    assert int8["p50_ms"] == measured["digits.int8.tflite"]["p50_ms"]
    assert rows["digits.int8.onnx"]["p50_ms"] is None


def test_files_that_only_share_a_name_are_not_merged(runs, tmp_path):
    other = runs.data("evaluate")
    for result in other["results"]:
        result["sha256"] = "0" * 64
    path = tmp_path / "other.json"
    path.write_text(json.dumps(other))
    target = str(tmp_path / "r.csv")
    assert run(["report", *runs.files("benchmark"), str(path), "-o", target]) == 0
    rows = list(csv.DictReader((tmp_path / "r.csv").open()))
    assert [row["artifact"] for row in rows].count("digits.int8.tflite") == 2
    assert not any(row["p50_ms"] and row["top1"] for row in rows)


def test_csv_has_the_figures_of_the_json(runs, written):
    rows = list(csv.DictReader((written / "report.csv").open()))
    measured = {each["artifact"]: each for each in runs.data("benchmark")["results"]}
    for row in rows[:2]:
        assert float(row["p50_ms"]) == measured[row["artifact"]]["p50_ms"]
        assert int(row["size_bytes"]) == measured[row["artifact"]]["size_bytes"]


def test_markdown_says_the_verdict_first_and_ends_with_the_commands(runs, written):
    text = (written / "report.md").read_text()
    sentence = runs.data("benchmark")["verdicts"][0]["sentence"]
    assert text.splitlines()[2] == f"**{sentence}**"
    assert "| digits.int8.onnx | " in text
    assert "zero \\| <b>0</b> 60 %" in text  # a bar would begin another cell
    assert f"edgeferry evaluate {runs.data('evaluate')['tool']['arguments'][1]}" in text
    worst = max(runs.data("debug")["layers"], key=lambda layer: layer["added"])
    assert f"{worst['layer']} adds most" in text


def test_without_a_benchmark_the_accuracy_is_the_verdict(runs, tmp_path):
    assert run(["report", *runs.files("evaluate"), "-o", str(tmp_path / "r.md")]) == 0
    assert "**digits.int8.tflite: top-1 " in (tmp_path / "r.md").read_text()


def test_page_shows_changed_pictures_and_nothing_from_outside_their_folder(written):
    text = (written / "report.html").read_text()
    assert text.count("data:image/jpeg;base64,") == 1
    assert "picture not at hand" in text
    assert "zero | &lt;b&gt;0&lt;/b&gt; 60 %" in text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no json", "is not what a report is made of"),
        ('{"schema": 1, "tool": {"name": "edgeferry", "command": "doctor"}}', "doctor"),
        ('{"schema": 99, "tool": {"name": "edgeferry", "command": "evaluate"}}', "schema 99"),
    ],
)
def test_other_files_are_refused(content, told, tmp_path, capsys):
    path, target = tmp_path / "x.json", tmp_path / "r.html"
    path.write_text(content)
    assert run(["report", str(path), "-o", str(target)]) == 2
    assert told in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize("name", ["report.pdf", "missing/report.html"])
def test_what_cannot_be_written_is_said_at_once(name, runs, tmp_path, capsys):
    assert run(["report", *runs.files("evaluate"), "-o", str(tmp_path / name)]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_short_names():
    assert short_names(["a.b.fp32.onnx", "a.b.int8.xml"]) == {
        "a.b.fp32.onnx": "fp32.onnx",
        "a.b.int8.xml": "int8.xml",
    }
    assert short_names(["a.fp32.onnx", "b.fp32.onnx"])["a.fp32.onnx"] == "a.fp32.onnx"
    assert short_names(["a.onnx"]) == {"a.onnx": "onnx"}


@pytest.fixture(scope="module")
def browser():
    selenium = pytest.importorskip("selenium")
    from selenium import webdriver

    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        pytest.skip("Chromium with its driver is not installed")
    options = selenium.webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_page_in_a_browser(browser, written, width, scheme):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wanted = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
    browser.get((written / "report.html").as_uri())
    assert browser.get_log("browser") == []
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = [
        each["params"]["request"]["url"]
        for each in events
        if each["method"] == "Network.requestWillBeSent"
    ]
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    plots = browser.execute_script(
        "return [...document.querySelectorAll('.plot')].map(each => ["
        "each.querySelectorAll('.trace, .barlayer .point, .boxlayer .box').length,"
        "each.getBoundingClientRect().width, each.getAttribute('aria-label')])"
    )
    assert len(plots) == 6  # trade-off, latencies, the long run, errors, twice the times
    for drawn, wide, text in plots:
        assert drawn > 0
        assert 0.8 * width <= wide <= width
        assert text
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 24, 27)")
    letters = browser.execute_script(
        "return getComputedStyle(document.querySelector('.plot text')).fill"
    )
    assert letters != ground
