# Everything a fresh machine needs is installed into .venv by the first target that wants it; started again, nothing is installed.

# The Python to use; empty: the first that .ci/python finds for the newest set of versions.
PYTHON ?=
BIN := .venv/bin
READY := .venv/.ready
export HF_HUB_OFFLINE ?= 1
export AXOLOTL_DO_NOT_TRACK ?= 1
# Threads that wait for others sleep: on a busy machine spinning ones made the same work take ten times as long.
export OMP_WAIT_POLICY ?= PASSIVE
# The tests start hundreds of processes: each would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help quickstart study test test-all test-oldest check reference bench clean
help:
	@echo "make quickstart   set up, then the whole path on this machine: generate, verify, train, grade"
	@echo "make study        set up, then a small study on this machine: which strategy is worth it (examples/study)"
	@echo "make test         set up, then the tests (test-all: the slow ones too)"
	@echo "make test-oldest  set up the oldest versions in .venv-oldest, then what depends on them: training, grading, recipes"
	@echo "make .venv-vllm/.ready   set up vLLM for CPUs, which a slow test then runs"
	@echo "make check        lint, types, import contract"
	@echo "make reference    write plugin/docs/config.md, every key of the configuration"
	@echo "make bench        speed and memory beside other tools"

$(READY): setup.cfg pyproject.toml .ci/sets $(wildcard .ci/constraints-*.txt) .ci/setup .ci/python
	PYTHON="$(PYTHON)" bash .ci/setup
	@touch $@

# vLLM for CPUs, for the slow test of `provider: vllm`, in an environment of its own: it pins another torch.
.venv-vllm/.ready: .ci/vllm .ci/python
	PYTHON="$(PYTHON)" bash .ci/vllm
	@touch $@

quickstart: $(READY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/quickstart/run.sh

# STUDY=examples/study/rounds.yml compares rounds and verification.
STUDY ?= examples/study/study.yml
study: $(READY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/study/run.sh $(STUDY)

# Much of a test is waiting, for a server's latency or another process: three files at a time keep two cores busy.
PYTEST := $(BIN)/python -m pytest -rs -n 3 --dist loadfile --no-loadscope-reorder

test: $(READY)
	@bash .ci/review
	$(PYTEST) -m "not slow"

test-all: $(READY)
	@bash .ci/review
	$(PYTEST)

test-oldest: $(READY)
	@bash .ci/oldest

check: $(READY)
	$(BIN)/ruff check --config .ci/ruff.toml .
	$(BIN)/ruff format --config .ci/ruff.toml --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

reference: $(READY)
	$(BIN)/axolotl-synthetic schema --markdown > plugin/docs/config.md

bench: $(READY)
	$(BIN)/python tests/benchmarks/run.py

clean:
	rm -rf .venv .venv-oldest .venv-vllm .bench .cache examples/*/out
