# Every target makes its own environment in .venv; nothing outside this folder is touched.
PYTHON ?= python3
EXTRAS ?= dev,peers,lab
BIN := .venv/bin
READY := .venv/.ready

.PHONY: test demo bench long lint docs lab clean

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[$(EXTRAS)]"
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The browser tests come last and by themselves: kernels behind a page find everything compiled then.
test: lint
	$(BIN)/python -m pytest -n auto --ignore tests/browser
	$(BIN)/python -m pytest tests/browser

docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs out/docs

demo: $(READY)
	$(BIN)/drizzlewb demo --size tiny --out out/demo

lab: $(READY)
	$(BIN)/drizzlewb lab out/lab

bench: $(READY)
	$(BIN)/python -m benchmarks

long: $(READY)
	$(BIN)/python -m pytest -n auto -m long --ignore tests/browser
	$(BIN)/python -m pytest -m long tests/browser

clean:
	rm -rf .venv build out .pytest_cache .mypy_cache .ruff_cache .hypothesis
