# Two commands: `make serve` and `make test`. Both prepare .venv themselves and are quick the second time.
PYTHON ?= python3.11
HOST ?= 127.0.0.1
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: serve test install check clean

serve: install
	VOXGATE_SERVER__DEV_KEY=true exec $(BIN)/voxgate serve --host $(HOST) --port $(PORT)

install: $(VENV)/.serve-stamp

test: $(VENV)/.test-stamp
	scripts/check
	$(BIN)/pytest

check: $(VENV)/.test-stamp
	scripts/check

$(VENV)/.serve-stamp: pyproject.toml constraints.txt
	scripts/install "$(PYTHON)" $(VENV) espeak
	touch $@

$(VENV)/.test-stamp: pyproject.toml constraints.txt
	scripts/install "$(PYTHON)" $(VENV) espeak,test
	touch $@ $(VENV)/.serve-stamp

clean:
	rm -rf $(VENV) build *.egg-info
