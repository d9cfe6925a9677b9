# make new    answer the prompts and get a layer in the folder OUT; answers can be given, too:
#             make new layer_name=focal_loss layer_kind=loss OUT=~/layers ARGS=--no-input
# make test   all tests, on real Caffe too; sets up what they need
# make test-fast  the tests that need neither Caffe nor much time, for every save
# make proof  no false alarm in up to 200 seeds, and every planted mistake found, on both engines;
#             about two hours on two cores
# make bench  ratios against the alternatives, on real Caffe, about 10 minutes; ARGS=--write puts
#             them into benchmarks/README.md
# make audit  a table over all Python layers under a folder, then what is wrong: DIR=folder
# make docs   the README and the guides as a site with search, in site/
# make kinds  writes the prompt for the kinds into cookiecutter.json, after a change of the table
# make owner  after a move: NAME is whose repository on GitHub this is, in all files
# make lock   after a change of a requirements.txt: the newest versions that fit, with hashes, in
#             tests/requirements.lock
# make lint   ruff over the project and over what it generates
# make clean  removes what the others have set up in this folder

OUT = layers
ARGS =
VENV = .venv
## Tests wait for programs as much as they compute: two workers for each core.
WORKERS = $(shell expr $$(nproc) \* 2)
PYTEST = $(VENV)/bin/python -m pytest
IN_PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
## Or each process of the tests would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE
TOOLS = buildah chromium-headless-shell fish git mmdebstrap patch shellcheck tcsh zsh

## What is set on make's command line and is not of this file; make exports it to the shell.
ANSWERS = $(foreach name,$(filter-out OUT ARGS VENV PYTEST TOOLS WORKERS IN_PARALLEL,$(.VARIABLES)),\
	$(if $(filter command,$(origin $(name))),$(name)))

.PHONY: help new test test-fast proof bench audit docs kinds owner lock lint clean

help:
	@sed -n 's/^# //p' Makefile

new: $(VENV)/new
	@$(VENV)/bin/python scripts/new "$(OUT)" $(ARGS) $(foreach name,$(ANSWERS),"$(name)=$${$(name)}")

test: $(VENV)/test
	@missing=$$(for tool in $(TOOLS); do command -v $$tool >/dev/null || echo $$tool; done); \
		[ -z "$$missing" ] || scripts/apt-install $$missing >$(VENV)/apt.log || \
		for tool in $$missing; do scripts/apt-install $$tool >>$(VENV)/apt.log || true; done
	scripts/with-caffe --setup
	$(PYTEST) $(IN_PARALLEL) -p tests.support.count_summary

test-fast: $(VENV)/test
	$(PYTEST) $(IN_PARALLEL) -m "not caffe and not slow"

proof: $(VENV)/test
	scripts/with-caffe --setup
	$(PYTEST) -n auto -v -p tests.support.count_summary tests/checks/proof_mutants.py tests/checks/proof_seeds.py \
		tests/generated/proof_param_str.py tests/generated/proof_signals.py tests/commands/proof_damaged_nets.py
	WHOLE=yes $(PYTEST) $(IN_PARALLEL) -p tests.support.count_summary \
		$$(grep -lwE 'WHOLE|usually|in_turn|mark.proof' -r tests --include=test_*.py)
	FUZZ=1000 $(PYTEST) -n auto tests/commands/test_adopt.py -k damaged
	FUZZ=5000 $(PYTEST) -n auto -v tests/commands/test_audit_files.py -k test_any
	FUZZ=1000 $(PYTEST) -n auto -v tests/commands/test_splice_fuzz.py

bench: $(VENV)/test
	CAFFE_ALSO=python3-torch scripts/with-caffe --setup
	$(VENV)/bin/python -B benchmarks/bench.py $(ARGS)

audit: $(VENV)/new
	@$(VENV)/bin/python caffe_pylayer audit "$(DIR)" $(ARGS)

docs: $(VENV)/docs
	$(VENV)/bin/python scripts/docs

kinds: $(VENV)/new
	$(VENV)/bin/python scripts/kinds

owner:
	@python3 scripts/owner "$(NAME)"

lock: $(VENV)/test
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check uv
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		-o tests/requirements.lock tests/requirements.txt

lint: $(VENV)/test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff check --ignore-noqa --ignore B904,B905 caffe_pylayer/checks caffe_pylayer/copied_conftest.py
	$(VENV)/bin/ruff format --check .
	$(PYTEST) -n auto tests/generated/test_output.py

clean:
	rm -rf $(VENV) .hypothesis .pytest_cache .ruff_cache site

SET_UP = @echo "Setting up what make $(@F) needs in $(VENV), once" >&2; python3 -m venv $(VENV)

$(VENV)/new: requirements.txt
$(VENV)/docs: docs/requirements.txt
$(VENV)/new $(VENV)/docs:
	$(SET_UP)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@
$(VENV)/test: scripts/install-tests tests/requirements.lock docs/requirements.txt requirements.txt \
		tests/requirements.txt
	$(SET_UP)
	@scripts/install-tests $(abspath $(VENV))/bin/python
	@touch $@
