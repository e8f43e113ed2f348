# make demo | make test | make setup: each sets up what it needs. They need Python 3.11 or newer with venv, make and git.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready-dev
RUNTIME_STAMP := .venv/.ready
LOCK := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup demo test lint types unit newest wheel azurite torture fuzz exposure faults workers commands bench bench-toy golden dialects judge-chdb judge-datafusion judge-polars judge-spark dbt readers states schedulers image-steps lock clean

setup: $(RUNTIME_STAMP)

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lexport needs Python 3.11 or newer; run: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

$(RUNTIME_STAMP): .venv/bin/python pyproject.toml requirements/runtime.txt requirements/build.txt
	@echo "Installing the requirements into .venv. This takes about a minute and prints nothing."
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(STAMP): $(RUNTIME_STAMP) requirements/dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	touch $@

demo: $(RUNTIME_STAMP)
	$(BIN)/lexport demo

test: lint types unit wheel

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP) build/frames/.ready
	$(BIN)/python -m pytest -n 4 --dist worksteal -q

# pandas and polars in a folder of their own, for the examples of the Python API.
build/frames/.ready: $(STAMP) requirements/frames.txt
	$(BIN)/python -m pip install --quiet --require-hashes --target build/frames -r requirements/frames.txt
	touch $@

# The fast unit and property tests on the newest Python of this machine, where that is another than that of .venv;
# LEXPORT_NEWEST=whole runs the slow ones too.
newest: $(STAMP)
	tests/newest_python.sh

# The package as users get it: built, installed alone, tested without src.
wheel: $(STAMP)
	tests/wheel.sh

# An emulator of Azure's blob service, for the tests of az://; needs npm.
azurite: build/azurite/node_modules/.bin/azurite-blob

build/azurite/node_modules/.bin/azurite-blob:
	npm install --silent --no-audit --no-fund --prefix build/azurite azurite@3.35.0

# Runs are killed, and their disk fails, at every call that changes a file; they are killed at every request to a bucket;
# then they are resumed; 200 rounds of two runs at once. An hour at most on two cores; a second call goes on where the first was stopped. `make test`
# takes a sample. It prints a table of what was lost. make torture EVERY=10 tries every tenth point.
torture: $(STAMP)
	LEXPORT_TORTURE=$(or $(EVERY),whole) $(BIN)/python -m pytest -n 2 --dist worksteal -q tests/torture \
		tests/disk/test_prune_killed.py tests/integration/test_prune_interrupted.py; \
		status=$$?; $(BIN)/python tests/torture/progress.py && exit $$status

# Wrong answers of AWS, wrong values of options and all examples of each property: an hour. `make test` takes a sample.
fuzz: $(STAMP)
	LEXPORT_FUZZ_RUNS=500 $(BIN)/python -m pytest -n 2 --dist worksteal -q tests/integration/test_answers_fuzzed.py \
		tests/integration/test_command_fuzz.py tests/property

# Policies and URLs that Hypothesis makes, judged by the views and by Python.
exposure: $(STAMP)
	LEXPORT_EXPOSURE_EXAMPLES=1000 $(BIN)/python -m pytest -q tests/sql/test_exposure.py -k any_policies

# Every fault between lexport and a server, with the time-outs that users have: twenty minutes. `make test` waits for a
# twentieth of them.
faults: $(STAMP)
	LEXPORT_FAULTS=whole $(BIN)/python -m pytest -n 4 --dist worksteal -q tests/faults

# Runs on several processes at their whole size, and each of them killed, stopped or cut off: half an hour. `make test`
# takes a sample.
workers: $(STAMP)
	LEXPORT_WORKERS=whole $(BIN)/python -m pytest -q tests/workers

# Every command of the tests as a process of its own: ten minutes more than `make unit`, which forks most of them from one
# that has imported lexport.
commands: $(STAMP) build/frames/.ready
	LEXPORT_COMMANDS=installed $(BIN)/python -m pytest -n 4 --dist worksteal -q

# An hour and more: it measures real seconds of quota. bench-toy: everything once, in a minute; its figures mean nothing.
bench: $(STAMP)
	$(BIN)/python benchmarks/bench_rivals.py
	$(BIN)/python benchmarks/bench_pieces.py
	$(BIN)/python benchmarks/bench_snapshot.py 1000 10000 100000 1000000
	$(BIN)/python benchmarks/bench_incremental.py
	$(BIN)/python benchmarks/bench_pacing.py
	$(BIN)/python benchmarks/bench_packages.py
	$(BIN)/python benchmarks/bench_scopes.py
	$(BIN)/python benchmarks/bench_machines.py
	$(BIN)/python benchmarks/bench_cluster.py --whole
	$(BIN)/python benchmarks/bench_views.py
	$(BIN)/python benchmarks/bench_changes.py
	$(BIN)/python benchmarks/bench_sql.py
	$(BIN)/python benchmarks/bench_resources.py
	$(BIN)/python -m pip install --quiet --target build/dlt 'dlt[postgres]==1.31.0'
	$(BIN)/python benchmarks/bench_feed.py --dlt build/dlt

