# Everything needs Python 3.11 to 3.13, make and a package index; nothing else.

# Of one version everywhere, and held to its hashes.
UV_PINS := tools/uv.txt
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' $(UV_PINS))
UV := build/bootstrap/bin/uv
PYTHONS := python3 python3.13 python3.12 python3.11 python
BOOTSTRAP := build/bootstrap
BIN := .venv/bin
# What `make run` and most tests need; tests that need another extra make an environment for it.
NEEDED := airflow alerts embedded
STAMP := .venv/.synced
# Extras that were asked for by `make setup WITH="lake spark"` stay.
KEPT := .venv/.extras
ASKED := $(sort $(WITH) $(shell cat $(KEPT) 2>/dev/null))
EXTRAS := $(foreach extra,$(NEEDED) $(ASKED),--extra $(extra))

# Byte code is made once, at installation: without it every Airflow command
# takes seconds longer to start.
unexport PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE := 1
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE := copy

.DEFAULT_GOAL := help

.PHONY: help
help:
	@echo "make setup   the environment, in .venv, exactly as uv.lock has it (WITH='lake spark': extras)"
	@echo "make run     the whole system on this machine; Ctrl-C stops it (ARGS=--once, ARGS=--no-airflow)"
	@echo "make check   while you work: lint, types, contracts, unit tests, the core on a real server"
	@echo "make test    for each change, about 8 min: that and every behaviour (ARGS='-k name' chooses)"
	@echo "make test-long  before a merge: the other server, more seeds, zones and pages, a year, more of Airflow"
	@echo "make test-hours  when you have them: what is left of the large matrices"
	@echo "make test-spark  the archive read by a cluster of Spark's own: needs Java (ARGS='-k killed')"
	@echo "make bench   measure ours, the floor, dbt, SQLMesh and a plain loop (ARGS=--full, ARGS='--only day')"
	@echo "make zoo     random histories against the recount, for hours (ARGS='--minutes 60 --shrink')"
	@echo "make faults  commands killed, servers restarted beside a busy application (ARGS='--minutes 60')"
	@echo "make mutate  put mistakes into a copy and tell which no test notices (ARGS='--files ...')"
	@echo "make docs    the documentation as a site, in build/site (ARGS=serve shows it)"
	@echo "make dist    a release in dist/: wheel, source distribution, list of parts (CycloneDX)"
	@echo "make constraints  constraints.txt anew, for pip, after a change of uv.lock"
	@echo "make pin-uv  the version of uv anew, with its hashes (VERSION=0.14.0)"
	@echo "make audit-dependencies  ask PyPI for known faults of what uv.lock names, by pip-audit"
	@echo "make lint    lint, types, layer rules alone"
	@echo "make format  put the code into the formatter's shape"

.PHONY: setup
setup: $(STAMP)
	@echo ".venv is ready"

ifneq ($(filter-out $(shell cat $(KEPT) 2>/dev/null),$(WITH)),)
.PHONY: $(STAMP)
endif

# The first suitable Python makes the environment; uv fills it, by the hashes in uv.lock, and
# itself comes by its own: a wheel whose hash is not among them is refused. Where Python comes
# without venv, pip alone can fetch uv.
$(STAMP): pyproject.toml uv.lock Makefile $(UV_PINS)
	@set -e; \
	for python in $(PYTHONS); do \
	    "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	        2>/dev/null || continue; \
	    bare="$$python"; \
	    if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then how=venv; \
	    elif "$$python" -m pip --version >/dev/null 2>&1; then how=pip; \
	    else continue; fi; \
	    found=$$(command -v "$$python"); \
	    break; \
	done; \
	if [ -z "$$bare" ]; then \
	    echo "error: no Python 3.11, 3.12 or 3.13 among $(PYTHONS); install one" >&2; exit 1; \
	elif [ -z "$$found" ]; then \
	    echo "error: $$bare has neither venv nor pip (Debian: apt install python3-venv)" >&2; exit 1; \
	fi; \
	uv=$(UV); \
	if [ "$$("$$uv" --version 2>/dev/null | cut -d' ' -f2)" != "$(UV_VERSION)" ]; then \
	    echo "fetching uv $(UV_VERSION)"; \
	    rm -rf $(BOOTSTRAP); \
	    held="--quiet --disable-pip-version-check --only-binary=:all: --require-hashes -r $(UV_PINS)"; \
	    if [ $$how = venv ]; then \
	        "$$found" -m venv $(BOOTSTRAP); \
	        $(BOOTSTRAP)/bin/python -m pip install $$held; \
	    else \
	        "$$found" -m pip install $$held --target $(BOOTSTRAP); \
	    fi; \
	fi; \
	echo "installing into .venv with $$found"; \
	"$$uv" sync --quiet --frozen $(EXTRAS) --python "$$found"; \
	$(BIN)/python -m compileall -q src; \
	echo $(ASKED) >$(KEPT); \
	touch $@

# What pip takes where there is no uv (`pip install -c constraints.txt '.[airflow]'`): the lock's
# versions. A unit test holds the two together.
.PHONY: constraints
constraints: $(STAMP)
	@{ echo "# The versions of uv.lock, for pip; written by \`make constraints\`."; \
	    $(UV) export --quiet --frozen --all-extras --no-default-groups --no-emit-project \
	        --no-hashes --no-annotate --no-header; } >constraints.txt

# All wheels of a version, so for each machine that has one; pip is told to take no other kind.
.PHONY: pin-uv
pin-uv: $(STAMP)
	@{ echo "# The uv that the Makefile fetches; written by \`make pin-uv VERSION=...\`."; \
	    echo "uv==$(VERSION)" | $(UV) pip compile - --quiet --generate-hashes --no-deps \
	        --no-annotate --no-header --python-version 3.11; } >build/uv.txt
	@mv build/uv.txt $(UV_PINS)

