"""Accuracy control tries what costs nothing first, and stops as soon as the accuracy holds."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgeferry.app.accuracy_control import AccuracyControl, ControlTools
from edgeferry.app.results import Result
from edgeferry.calibration.ranges import METHODS
from edgeferry.errors import EngineError, UsageError
from edgeferry.exporters.recipes import INT8

LAYERS = [f"layer{number}" for number in range(12)]


class Bench:
    """A network whose top-1 is a function of the recipe."""

    def __init__(self, top1, labeled=True):
        self.made = []
        self.ranked = []
        self.top1 = top1
        self.labeled = labeled

    def make(self, recipe, path):
        self.made.append(recipe)
        return 1.5

    def judge(self, path):
        recipe = self.made[int(path.stem.removeprefix("attempt"))]
        top1 = self.top1(recipe)
        return Result("x", images=200, top1=top1 if self.labeled else None, agreement=top1, kl=0.1)

    def rank(self, path):
        self.ranked.append(path.name)
        return LAYERS

    def control(self, max_drop=0.5, tmp_path=Path()):
        reference = Result("fp32", top1=90.0 if self.labeled else None)
        tools = ControlTools(reference, self.make, self.judge, self.rank, tmp_path, ".onnx", list)
        return AccuracyControl(tools, "percentile", max_drop)


def test_what_holds_at_once_is_kept_at_once():
    bench = Bench(lambda recipe: 89.6)
    control = bench.control()
    attempt = control.run(INT8)
    assert bench.made == [INT8]
    assert attempt.drop == pytest.approx(0.4)
    assert (attempt.holds, attempt.method, bench.ranked) == (True, "percentile", [])
    info = control.info(attempt)
    assert (info.max_drop, info.measure, info.images, info.attempts) == (0.5, "top1", 200, 1)


def test_exactly_the_drop_allowed_holds():
    assert Bench(lambda recipe: 100 * 179 / 200).control(max_drop=0.5).run(INT8).holds


def test_the_other_methods_are_tried_before_anything_that_costs():
    bench = Bench(lambda recipe: 90 if recipe.method == "mse" else 80)
    attempt = bench.control().run(INT8)
    assert attempt.recipe.method == "mse"
    assert [recipe.method for recipe in bench.made] == ["auto", "minmax", "entropy", "mse"]
    assert not any(recipe.equalize or recipe.float_layers for recipe in bench.made)


def test_the_method_asked_for_is_tried_once():
    bench = Bench(lambda recipe: 80)
    bench.control().run(replace(INT8, method="entropy"))
    tried = [r.method for r in bench.made if not (r.equalize or r.float_layers)]
    assert tried == ["entropy", "minmax", "percentile", "mse"]


def test_equalization_comes_with_the_best_method_and_before_layers_in_float():
    bench = Bench(lambda r: 90 if r.equalize else {"minmax": 85}.get(r.method, 80))
    control = bench.control()
    attempt = control.run(INT8)
    assert (attempt.recipe.equalize, attempt.recipe.method) == (True, "minmax")
    assert control.sensitive == LAYERS
    assert bench.ranked == ["attempt1.onnx"]


def test_equalized_the_other_methods_are_tried_anew():
    bench = Bench(lambda r: 90 if r.equalize and r.method == "mse" else 80)
    attempt = bench.control().run(INT8)
    assert (attempt.recipe.equalize, attempt.recipe.method) == (True, "mse")
    equalized = [recipe.method for recipe in bench.made if recipe.equalize]
    assert equalized == ["percentile", "minmax", "entropy", "mse"]
    assert not any(recipe.float_layers for recipe in bench.made)


def test_layers_are_left_in_float_the_most_sensitive_first_and_ever_more():
    bench = Bench(lambda r: 80 + 2 * len(r.float_layers))
    attempt = bench.control().run(INT8)
    assert attempt.recipe.float_layers == tuple(LAYERS[:6])
    grown = [recipe.float_layers for recipe in bench.made if recipe.float_layers]
    assert grown == [tuple(LAYERS[:count]) for count in (1, 2, 4, 6)]
    assert attempt.drop == 90 - 92


def test_where_nothing_holds_the_best_is_given():
    bench = Bench(lambda r: 85 if len(r.float_layers) == 2 else 80)
    control = bench.control()
    attempt = control.run(INT8)
    assert not attempt.holds
    assert attempt == control.best()
    assert attempt.recipe.float_layers == tuple(LAYERS[:2])
    assert len(control.attempts) == 2 * len(METHODS) + 4


def test_without_labels_agreement_is_held():
    bench = Bench(lambda recipe: 99.7, labeled=False)
    control = bench.control()
    attempt = control.run(INT8)
    assert attempt.drop == pytest.approx(0.3)
    assert control.info(attempt).measure == "agreement"


def test_what_cannot_be_made_is_told_and_the_rest_goes_on():
    bench = Bench(lambda recipe: 89.8 if recipe.float_layers else 80)
    judge = bench.judge

    def failing(path):
        if bench.made[-1].equalize:
            bench.made.pop()
            raise EngineError("the engine refuses it")
        return judge(path)

    bench.judge = failing
    control = bench.control()
    attempt = control.run(INT8)
    assert attempt.holds
    assert attempt.recipe.float_layers == (LAYERS[0],)
    refused = ("percentile", "minmax", "entropy", "mse")
    assert control.failures == [f"{each}, equalized: the engine refuses it" for each in refused]


def test_layers_that_cannot_be_ranked_lose_nothing():
    bench = Bench(lambda recipe: 80)

    def unranked(path):
        raise UsageError("no layer in common")

    bench.rank = unranked
    control = bench.control()
    assert control.run(INT8) == control.best()
    assert "no layer in common" in control.failures[0]


def test_a_first_recipe_that_fails_is_an_error():
    bench = Bench(lambda recipe: 80)

    def failing(path):
        raise EngineError("the engine refuses it")

    bench.judge = failing
    with pytest.raises(EngineError, match="refuses"):
        bench.control().run(INT8)
