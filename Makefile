# Two commands: `make serve` and `make test`. Both prepare .venv themselves and are quick the second time.
# For less than all: `make unit` (seconds) and `make check`; for more: `make soak`, before a release.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# How many processes the tests run in. A file stays in one of them, so that its tests share what they start.
JOBS ?= 2
PARALLEL := -n $(JOBS) --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# `make serve PORT=8001`: only what is written there wins over the configuration, not what a shell exports.
given = $(if $(filter command line,$(origin $(1))),$(2) $($(1)))

.PHONY: serve test unit soak install check lock clean FORCE

serve: install
	VOXGATE_SERVER__DEV_KEY=$(if $(call given,HOST,x),false,true) exec $(BIN)/voxgate serve $(call given,HOST,--host) $(call given,PORT,--port)

install: $(VENV)/.serve-stamp

test: $(VENV)/.test-stamp
	scripts/check
	$(BIN)/pytest $(PARALLEL)

# No process, no port, no database.
unit: $(VENV)/.test-stamp
	$(BIN)/pytest $(PARALLEL) -m unit

# What is long: kills, lives of keys and stalls in full, and many more examples for each property.
soak: $(VENV)/.test-stamp
	$(BIN)/pytest $(PARALLEL) -m soak
	$(BIN)/pytest $(PARALLEL) -m unit --hypothesis-profile=soak

check: $(VENV)/.test-stamp
	scripts/check

# scripts/install compares hashes itself: times of files say nothing after a checkout.
$(VENV)/.serve-stamp: FORCE
	scripts/install "$(PYTHON)" $(VENV) serve

$(VENV)/.test-stamp: FORCE
	scripts/install "$(PYTHON)" $(VENV) test

# New versions: `scripts/lock --upgrade`, or `scripts/lock --upgrade-package NAME`.
lock: $(VENV)/.test-stamp
	scripts/lock

FORCE:

clean:
	rm -rf $(VENV) build *.egg-info