# A release: built, looked at, its parts listed. Nothing is uploaded anywhere.
.PHONY: dist
dist: $(STAMP)
	@$(BIN)/python tools/dist.py $(ARGS)

# Asks PyPI about each package of the lock, those of development too (ARGS='--vulnerability-service
# osv': another database). Takes the network.
.PHONY: audit-dependencies
audit-dependencies: $(STAMP)
	@mkdir -p build
	@$(UV) export --quiet --frozen --all-extras --all-groups --no-emit-project \
	    --output-file build/locked.txt
	@$(UV) tool run --quiet --from pip-audit==2.10.1 pip-audit --strict --disable-pip --requirement build/locked.txt $(ARGS)

.PHONY: run
run: $(STAMP)
	@$(BIN)/consumer-analytics up $(ARGS)

# On two cores at once: types take longer than all the rest.
MAKEFLAGS += --jobs=2

.PHONY: lint types style layers
lint: types style layers

types: $(STAMP)
	@echo "mypy"
	@$(BIN)/mypy --no-error-summary

style: $(STAMP)
	@echo "ruff, sqruff, oxlint"
	@mkdir -p build
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check
	@$(BIN)/sqruff lint src >build/sqruff.log 2>&1 || { cat build/sqruff.log; exit 1; }
	@$(BIN)/oxlint src >build/oxlint.log 2>&1 || { cat build/oxlint.log; exit 1; }

layers: $(STAMP)
	@echo "lint-imports"
	@mkdir -p build
	@$(BIN)/lint-imports --no-logo >build/lint-imports.log || { cat build/lint-imports.log; exit 1; }

# The browser and what else tests need that is no package of Python's.
.PHONY: tools
tools: $(STAMP)
	@$(BIN)/python -m tests.support.tools

.PHONY: format
format: $(STAMP)
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format --quiet

# More than a machine of two cores has: tests also wait for servers. What shares something
# dear stays together (tests/conftest.py), and the order is ours: what takes longest stands first.
WORKERS ?= 3
PYTEST := $(BIN)/pytest --dist=loadscope --no-loadscope-reorder --numprocesses
# Each test stands in one of these: a mark for hours counts more than one for the long lane.
EACH_CHANGE := not long and not hours and not spark
LONG := long and not hours and not spark
HOURS := hours and not spark
CLUSTER := spark
# What a change of a figure, a plan or a repair breaks first; of the random histories the one in
# which everything happens.
CORE := etl/test_figures.py $(addprefix reconcile/test_,lives.py zoo.py sweep.py audit.py)

.PHONY: check
check: lint
	@$(PYTEST) $(WORKERS) -m "$(EACH_CHANGE)" -k "not test_zoo or all" tests/unit \
	    $(addprefix tests/integration/,$(CORE)) --ignore=tests/unit/test_docs.py $(ARGS)

# Pytest rewrites the assertions of each file that it reads for the first time: once here, beside
# the types, which leave a core free, and not on each worker.
COLLECTED := build/.collected
$(COLLECTED): $(STAMP)
	@mkdir -p build
	@$(BIN)/pytest --collect-only -q >build/collected.log || { cat build/collected.log; exit 1; }
	@touch $@

.PHONY: test
test: lint tools $(COLLECTED)
	@$(PYTEST) $(WORKERS) -m "$(EACH_CHANGE)" $(ARGS)

.PHONY: test-long
test-long: tools
	@$(PYTEST) $(WORKERS) -m "$(LONG)" $(ARGS)

.PHONY: test-hours
test-hours: tools
	@$(PYTEST) $(WORKERS) -m "$(HOURS)" $(ARGS)

# A cluster of Spark's own, a master and two workers, reads the archive. It takes Java, and half a
# gigabyte for Spark, which is no part of the lock: what the product needs is its client alone.
SPARK := 4.3.0
.PHONY: test-spark
test-spark: $(STAMP)
	@UV_PROJECT_ENVIRONMENT=build/lake $(UV) sync --quiet --frozen --extra sail --extra delta \
	    --extra iceberg --extra embedded --no-default-groups --group dev --python $(BIN)/python
	@test -x build/spark/bin/python || $(UV) venv --quiet --python $(BIN)/python build/spark
	@$(UV) pip install --quiet --python build/spark/bin/python pyspark==$(SPARK)
	@build/lake/bin/python -m pytest -n0 -m "$(CLUSTER)" tests/integration/lake $(ARGS)

# Random histories for as long as it is given (ARGS='--minutes 60 --kinds all --seed 7 --shrink').
.PHONY: zoo
zoo: $(STAMP)
	@$(BIN)/python -m tests.support.zoo $(ARGS)

# Everything that can happen to commands and servers, for as long (ARGS='--minutes 60 --seed 7').
.PHONY: faults
faults: $(STAMP)
	@$(BIN)/python -m tests.support.faults $(ARGS)

# With the library that draws the picture; peers get environments of their own, below build/.
.PHONY: bench
bench: $(STAMP)
	@$(UV) sync --quiet --frozen $(EXTRAS) --group bench --python $(BIN)/python
	@$(BIN)/python -m benchmarks $(ARGS)

# Takes long: as much time as it is given (ARGS='--seconds 3600').
.PHONY: mutate
mutate: $(STAMP)
	@$(UV) sync --quiet --frozen $(EXTRAS) --group mutation --python $(BIN)/python
	@$(BIN)/python -m tools.mutation $(ARGS)

.PHONY: docs
docs: $(STAMP)
	@$(BIN)/python tools/reference.py
	@$(BIN)/python tools/build_site.py $(ARGS)
