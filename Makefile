# The book's commands. `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help environment book test serve lab notebooks portable weekly mutate mutate-book lint format colab gpu links clean

# The first of these that is Python 3.11 to 3.13; `make PYTHON=/path/to/python` overrides it.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	>/dev/null 2>&1 && { command -v $$python; break; }; done)
RUN := .venv/bin/python -m bookmaker

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{printf "%-18s %s\n", $$1, $$2}'

environment: ## create .venv with the pinned packages (the other commands do this when needed)
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 is installed: install one, or run make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" src/bookmaker/environment.py

book: environment ## execute the notebooks that changed and build the HTML
	@$(RUN) build

test: environment ## run all tests: code, contract, notebooks, stored outputs, built pages
	@$(RUN) check

serve: book ## build the book and serve it on this machine
	@$(RUN) serve

lab: environment ## open the notebooks in JupyterLab
	@.venv/bin/python -m jupyter lab --notebook-dir=.

notebooks: environment ## re-execute the notebooks and store them normalised
	@$(RUN) colab --stamp
	@$(RUN) normalise

portable: environment ## run the tests as another processor would, with 1 and with 4 threads
	@$(RUN) check --portable

weekly: environment ## run the tests that take minutes, and the contract with nothing cached
	@$(RUN) check --weekly

mutate: environment ## break the package in many ways and see which tests notice
	@$(RUN) mutate

mutate-book: environment ## break the chapters in many ways and see what their tests notice
	@$(RUN) mutate_book

lint: environment ## check style and types of the code, and the cells of the notebooks
	@$(RUN) check ruff format mypy lint

format: environment ## lay out the code
	@.venv/bin/python -m ruff format --quiet .
	@.venv/bin/python -m ruff check --fix --quiet .

colab: environment ## run the notebooks where only torch and Jupyter are installed, as in Colab
	@$(RUN) colab

gpu: ## with a GPU and torch alone: tests, benchmarks, missing results (MINUTES=55)
	@PYTHONPATH=src "$(or $(GPU_PYTHON),python3)" -m bookmaker gpu --minutes "$(or $(MINUTES),55)"

links: book ## check the links to other sites (needs a network)
	@$(RUN) build --links

clean: ## remove what was built (not the environment)
	rm -rf _build book/appendix/catalogue build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
