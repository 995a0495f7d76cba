# Two commands: `make run` (the main job) and `make test`.  Each sets up its own environment from nothing but
# python3 (3.11 or 3.12); versions come from the lock file of that Python.
PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
LOCK := locks/$(VERSION).txt
# An environment of another Python is set up anew.
READY := .ready-$(VERSION)
RUN_ENV := .venv
DEV_ENV := .venv-dev

.PHONY: run test test-slow lint docs check clean lock

run: $(RUN_ENV)/$(READY)
	$(RUN_ENV)/bin/medley run

# A worker that crashes ends the tests: a new one in its place would wait for ever.
# Compiling is most of what the tests wait for, so the compiler does not optimise here; `test-slow` runs what users run.
# The compiler in 3.11's lock has one more flag, which saves a third of the time; newer ones stop at flags they lack.
QUICK_COMPILE := --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true
QUICK_COMPILE_3.11 := --xla_cpu_use_fusion_emitters=false
test: $(DEV_ENV)/$(READY)
	XLA_FLAGS="$(QUICK_COMPILE) $(QUICK_COMPILE_$(VERSION))" $(DEV_ENV)/bin/python -m pytest -n auto --max-worker-restart 0 --dist loadfile -m "not slow"

test-slow: $(DEV_ENV)/$(READY)
	$(DEV_ENV)/bin/python -m pytest -n auto --max-worker-restart 0 --dist load -m slow

lint: $(DEV_ENV)/$(READY)
	$(DEV_ENV)/bin/ruff format --check .
	$(DEV_ENV)/bin/ruff check .
	$(DEV_ENV)/bin/pyright --pythonpath $(DEV_ENV)/bin/python

# The site, in docs/_build/html.  Every warning is an error: a link that leads nowhere, a public symbol without a text.
docs: $(DEV_ENV)/$(READY)
	$(DEV_ENV)/bin/python -m sphinx -q -W --keep-going -n -E docs docs/_build/html

check: lint test docs test-slow

$(RUN_ENV)/$(READY): pyproject.toml $(LOCK)
	$(call install,$(RUN_ENV),.[llm])

$(DEV_ENV)/$(READY): pyproject.toml $(LOCK)
	$(call install,$(DEV_ENV),.[dev])

$(LOCK):
	@echo "medley: expected Python 3.11 or 3.12, got $(VERSION); choose one with make PYTHON=python3.12" >&2; exit 2

define install
	$(PYTHON) -m venv --clear $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(LOCK) --editable "$(2)"
	touch $(1)/$(READY)
endef

# Rewrites the lock file of this Python from the newest versions that pyproject.toml allows.
lock:
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install --quiet --editable ".[dev]"
	mkdir -p locks
	.venv-lock/bin/python -m pip freeze --exclude-editable > $(LOCK)
	rm -rf .venv-lock

clean:
	rm -rf $(RUN_ENV) $(DEV_ENV) docs/_build .pytest_cache .ruff_cache *.egg-info
