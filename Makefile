# One command to see it work (`make demo`), one to check it (`make test`).
# They need Python >= 3.11 and make; a virtual environment is made where there
# is none. Another Python has an environment of its own:
# `PYTHON=python3.12 make test`.

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
suite: export OMP_NUM_THREADS := 1
# What is compiled is run a few times: compiling it well takes longer.
suite: export XLA_FLAGS := --xla_backend_optimization_level=0 \
	--xla_llvm_disable_expensive_passes=true

.PHONY: demo test lint suite fuzz clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	KERAS_BACKEND=jax $(BIN)/keras-irl compare --task arithmetic \
		--preset t5-scratch-tiny --objectives mle,iqlearn --steps 1500 \
		--learning-rate 3e-3 --final-learning-rate 0.05 --num-test 240 \
		--output runs/demo --overwrite

test: lint suite

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# Keras reads its backend once, so each has a run of its own, in two workers.
# Tiny models only lose by more threads. All backends run, also after a failure.
suite: $(VENV)/.test
	@failed=; for backend in $(BACKENDS); do \
		echo "== the suite on $$backend"; \
		KERAS_BACKEND=$$backend $(BIN)/python -m pytest -q $(PYTEST) || \
			failed="$$failed $$backend"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed on:$$failed"; exit 1; fi

# What the suite fuzzes for minutes, for hours. One backend: what is asked of
# arguments and files is the same on all.
FUZZ_CASES ?= 5000
fuzz: export OMP_NUM_THREADS := 1
fuzz: $(VENV)/.test
	KERAS_BACKEND=torch KERAS_IRL_FUZZ_CASES=$(FUZZ_CASES) \
		$(BIN)/python -m pytest -q --numprocesses 2 tests/fuzz

# The stamps say what was installed; pyproject.toml says when that is outdated.
$(VENV)/.demo $(VENV)/.test: $(VENV)/.made pyproject.toml

$(VENV)/.demo:
	@echo "Installing the project and JAX into $(VENV) (a few minutes) ..."
	@$(PIP) install -e '.[jax]'
	@touch $@

$(VENV)/.test:
	@echo "Installing the test tools and the backends into $(VENV)" \
		"(several minutes) ..."
	@$(PIP) install -e '.[test]'
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		2>/dev/null || { \
		echo "Python 3.11 or newer is needed; name one as in" \
		"\`make PYTHON=python3.12\`. Received: PYTHON=$(PYTHON)," \
		"$$($(PYTHON) --version 2>&1 | head -n 1)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

clean:
	rm -rf .venv .venv-* runs/demo build dist *.egg-info
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
