# make demo: the whole chain on real data; make test: all tests. Both make the environment if it is missing.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: install demo test lint lock flink fuzz tfserving-contract wire clean

install: .venv/installed

.venv/installed: requirements.lock setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

demo: install
	$(BIN)/semid run examples/quickstart.toml

# Two files at a time: half of a test's time is one thread's, in TensorFlow's tracing or in a start of a process.
test: install
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Resolves the ranges of setup.py anew and pins what came out.
lock:
	rm -rf build/lock-venv
	$(PYTHON) -m venv build/lock-venv
	build/lock-venv/bin/python -m pip install --quiet ".[demo,dev]"
	build/lock-venv/bin/python -m pip freeze --exclude semid-tf > requirements.lock

# Flink and Beam's job server for it (400 MB), for `python -m pipelines.flink` and its tests. Needs Java 17 and Maven.
FLINK_HOME ?= build/flink
FLINK_VERSION := 1.19.3

flink: $(FLINK_HOME)/job-server.jar

$(FLINK_HOME)/lib: | install
	mkdir -p $(FLINK_HOME)
	$(BIN)/python -m pip download --quiet --no-deps --no-binary :all: -d build/flink-sdist \
	    apache-flink-libraries==$(FLINK_VERSION)
	tar -xzf build/flink-sdist/*.tar.gz -C $(FLINK_HOME) --strip-components 2 --wildcards '*/deps/lib'
	rm -r build/flink-sdist

$(FLINK_HOME)/job-server.jar: pipelines/flink/pom.xml | $(FLINK_HOME)/lib
	mvn -B -q -f $< package -Djob.server=$(abspath $@)

# Ten thousand fuzzed requests to the local server.
fuzz: install
	SEMID_FUZZ_EXAMPLES=5000 $(BIN)/python -m pytest -q tests/serving/test_faults.py --timeout 3600

# The client's contract against TensorFlow Serving in Docker.
tfserving-contract: install
	$(BIN)/python tests/serving/real_server.py

# The client's messages; the tools come from an environment of their own.
wire:
	$(PYTHON) -m venv build/wire-venv
	build/wire-venv/bin/python -m pip install --quiet "grpcio-tools==1.76.0"
	cd serving/remote && ../../build/wire-venv/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. wire.proto

clean:
	rm -rf .venv build dist runs