bench-toy: $(STAMP)
	$(BIN)/python benchmarks/bench_rivals.py --versions 500 --rounds 1
	$(BIN)/python benchmarks/bench_pieces.py --versions 500 --rounds 1
	$(BIN)/python benchmarks/bench_snapshot.py 500
	$(BIN)/python benchmarks/bench_incremental.py --functions 100 --versions 3
	$(BIN)/python benchmarks/bench_pacing.py --seconds 2 --only true
	$(BIN)/python benchmarks/bench_packages.py --functions 40 --rounds 1 --no-memory
	$(BIN)/python benchmarks/bench_scopes.py --seconds 2 1 3
	$(BIN)/python benchmarks/bench_machines.py --versions 400 --scopes 4 --rounds 1
	$(BIN)/python benchmarks/bench_cluster.py --scopes 10 --versions 50
	$(BIN)/python benchmarks/bench_views.py 200
	$(BIN)/python benchmarks/bench_changes.py 10000
	$(BIN)/python benchmarks/bench_sql.py --nights 4 --functions 40 --rounds 1
	$(BIN)/python benchmarks/bench_resources.py --functions 40
	$(BIN)/python benchmarks/bench_feed.py --functions 100

# The shipped views in every warehouse's SQL, written anew for review.
golden: $(STAMP)
	LEXPORT_WRITE_GOLDEN=1 $(BIN)/python -m pytest -q tests/sql tests/test_readme.py -k 'test_golden or page_of_tables'

# That SQL on real engines, row by row against DuckDB, each engine in a folder of its own; Spark is 500 MB, wants Java 17
# and takes some minutes. make dialects ENGINE=chdb judges one.
ENGINES := chdb datafusion polars spark
dialects: $(if $(ENGINE),,dbt) $(addprefix judge-,$(or $(ENGINE),$(ENGINES)))

judge-chdb: ENGINE_PACKAGE := chdb==4.4.0
judge-datafusion: ENGINE_PACKAGE := datafusion==55.0.0
judge-polars: ENGINE_PACKAGE := polars==2.1.0
judge-spark: ENGINE_PACKAGE := pyspark==4.3.0
$(addprefix judge-,$(ENGINES)): judge-%: $(STAMP)
	$(BIN)/python -m pip install --quiet --target build/engines/$* $(ENGINE_PACKAGE)
	PYTHONPATH=build/engines/$* $(BIN)/python tests/engines/judge.py $*

# The dbt project, built by dbt: each model row by row against lexport sql. dbt has an environment of its own.
dbt: $(STAMP) build/dbt/.ready
	PYTHONPATH=tests/data $(BIN)/python tests/engines/judge_dbt.py build/dbt/bin/dbt

build/dbt/.ready: $(STAMP) requirements/dbt.txt
	$(BIN)/python -m venv build/dbt
	build/dbt/bin/python -m pip install --quiet --require-hashes -r requirements/dbt.txt
	touch $@

# lexport publish with DuckDB's own extensions, those for DuckDB 1.5: DuckLake on a file and on PostgreSQL, the dataset in
# a folder and in a bucket, and Iceberg tables read by DuckDB. 150 MB, two minutes.
catalogs: $(STAMP) build/catalogs/.ready
	PYTHONPATH=build/catalogs $(BIN)/python -m pytest -q tests/engines/judge_catalogs.py

build/catalogs/.ready: $(STAMP) Makefile
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/catalogs duckdb==1.5.5 \
		$(foreach name,avro ducklake httpfs iceberg postgres-scanner,duckdb-extension-$(name)==1.5.5)
	touch $@

# The examples of docs/guides/read-the-files.md and feed-with-dlt.md, each in the engine that it is for: 900 MB of
# packages, two minutes.
readers: $(STAMP) build/frames/.ready build/readers/.ready
	LEXPORT_READERS=all $(BIN)/python -m pytest -q tests/sql/test_read_the_files.py tests/sql/test_feed_with_dlt.py

# Without what .venv and build/frames have.
build/readers/.ready: $(STAMP) requirements/readers.txt
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --target build/readers -r requirements/readers.txt
	touch $@

# The state machine of deploy/aws-step-functions by a validator of the Amazon States Language; needs npm.
states: $(STAMP) build/asl-validator/node_modules/.bin/asl-validator
	$(BIN)/python tests/deploy/cloudformation.py build/asl-validator/definition.json
	build/asl-validator/node_modules/.bin/asl-validator --json-path build/asl-validator/definition.json

build/asl-validator/node_modules/.bin/asl-validator:
	npm install --silent --no-audit --no-fund --prefix build/asl-validator asl-validator@4.0.0

# The commands of deploy/docker/Dockerfile, run in empty folders on this machine instead of an image.
image-steps: $(STAMP)
	$(BIN)/python tests/deploy/image_steps.py

# The examples for Airflow and Dagster, run by them: 450 MB of packages, two minutes.
schedulers: $(STAMP)
	tests/schedulers.sh

lock:
	uv pip compile $(LOCK) pyproject.toml -o requirements/runtime.txt
	echo hatchling | uv pip compile $(LOCK) - -o requirements/build.txt
	uv pip compile $(LOCK) --extra cloud --extra fast --extra dialects --extra distributed --extra iceberg --extra otel --extra postgres pyproject.toml requirements/dev.in -o requirements/dev.txt
	uv pip compile $(LOCK) --extra cloud --extra fast --extra otel -c requirements/dev.txt pyproject.toml -o requirements/nightly.txt
	uv pip compile $(LOCK) -c requirements/dev.txt requirements/frames.in -o requirements/frames.txt
	uv pip compile $(LOCK) -c requirements/dev.txt -c requirements/frames.txt $(addprefix --no-emit-package ,pyarrow pandas numpy python-dateutil tzdata) requirements/readers.in -o requirements/readers.txt
	uv pip compile $(LOCK) --no-strip-extras requirements/dbt.in -o requirements/dbt.txt

clean:
	rm -rf .venv dist build
