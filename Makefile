# make new    answer the prompts and get a layer: OUT=folder ARGS="--no-input layer_name=focal_loss"
# make test   all tests, on real Caffe too; sets up what they need
# make proof  no false alarm in 200 seeds, and every planted mistake found, on both engines
# make bench  ratios against the alternatives, on real Caffe, about 10 minutes; ARGS=--write puts
#             them into benchmarks/README.md
# make kinds  copies the names of the kinds into cookiecutter.json, after a change of the table
# make lint   ruff over the project and over what it generates
# make clean  removes what the others have set up in this folder

OUT = layers
ARGS =
VENV = .venv
PYTEST = $(VENV)/bin/python -m pytest
TOOLS = buildah fish mmdebstrap patch shellcheck tcsh zsh

.PHONY: help new test proof bench kinds lint clean

help:
	@sed -n 's/^# //p' Makefile

new: $(VENV)/new
	@$(VENV)/bin/python scripts/new "$(OUT)" $(ARGS)

test: $(VENV)/test
	@missing=$$(for tool in $(TOOLS); do command -v $$tool >/dev/null || echo $$tool; done); \
		[ -z "$$missing" ] || scripts/apt-install $$missing >$(VENV)/apt.log || true
	scripts/with-caffe --setup
	$(PYTEST) -n auto --dist loadfile

proof: $(VENV)/test
	scripts/with-caffe --setup
	$(PYTEST) -n auto -v -p tests.proof_summary tests/proof_mutants.py tests/proof_seeds.py \
		tests/proof_param_str.py

bench: $(VENV)/test
	scripts/with-caffe --setup
	$(VENV)/bin/python -B benchmarks/bench.py $(ARGS)

kinds: $(VENV)/new
	$(VENV)/bin/python scripts/kinds

lint: $(VENV)/test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PYTEST) -n auto tests/test_output.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache

$(VENV)/new: requirements.txt
$(VENV)/test: requirements.txt tests/requirements.txt
$(VENV)/new $(VENV)/test:
	@echo "Setting up what make $(@F) needs in $(VENV), once" >&2
	@python3 -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $(lastword $^)
	@touch $@
