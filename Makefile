# Every target sets up what it needs first; a second run starts in seconds.

PYTHON_FILES := monitor tests deploy

.PHONY: help setup demo test check bench

help:
	@echo "make demo   see the monitor recognise two stations, in real time (about three minutes)"
	@echo "make test   every check and every test, fastest refusal first"
	@echo "make check  the part of it that runs nothing: format, lint, types, imports, unit files, alert rules"
	@echo "make bench  how fast it is here: writes a table, judges nothing"
	@echo "make setup  only install what is missing"

setup:
	@deploy/setup.sh

demo: setup
	@.venv/bin/monitor demo

test: check
	.venv/bin/python -m pytest -n 2 --dist loadfile tests/unit tests/contract tests/fuzz tests/integration tests/acceptance

check:
	@deploy/setup.sh test
	.venv/bin/ruff format --check $(PYTHON_FILES)
	.venv/bin/ruff check $(PYTHON_FILES)
	.venv/bin/mypy
	.venv/bin/lint-imports
	deploy/verify.sh

bench:
	@deploy/setup.sh bench
	@.venv/bin/python -m tests.bench
