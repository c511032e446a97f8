# make run: a demo site in ./var, served.  make test: all tests.  make lint: style, types, layers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint clean
run: $(VENV)/installed
	$(BIN)/acl-imapd quickstart --directory var --serve

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n auto
	if ls tests/trial_*.py >/dev/null 2>&1; then $(BIN)/python -m twisted.trial tests/trial_*.py; fi

lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/installed

$(VENV)/installed-lint: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test,lint]'
	touch $@ $(VENV)/installed-test $(VENV)/installed

clean:
	rm -rf $(VENV) build dist *.egg-info
