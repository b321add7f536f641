# One command to see it work (`make demo`), one while you work (`make check`),
# one to be sure (`make test`). They need Python >= 3.11 and make; a virtual
# environment is made where there is none. Another Python has an environment of
# its own: `PYTHON=python3.12 make test`.

PYTHON ?= python3
VENV := $(if $(filter $(PYTHON),python3),.venv,.venv-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
BACKENDS := jax tensorflow torch

PIP := $(BIN)/python -m pip --quiet
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# TensorFlow's C++ start-up lines say nothing about this project.
export TF_CPP_MIN_LOG_LEVEL := 3
export MPLBACKEND := agg
PYTEST ?= --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Tiny models only lose by more threads. What is compiled is run a few times:
# compiling it well takes longer, by the newer emitters of XLA three times as long.
check suite nightly coverage canary fuzz: export OMP_NUM_THREADS := 1
check suite nightly coverage canary: export XLA_FLAGS := \
	--xla_backend_optimization_level=0 \
	--xla_llvm_disable_expensive_passes=true \
	--xla_cpu_use_fusion_emitters=false
# Where each run of the suite notes what it ran and left to other backends.
suite nightly: export KERAS_IRL_RECORD := .cache/suite

.PHONY: demo demo-sums check test lint suite nightly mutate fuzz coverage canary bench \
	docs guides lock clean
.DELETE_ON_ERROR:

# Many right answers, and few shown: three trainings of each from the same
# weights. benchmarks/demo.md says how its settings were chosen. What is
# compiled is kept for the trainings that follow.
demo: $(VENV)/.demo
	KERAS_BACKEND=jax $(BIN)/keras-irl compare --task restaurants \
		--preset t5-scratch-tiny --objectives mle,iqlearn \
		--td-weight 0.1 --value-offset running --seeds 3 --steps 400 \
		--batch-size 16 --learning-rate 3e-3 --learning-rate-warm-up 50 \
		--final-learning-rate 0.1 --evaluate-every 100 \
		--num-validation 0 --num-test 200 --num-samples 4 \
		--temperatures 0,0.25,0.5,0.75,1 --heat-map 4 \
		--compilation-cache .cache/jax --output runs/demo --overwrite
	@$(call OFFER,runs/demo/report.html)

# One right answer only: sums, on which nothing is won. Three trainings of each,
# as one lies 20 points from the next.
demo-sums: $(VENV)/.demo
	KERAS_BACKEND=jax $(BIN)/keras-irl compare --task arithmetic \
		--preset t5-scratch-tiny --objectives mle,iqlearn --steps 1500 \
		--learning-rate 3e-3 --final-learning-rate 0.05 --num-test 240 \
		--seeds 3 --output runs/demo-sums --overwrite
	@$(call OFFER,runs/demo-sums/report.html)

# Says where the page is and, on a terminal, offers to open it.
define OFFER
echo "The page: file://$(CURDIR)/$(1)"; \
	if [ -t 0 ] && [ -t 1 ]; then \
		printf "Open it in the browser? [y/N] "; read answer; \
		case "$$answer" in \
			[yY]*) $(BIN)/python -m webbrowser "file://$(CURDIR)/$(1)" ;; \
		esac; \
	fi
endef

# Under 90 seconds: what needs no backend, one test for each equation, and the
# tests of what you changed.
check: lint
	$(BIN)/python tests/quick_check.py $(PYTEST)

# About 15 minutes on 2 cores: each test where it is quickest, and on every
# backend what may differ between them; tests/suite_plan.py says which.
test: lint suite

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --cache-dir .cache/mypy

# Keras reads its backend once, so each has a run of its own, in two workers.
# All backends run, also after a failure; then it is asked whether every test
# that a run left to another was run by that.
RUN_ALL = failed=; rm -rf .cache/suite; for backend in $(BACKENDS); do \
		echo "== the suite on $$backend"; \
		KERAS_BACKEND=$$backend $(BIN)/python -m pytest -q $(PYTEST) $(1) || \
			failed="$$failed $$backend"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed on:$$failed"; exit 1; fi
ALL_BACKENDS := jax tensorflow torch
suite: $(VENV)/.test
	@$(call RUN_ALL,)
	$(if $(filter-out $(BACKENDS),$(ALL_BACKENDS)),, \
		$(BIN)/python tests/suite_plan.py)

# Hours: every test on each backend that can tell something by it, also those
# that take minutes.
nightly: export KERAS_IRL_EVERY_BACKEND := 1
nightly: lint mutate
	@$(call RUN_ALL,-m "slow or not slow")

