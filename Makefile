# Each target sets itself up: a virtual environment in .venv, nothing else on the machine is touched.
.PHONY: demo test check bench setup clean
.DEFAULT_GOAL := test

setup:
	@scripts/setup

demo: setup
	.venv/bin/edgeferry demo -o demo-output

test:
	@scripts/setup torch
	@.venv/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: setup
	@scripts/check

bench: setup
	.venv/bin/python benchmarks/startup.py
	.venv/bin/python benchmarks/run.py

clean:
	rm -rf .venv .cache build dist demo-output *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
