# Two commands: `make run` answers a request with the embedded model, `make test` is the whole gate.
# Both make .venv on their first run and are safe to repeat: what they install is keyed on pyproject.toml.

ASK ?= How many hours are between Tokyo and Lima, and which of README.md, LICENSE and pyproject.toml is the largest?

# The request reaches the program as it was typed, whatever quotes and dollars are in it.
override ASK := $(value ASK)
export ASK

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
SAY := printf '==> %s\n'
ONCE := llama.cpp is compiled the first time, about 4 minutes on two cores

.DEFAULT_GOAL := help
.PHONY: help run test clean

help:
	@echo 'make run              answer a sample request with the embedded model'
	@echo 'make run ASK="..."    answer yours'
	@echo 'make test             ruff, mypy, basedpyright, import-linter, pytest; the first failure stops it'
	@echo 'make clean            remove .venv and everything that was built'
	@echo
	@echo 'PYTHON=python3.12     chooses the Python that .venv is made with (3.11 or newer)'
	@echo 'CMAKE_ARGS="-DGGML_CUDA=on" (or METAL, VULKAN, HIP) builds llama.cpp for a GPU'
	@echo 'After the first run everything is at hand in $(BIN): try $(BIN)/llmcompiler --help'

run: $(VENV)/.local
	@$(SAY) "$$ASK"
	@$(BIN)/llmcompiler run -- "$$ASK"

test: $(VENV)/.dev
	@$(SAY) 'ruff check'
	@$(BIN)/ruff check .
	@$(SAY) 'ruff format --check'
	@$(BIN)/ruff format --check .
	@$(SAY) 'mypy'
	@$(BIN)/mypy
	@$(SAY) 'basedpyright'
	@$(BIN)/basedpyright
	@$(SAY) 'lint-imports'
	@$(BIN)/lint-imports
	@$(SAY) 'pytest'
	@$(BIN)/python -m pytest

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Without a compiler, pip's log would be the only word on what is missing.
define COMPILER
for candidate in $(CXX) c++ g++ clang++; do command -v "$$candidate" >/dev/null 2>&1 && exit 0; done; \
echo "There is no C++ compiler here, and llama.cpp is compiled for the local backend: install one (Debian and Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++; macOS: xcode-select --install), then run make again. The core alone needs none: pip install . and use a model server." >&2; \
exit 1
endef

$(VENV)/.local: pyproject.toml | $(BIN)/python
	@$(COMPILER)
	@$(SAY) 'installing llmcompiler and its local backend ($(ONCE))'
	@$(PIP) --editable '.[local]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@$(COMPILER)
	@$(SAY) 'installing llmcompiler, its local backend and the development tools ($(ONCE))'
	@$(PIP) --editable '.[local,dev]'
	@touch $@ $(VENV)/.local

# The first Python that is new enough and can make an environment; PYTHON=... overrides the search.
$(BIN)/python:
	@for candidate in $(if $(PYTHON),'$(PYTHON)',python3 python3.13 python3.12 python3.11 python3.14 python); do \
	  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	  if ! "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then bare="$$candidate"; continue; fi; \
	  $(SAY) "making $(VENV) with $$candidate ($$("$$candidate" --version))"; \
	  "$$candidate" -m venv --clear $(VENV) && exit 0; \
	  rm -rf $(VENV); exit 1; \
	done; \
	if [ -n "$$bare" ]; then \
	  echo "$$bare cannot make virtual environments: install its venv package (Debian and Ubuntu: apt install python3-venv), then run make again." >&2; \
	else \
	  echo "There is no Python 3.11 or newer here$(if $(PYTHON), under the name '$(PYTHON)'): install one, or name it with PYTHON=/path/to/python3, then run make again." >&2; \
	fi; \
	exit 1
