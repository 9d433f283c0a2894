# The two commands of the README: `make` runs the default experiment, `make test` the tests.
# Both set up .venv on first use and again when the lock file has changed.

PYTHON ?= python3
VENV ?= .venv
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test test-fast mutants why digests docs readme format lock clean-env
.DEFAULT_GOAL := run

# More arguments for Snakemake: make ARGS="--configfile config/your_dataset.yaml"
run: $(READY)
	$(BIN)/snakemake --cores $(CORES) --resources gpu=1 --quiet host reason $(ARGS)

# Why would this run? One line per job; runs nothing. ARGS as above.
why: $(READY)
	@$(BIN)/python workflow/why.py $(ARGS)

# Two workers, each with a file at a time. Only the tests of pure code, in a minute or two: make test-fast
test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not slurm and not faults" $(ARGS)

# Plants small defects in the code that computes results and says which no fast test notices; some twenty minutes.
mutants: $(READY)
	$(BIN)/python tests/mutants.py $(ARGS)

# What today's code of each costly rule is, for workflow/equivalent_code.yaml.
digests: $(READY)
	@$(BIN)/python workflow/digests.py

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is older than Python 3.11; run: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

# Reference pages that are made from the code.
docs: $(READY)
	PYTHONPATH=src $(BIN)/python -m organisms.pages.reference

# The numbers of README and docs, from what docs/replicates keeps. After a run of config/replicates.yaml, to keep its
# own first: make readme ARGS=results/replicates; likewise of config/sensitivity.yaml on several seeds.
readme: $(READY)
	$(BIN)/python workflow/readme.py $(ARGS)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

# requirements.lock anew from requirements.in. torch is written without its build's suffix (+cpu and the like), so
# that every machine gets its own build.
lock:
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.in
	{ echo "# Made by 'make lock' from requirements.in; do not edit."; \
		.venv-lock/bin/python -m pip freeze | sed 's/+.*//'; } > requirements.lock
	rm -rf .venv-lock

clean-env:
	rm -rf $(VENV)
