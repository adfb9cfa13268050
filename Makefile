# Everything a fresh machine needs is installed into .venv by the first target that wants it; started again, nothing is installed.

PYTHON ?= $(firstword $(shell command -v python3.12 >/dev/null 2>&1 && python3.12 -c 'import venv, ensurepip' 2>/dev/null && echo python3.12) python3)
BIN := .venv/bin
READY := .venv/.ready
export HF_HUB_OFFLINE ?= 1
export AXOLOTL_DO_NOT_TRACK ?= 1
# Threads that wait for others sleep: on a busy machine spinning ones made the same work take ten times as long.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help quickstart study test test-all check bench clean
help:
	@echo "make quickstart   set up, then the whole path on this machine: generate, verify, train, grade"
	@echo "make study        set up, then a small study on this machine: which strategy is worth it (examples/study)"
	@echo "make test         set up, then the tests (test-all: the slow ones too)"
	@echo "make check        lint, types, import contract"
	@echo "make bench        speed and memory beside other tools"

$(READY): setup.cfg pyproject.toml .ci/constraints.txt .ci/setup
	PYTHON="$(PYTHON)" bash .ci/setup
	@touch $@

quickstart: $(READY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/quickstart/run.sh

study: $(READY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/study/run.sh

# Much of a test is waiting, for a server's latency or another process: three files at a time keep two cores busy.
PYTEST := $(BIN)/python -m pytest -rs -n 3 --dist loadfile --no-loadscope-reorder

test: $(READY)
	@bash .ci/review
	$(PYTEST) -m "not slow"

test-all: $(READY)
	@bash .ci/review
	$(PYTEST)

check: $(READY)
	$(BIN)/ruff check --config .ci/ruff.toml .
	$(BIN)/ruff format --config .ci/ruff.toml --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python tests/benchmarks/run.py

clean:
	rm -rf .venv .bench .cache examples/*/out
