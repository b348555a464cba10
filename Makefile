# `make demo` and `make test` do all their own set-up; nothing has to be installed first but Python >= 3.11 and make.
PYTHON ?= python3
ARGS ?=
# What Python compiled is kept, also where the environment forbids it: else every process compiles everything again,
# and pytest rewrites the asserts of all tests in each of its workers.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements-test.lock
# Compiled when the packages are installed.
MODULE := hatch_build.py edge/envoy/module/build.py $(wildcard edge/envoy/module/*.[ch])
# One stamp per set of packages; made again when the requirements change.
DEMO_READY := $(VENV)/.ready-demo
TEST_READY := $(VENV)/.ready-test

.PHONY: help demo test quick test-days check fresh bench lock sbom clean

help:
	@echo "make demo    the whole product on this machine; ARGS=\"--home DIR --port 8000 --fresh\""
	@echo "make test    every test, on SQLite and on PostgreSQL, with real processes and a real browser"
	@echo "make quick   what needs neither process nor browser, on SQLite; ARGS=tests/roaming narrows it"
	@echo "make test-days  quick tests under other days: far ahead, 29 February, clock changes, zones, locale C"
	@echo "make check   format, lint, types, templates, migrations, deploy check, security, spelling, citations, imports, shape, shell"
	@echo "make fresh   demo and tests on a bare Debian, made for it; as root; ARGS=\"--only-demo\""
	@echo "             ARGS=--newcomer: docs/operations.md followed on two bare machines, command by command"
	@echo "make bench   throughput and time to cut, beside a bare Envoy chain and OpenSSH"
	@echo "make lock    choose the newest fitting versions of all packages"
	@echo "make sbom    the bill of materials in dist/, as CycloneDX"
	@echo "make clean   remove what the other targets made, the virtual environment too"

demo: $(DEMO_READY)
	@exec $(BIN)/python manage.py demo $(ARGS)

test: $(TEST_READY)
	@sh tools/system.sh test
	@$(BIN)/python -m edge.envoy.module.build --here >/dev/null # the compiler may have come just now
	@sh tools/test.sh $(BIN) $(ARGS)

quick: $(TEST_READY)
	@sh tools/test.sh $(BIN) --quick $(ARGS)

test-days: $(TEST_READY)
	@sh tools/system.sh test
	@$(BIN)/python -m tests.days $(ARGS)

check: $(TEST_READY)
	@sh tools/system.sh check
	@sh tools/check.sh $(BIN)

fresh:
	@sh tools/fresh.sh $(ARGS)

bench: $(TEST_READY)
	@sh tools/system.sh bench
	@$(BIN)/python -m bench $(ARGS)

lock: $(TEST_READY)
	@sh tools/lock.sh $(BIN)

sbom: $(TEST_READY)
	@sh tools/sbom.sh $(BIN)

clean:
	rm -rf $(VENV) build dist var/demo staticfiles test-results .pytest_cache .mypy_cache .ruff_cache \
	    .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@sh tools/system.sh venv "$(PYTHON)" $(VENV)

$(DEMO_READY): pyproject.toml $(LOCK) $(MODULE) | $(BIN)/python
	@echo "Installing the packages of the demo (once, and when the requirements change) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(LOCK) -e '.[console]'
	@touch $@

$(TEST_READY): pyproject.toml $(LOCK) $(MODULE) | $(BIN)/python
	@echo "Installing the packages of the tests (once, and when the requirements change) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(LOCK) -e '.[console,test]'
	@touch $(DEMO_READY) $@