# Does a test fail if the code is wrong? ONLY=losses/ asks of one room.
ONLY ?=
mutate: $(VENV)/.test
	$(BIN)/python tests/mutation/mutate.py --only "$(ONLY)"

# What the suite fuzzes for minutes, for hours. One backend: what is asked of
# arguments and files is the same on all.
FUZZ_CASES ?= 5000
fuzz: $(VENV)/.test
	KERAS_BACKEND=torch KERAS_IRL_FUZZ_CASES=$(FUZZ_CASES) \
		$(BIN)/python -m pytest -q --numprocesses 2 tests/fuzz

# Which lines does no test of any backend run? Pages in .cache/coverage.
coverage: export COVERAGE_FILE := $(CURDIR)/.cache/coverage.data
coverage: $(VENV)/.test
	@$(BIN)/coverage erase
	@$(call RUN_ALL,--cov --cov-append --cov-report=)
	$(BIN)/coverage html --quiet --directory .cache/coverage
	$(BIN)/coverage report --skip-covered

# What tomorrow's Keras will break: where we reach into it, and each family.
CANARY_BACKENDS ?= torch jax
canary: .venv-canary/.made
	@failed=; for backend in $(CANARY_BACKENDS); do \
		echo "== the canary on $$backend"; \
		KERAS_BACKEND=$$backend .venv-canary/bin/python -m pytest -q $(PYTEST) \
			tests/keras_seams_test.py tests/families || \
			failed="$$failed $$backend"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed on:$$failed"; exit 1; fi

# Has something become slower? Ten minutes, with nothing else running beside
# them. BENCH="--only tiled" asks of one figure, BENCH=--update keeps them all.
bench: $(VENV)/.test
	KERAS_BACKEND=jax $(BIN)/python benchmarks/bench.py $(BENCH)

# The site, into docs/build/html: any warning of Sphinx, and any link within it
# that leads nowhere, is an error. Guides that changed are run for their outputs,
# in the minutes that each says; KERAS_IRL_RUN_GUIDES=off leaves them as they are.
docs: $(VENV)/.docs
	KERAS_BACKEND=jax $(BIN)/sphinx-build --fail-on-warning --keep-going \
		--quiet --fresh-env --builder html docs docs/build/html
	$(BIN)/python docs/check_links.py docs/build/html

# Newer versions of everything that is tested; run `make test` before you keep
# them.
lock: $(VENV)/.made
	@$(PIP) install uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
		--no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --extra test --extra datasets --extra docs \
		--output-file constraints.txt pyproject.toml

# The stamps say what was installed; pyproject.toml and constraints.txt say when
# that is outdated.
$(VENV)/.demo $(VENV)/.docs $(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt

$(VENV)/.demo:
	@echo "Installing the project and JAX into $(VENV) (a few minutes) ..."
	@$(PIP) install --constraint constraints.txt -e '.[jax]'
	@touch $@

$(VENV)/.docs:
	@echo "Installing Sphinx and the project into $(VENV) (a few minutes) ..."
	@$(PIP) install --constraint constraints.txt -e '.[docs]'
	@touch $@

$(VENV)/.test:
	@echo "Installing the test tools and the backends into $(VENV)" \
		"(several minutes) ..."
	@$(PIP) install --constraint constraints.txt -e '.[test]'
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		2>/dev/null || { \
		echo "Python 3.11 or newer is needed; name one as in" \
		"\`make PYTHON=python3.12\`. Received: PYTHON=$(PYTHON)," \
		"$$($(PYTHON) --version 2>&1 | head -n 1)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Always made anew: what is nightly changes every night.
.PHONY: .venv-canary/.made
.venv-canary/.made:
	@test -d .venv-canary || $(PYTHON) -m venv .venv-canary
	@.venv-canary/bin/python -m pip --quiet install -e '.[test]'
	@.venv-canary/bin/python -m pip --quiet uninstall --yes keras keras-hub
	@.venv-canary/bin/python -m pip --quiet install --pre --upgrade \
		--force-reinstall --no-deps keras-nightly keras-hub-nightly

# The notebook of each guide, from its script.
guides: $(VENV)/.test
	$(BIN)/python guides/make_notebooks.py

clean:
	rm -rf .venv .venv-* runs/demo runs/demo-sums build dist *.egg-info
	rm -rf docs/build docs/made
	rm -rf .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
