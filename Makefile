# make env: .venv with the pinned set; make run: the main job; make test: the tests; make many: those
# of several processes and servers; make ui: MLflow; make mutants: whether the tests find faults;
# make nightly: every model for ten epochs, and other slow tests; make interrupted: kill -9 at 20
# moments of a run, dying and slow servers, runs at once; make attack: hostile files through
# everything, kills, an hour's soak (some hours; PARTS="tag page" for parts); make first: a new
# user's first ten minutes; make audit: whether an advisory names a pin; make sbom: what is installed,
# as CycloneDX
PYTHON ?= python3
ARGS ?= --model efficientnet
PORT ?= 5000
BIN := .venv/bin
STAMP := .venv/ready
TOOLS := build/tools

.PHONY: env run test many mutants nightly interrupted attack first ui audit sbom

env: $(STAMP)

# uv installs the set in well under a minute where pip takes four; where uv itself can't be had or
# fails, pip does the same
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	($(BIN)/pip install --quiet uv && UV_COMPILE_BYTECODE=1 $(BIN)/uv pip install --quiet \
		--python $(BIN)/python -c constraints.txt -e '.[gpu,sweep,server,tag,web,onnx,ray,encoders,tensorboard,wandb,dev]') \
		|| $(BIN)/pip install --quiet -c constraints.txt -e '.[gpu,sweep,server,tag,web,onnx,ray,encoders,tensorboard,wandb,dev]'
	touch $(STAMP)

run: env
	$(BIN)/python experiments/run.py $(ARGS)

test: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# several processes train one model, PostgreSQL and MLflow's server, Ray
many: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "many and not slow"

# faults are planted in a copy of the package: the tests must find each (some minutes)
mutants: env
	$(BIN)/python tests/mutants.py

# ten epochs of every model on synthetic songs
nightly: env
	$(BIN)/python -m pytest -m slow

interrupted: env
	$(BIN)/python tests/interrupted.py --out docs/interrupted.md

attack: env
	$(BIN)/python -m tests.attack $(if $(PARTS),--parts $(PARTS)) --out docs/attack.md

first: env
	$(BIN)/python tests/first_minutes.py --out docs/first_ten_minutes.md

# one worker and no job runners: a tenth of the start-up time and a fifth of the memory
ui: env
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server --workers 1 --port $(PORT) \
		--backend-store-uri sqlite:///mlruns/mlflow.db

# the tools have an environment of their own, so that the tests' one stays small; without the network
# to the advisories one line says so, and the command fails
$(TOOLS)/ready: Makefile
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet pip-audit==2.10.1 cyclonedx-bom==7.5.0
	touch $@

audit: $(TOOLS)/ready
	@$(TOOLS)/bin/python tests/supply.py audit

sbom: env $(TOOLS)/ready
	@$(TOOLS)/bin/python tests/supply.py sbom --python $(BIN)/python --out build/sbom.json
