# Two commands: `make serve` and `make test`. Both prepare .venv themselves and are quick the second time.
# For less: `make unit` (seconds) and `make check`. For more: `make slow`, which CI runs for each commit, and
# `make soak`, before a release.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# How many processes the tests run in. A file stays in one of them, so that its tests share what they start.
JOBS ?= $(shell nproc)
PARALLEL := -n $(JOBS) --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Else each process that is started here would compile again what it imports.
unexport PYTHONDONTWRITEBYTECODE
# What the types were found to be, by the hash of each file: another clone needs no minute for them.
export MYPY_CACHE_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/voxgate/mypy

# `make serve PORT=8001`: only what is written there wins over the configuration, not what a shell exports.
given = $(if $(filter command line,$(origin $(1))),$(2) $($(1)))

.PHONY: serve test slow unit changed soak soak-slice install check lock clean FORCE

# Natural voices are fetched once. `make serve VOICES=plain` does without; so does a machine without an index.
serve: install
	@VOXGATE_SERVER__DEV_KEY=$(if $(call given,HOST,x),false,true) exec $(BIN)/voxgate serve --voices $(if $(filter plain,$(VOICES)),plain,natural) $(call given,HOST,--host) $(call given,PORT,--port)

install: $(VENV)/.serve-stamp

# What is about real time runs alone, after all others. A run that takes an hour has a test that hangs: it is
# interrupted, and tells what has failed so far. $(1) is the marker, $(2) comes between the two parts.
define run_tests
timeout -s INT -k 300 3600 $(BIN)/pytest $(PARALLEL) -m "$(1) and not soak and not clock"; tests=$$?; \
$(2) \
timeout -s INT -k 300 600 $(BIN)/pytest -m "$(1) and not soak and clock"; clock=$$?; \
[ $$tests -ne 0 ] || tests=$$clock; exit $$tests
endef

# The types take a minute of one core the first time, beside the tests.
test: $(VENV)/.test-stamp
	scripts/check quick
	$(BIN)/mypy & types=$$!; \
	$(call run_tests,not slow,wait $$types || { echo "mypy has found errors: make check" >&2; exit 1; };)

# What `make test` leaves out, as it takes two thirds of the time: servers that are killed, jobs, browsers, clients.
slow: $(VENV)/.test-stamp
	$(call run_tests,slow)

# What differs from the last commit of main can reach these: a feature takes less than a minute.
changed: $(VENV)/.test-stamp
	$(BIN)/ruff check .
	reached=$$($(BIN)/python -m scripts.changed) && $(BIN)/pytest $(PARALLEL) -m "not slow and not soak" $$reached

# No process, no port, no database.
unit: $(VENV)/.test-stamp
	$(BIN)/pytest $(PARALLEL) -m unit

# What is long: kills, lives of keys and stalls in full, engines with torch, and 3,000 examples for each property.
soak: $(VENV)/.test-stamp
	$(BIN)/python -m tests.suite.soak all

# The part of it, ten minutes or less, whose last result in tests/suite/soak_results.txt is the oldest.
soak-slice: $(VENV)/.test-stamp
	$(BIN)/python -m tests.suite.soak

check: $(VENV)/.test-stamp
	scripts/check

# scripts/install compares hashes itself: times of files say nothing after a checkout.
$(VENV)/.serve-stamp: FORCE
	@scripts/install "$(PYTHON)" $(VENV) serve

$(VENV)/.test-stamp: FORCE
	@scripts/install "$(PYTHON)" $(VENV) test

# New versions: `scripts/lock --upgrade`, or `scripts/lock --upgrade-package NAME`.
lock: $(VENV)/.test-stamp
	scripts/lock

FORCE:

clean:
	rm -rf $(VENV) build *.egg-info
