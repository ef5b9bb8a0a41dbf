# The targets that people and CI use; `make` alone lists them.

VENV := .venv
STAMP := $(VENV)/.ready
BIN := $(VENV)/bin
ARGS ?=
# Tests of whole sites mostly wait: three at a time keep two processors busy.
SIDE_BY_SIDE := -n 3

.DEFAULT_GOAL := help
.PHONY: help setup lab ipxe test test-firmware test-interop check bench bench-omni bench-boot bench-bmc faults protos docs clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  PYTHON=/path/to/python3.12 chooses the Python of make setup (3.11 to 3.13)"

setup: $(STAMP) ## make .venv with everything in it

lab: $(STAMP) ## a rack of virtual machines that live their whole life; ARGS='--once --machines 12', see ARGS=--help
	@$(BIN)/omni-metal lab $(ARGS)

ipxe: $(STAMP) ## get the iPXE binaries that firmware starts; ARGS='--state-dir=DIR', or '--deb=FILE'
	@$(BIN)/omni-metal ipxe $(ARGS)

test: $(STAMP) ## unit, property, integration and interop tests, then all faults; ARGS='-k wipe'
ifeq ($(ARGS),)
	@$(BIN)/python -m pytest -n 2 tests/unit tests/properties
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) --dist loadscope --no-loadscope-reorder -m "not fault" tests/integration tests/interop
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) --dist worksteal -m fault tests/integration
else
	@$(BIN)/python -m pytest $(ARGS)
endif

test-firmware: $(STAMP) ## boot real firmware in networks of its own; prints a table; needs root, QEMU, dnsmasq
	@$(BIN)/python -m pytest -p tests.firmware_table -m firmware tests/firmware $(ARGS)

test-interop: $(STAMP) ## against the libraries of a real Omni and of real agents; needs Go
	@$(BIN)/python -m pytest tests/interop $(ARGS)

faults: $(STAMP) ## do all faults to a whole site; prints what came of each, and writes docs/faults.md
	@$(BIN)/python -m pytest -p tests.fault_table --fault-table docs/faults.md $(SIDE_BY_SIDE) --dist worksteal -m fault \
		tests/integration

check: $(STAMP) ## style, types and the directions of imports
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: $(STAMP) ## a table of how fast 10, 100 and 1,000 machines are made ready; ARGS='--lab 10'
	@$(BIN)/python -m lab.bench $(ARGS)

bench-omni: $(STAMP) ## what the wire to Omni carries, and what watching takes, each with its bound; some three minutes
	@$(BIN)/python -m lab.bench.omni $(ARGS)

bench-boot: $(STAMP) ## a storm of 1,000 machines that boot, and boots in steady state; one minute
	@$(BIN)/python -m lab.bench.boot $(ARGS)

bench-bmc: $(STAMP) ## a sweep of the power of 1,000 BMCs of each kind, with its bound; some two minutes; ARGS='--kind=ipmi'
	@$(BIN)/python -m lab.bench.bmc $(ARGS)

protos: $(STAMP) ## generate protos/gen from the .proto files
	@$(BIN)/python -m protos.generate

docs: $(STAMP) ## write docs/options.md from the table of options
	@$(BIN)/python -m config.document

clean: ## remove .venv and what the tools keep
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info

$(STAMP): pyproject.toml .ci/venv
	@.ci/venv $(VENV)
	@touch $@
