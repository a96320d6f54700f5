.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
export PYTHONDONTWRITEBYTECODE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup shape demo docs test check test-affected lint format lock conformance property check-aws check-newcomer check-clients check-console check-dashboards check-governance clean

help: ## What there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: .venv/.ready ## Build .venv: everything the laptop's lakehouse needs

.venv/.ready: requirements.lock pyproject.toml tools/install.py $(wildcard converter/kernel/Cargo.* converter/kernel/src/*.rs)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Data Master needs Python 3.11 or newer; this is %d.%d. Name another with PYTHON=…" % sys.version_info[:2])'
	@echo "Creating .venv and installing the locked packages (about a minute the first time)"
	@$(PYTHON) tools/install.py .venv "$$(grep '^maturin==' requirements.lock)"
	@$(MAKE) --no-print-directory --jobs 2 packages kernel
	@touch $@

.PHONY: packages
packages:
	@$(PYTHON) tools/install.py .venv --no-deps --requirement requirements.lock --editable .

.PHONY: kernel
kernel: ## Build the parse kernel where Rust is installed (optional: without it the converter parses in Python)
	@if cargo --version >/dev/null 2>&1; then \
	  echo "Building the parse kernel beside it (about a minute the first time)"; \
	  .venv/bin/maturin develop --quiet --release --manifest-path converter/kernel/Cargo.toml >build-kernel.log 2>&1 \
	    && rm -f build-kernel.log || { echo "The parse kernel did not build; the converter parses in Python. Reason:"; tail -n 5 build-kernel.log; }; \
	else echo "No Rust here: the converter parses in Python (slower, same results)"; fi

demo: setup ## Take rows from a real PostgreSQL to gold answers, and prove them equal
	@.venv/bin/dm demo $(DEMO)

# what make conformance and the make check-… below run
ROLES := tests/integration/roles tests/linters
NEWCOMER := tests/e2e/test_newcomer.py tests/e2e/test_ordinary_user.py tests/e2e/test_readme.py
CLIENTS := tests/integration/athena/test_clients.py
GOVERNANCE := tests/integration/access tests/integration/privacy tests/e2e/test_canary.py
OWN_TARGET := --ignore tests/integration/jobs/test_conformance.py --ignore tests/integration/dashboards --ignore tests/browser \
  $(addprefix --ignore ,$(ROLES) $(NEWCOMER) $(GOVERNANCE) $(CLIENTS))

test: setup ## Lint, types and every test but those that have a target of their own
	@$(MAKE) --no-print-directory lint
	@.venv/bin/python -m pytest -q --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not slow" $(OWN_TARGET) $(TESTS)

property: setup ## The long tests: random lives of rows, damaged files through both parsers, a conversion in AWS's layers
	@.venv/bin/python -m pytest -q --numprocesses 2 --dist loadfile --no-loadscope-reorder -m slow tests/property tests/unit tests/integration

.PHONY: mutations
mutations: setup ## Put former faults of files, contracts and queries back one by one: their tests must fail (needs Rust; one word: LINES=quote)
	@.venv/bin/python -m tests.mutations $(LINES)

.PHONY: property-silver
property-silver: setup ## Of these only the lives of rows, from the source to silver (one group: SEED=7, one scenario: SEED=7/3)
	@DM_SEED=$(SEED) DM_GROUP=$(GROUP) .venv/bin/python -m pytest -q -m slow tests/property$(if $(SEED),/test_property.py)

.PHONY: property-long
property-long: setup ## 3,000 random lives, within an hour; goes on where it stopped (build/property.json)
	@DM_SCENARIOS=3000 DM_GROUP=250 DM_PROPERTY_MINUTES=57 DM_PROPERTY_STATE=build/property.json \
	  .venv/bin/python -m pytest -q -x -m slow tests/property/test_property.py

check: setup ## Lint, types, the docs site and the tests that need no platform: the loop while you work
	@$(MAKE) --no-print-directory lint docs
	@.venv/bin/python -m pytest -q --numprocesses 2 -m "not slow" tests/unit

BASE ?= main
test-affected: setup ## The unit and integration tests of the packages that differ from main (another base: BASE=…)
	@.venv/bin/python -m pytest -q --numprocesses 2 --dist loadfile -m "not slow" $$(.venv/bin/python -m tools.affected $(BASE))

lint: setup ## ruff, codespell and mypy
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check .
	@.venv/bin/codespell
	@.venv/bin/mypy --no-error-summary

docs: setup ## Build the docs site into build/site; a dead link fails
	@.venv/bin/python tools/site.py

shape: setup ## Packages, the arrows between them, doubled names, lengths of functions, habits of prose
	@.venv/bin/python tools/shape.py

format: setup ## Write what ruff would
	@.venv/bin/ruff check --quiet --fix . ; .venv/bin/ruff format --quiet .

ASL_VALIDATOR := asl-validator@4.0.0
# AWS's cfn-guard with the rules of Control Tower; what it would bring along (the CDK) judges nothing here
CFN_GUARD := @cdklabs/cdk-validator-cfnguard@0.0.62

.venv-lint/.ready: requirements-lint.lock
	@echo "Installing cfn-lint, checkov, hadolint, asl-validator and cfn-guard (about a minute the first time)"
	@$(PYTHON) tools/install.py .venv-lint --requirement requirements-lint.lock
	@npm --version >/dev/null 2>&1 || { echo "make check-aws needs Node 18 or newer with npm: it brings asl-validator and cfn-guard"; exit 1; }
	@npm install --silent --no-audit --no-fund --no-package-lock --global --prefix $(CURDIR)/.venv-lint $(ASL_VALIDATOR)
	@npm install --silent --no-audit --no-fund --no-package-lock --global --legacy-peer-deps --prefix $(CURDIR)/.venv-lint $(CFN_GUARD)
	@touch $@

check-aws: setup .venv-lint/.ready ## Hold templates, image and workflows to their linters, each role to its function's calls (needs Node; Go for actionlint)
	@.venv/bin/python -m datamaster.aws.deploy.check
	@.venv/bin/python -m pytest -q $(ROLES)

check-dashboards: setup ## Run every panel's query and every alarm's condition on a local platform
	@.venv/bin/python -m pytest -q -s tests/unit/dashboards tests/integration/dashboards

check-newcomer: setup ## What a newcomer does: the README's commands, a platform of an ordinary user, ports taken, Ctrl-C
	@.venv/bin/python -m pytest -q --numprocesses 2 --dist loadfile $(NEWCOMER)

.venv-clients/.ready: tests/integration/athena/requirements-clients.txt
	@echo "Installing awswrangler, dbt-athena, PyAthena and SQLAlchemy (about a minute the first time)"
	@$(PYTHON) tools/install.py .venv-clients --requirement $<
	@touch $@

check-clients: setup .venv-clients/.ready ## Athena's clients against the local Athena: PyAthena, SQLAlchemy, awswrangler, dbt
	@DM_CLIENTS_PYTHON=$(CURDIR)/.venv-clients/bin/python .venv/bin/python -m pytest -q $(CLIENTS)

check-console: setup ## Every page of the console in a browser, and how long each takes (needs Chromium: apt-get install chromium)
	@DM_REQUIRE=1 .venv/bin/python -m pytest -q -rP tests/unit/console tests/browser

check-governance: setup ## Try every square of the access matrix, measure detection, search everything for planted values; print all of it
	@.venv/bin/python -m datamaster.aws.access
	@.venv/bin/python -m pytest -q tests/unit/access tests/unit/privacy $(GOVERNANCE)

SPARK_JARS := org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0 org.apache.iceberg:iceberg-aws-bundle:1.10.0 \
  org.apache.hadoop:hadoop-aws:3.3.4 com.amazonaws:aws-java-sdk-bundle:1.12.262

SPARK = DM_CONFORMANCE_PYTHON=$$(ls $(CURDIR)/.venv-spark/bin/python 2>/dev/null) DM_CONFORMANCE_JARS=$$(ls $(CURDIR)/build/jars/*.jar 2>/dev/null | paste -sd,)

conformance: setup ## The jobs on Apache Spark 3.5 with Iceberg: the same rows as on Sail (needs Java 17 and Maven; 600 MB the first time)
	@$(PYTHON) tools/install.py .venv-spark --requirement emr-jobs/requirements.txt
	@mkdir -p build/jars; for artifact in $(SPARK_JARS); do \
	  mvn --quiet --batch-mode dependency:copy -Dartifact=$$artifact -DoutputDirectory=$(CURDIR)/build/jars || exit 1; done
	@$(SPARK) .venv/bin/python -m pytest -q tests/integration/jobs/test_conformance.py

.PHONY: bench-converter
bench-converter: setup ## Compare the converter with DuckDB, Polars and chDB (up to 40 minutes; goes on where it stopped)
	@$(PYTHON) tools/install.py .venv-bench --requirement benchmarks/converter/requirements.txt
	@$(PYTHON) tools/install.py .venv-image --requirement converter/requirements-image.txt
	@.venv/bin/python -m benchmarks.converter.bench $(BENCH)

.PHONY: bench-latency
bench-latency: setup ## How long a change takes from commit to bronze and to silver, by stage (about 6 minutes)
	@.venv/bin/python -m benchmarks.latency.bench $(BENCH)

.PHONY: bench-lake
bench-lake: setup ## What merges, gold and maintenance cost on tables of up to 20 million rows (about 30 minutes; goes on where it stopped)
	@$(SPARK) .venv/bin/python -m benchmarks.lake.bench $(BENCH)

lock: ## Resolve pyproject.toml into requirements.lock
	@.venv/bin/pip-compile --quiet --strip-extras --no-annotate --no-header --no-emit-index-url --no-emit-find-links --extra dev --output-file requirements.lock pyproject.toml

clean: ## Remove what was built, .venv apart
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis converter/kernel/target
