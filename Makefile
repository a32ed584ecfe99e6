# Every command of the project; CI calls the same ones (.ci/run).

CARGO ?= cargo
MODEL ?= demo
NVCC_FAT := $(CURDIR)/tools/nvcc-fat/bin/nvcc

.PHONY: help fmt lint test run image gpu-build gpu-suite smoke docs accuracy race load jobs soak fuzz fuzz-minimise faults bombs deny sbom

help:
	@echo "make fmt        format the code"
	@echo "make lint       formatting and clippy, warnings denied"
	@echo "make test       all tests that need no GPU, no Python and no network"
	@echo "make run        serve the model MODEL (demo) on port 8080"
	@echo "make smoke      start the release build and send it real audio in every format (needs ffmpeg)"
	@echo "make docs       every command of README and docs/, run as it stands (two minutes; needs ffmpeg, node, nginx, nats-server, and DOCS_PYTHON)"
	@echo "make accuracy   words and times against exact truth, beside other programs (needs espeak-ng; hours on two cores)"
	@echo "make race       speed beside other programs on the same work, in turns (half an hour on two cores, which should be idle)"
	@echo "make load       many clients of a real server: fairness, overload, kills, slow clients (some minutes)"
	@echo "make jobs       batch jobs while servers, workers and the broker are killed (40 minutes; needs nats-server)"
	@echo "make soak       half an hour of mixed load: memory and descriptors must not grow"
	@echo "make fuzz       each fuzzing target for FUZZ_SECONDS (60; needs cargo-fuzz)"
	@echo "make faults     every fault of the device on a real server (a debug build)"
	@echo "make bombs      uploads made to cost far more than they weigh, on a real server"
	@echo "make image      both container images"
	@echo "make gpu-build  the CUDA binary and its test suite (needs nvcc)"
	@echo "make gpu-suite  parity with the CPU, batch 1 against batch N (needs an NVIDIA GPU)"
	@echo "make deny       licences and sources of all dependencies (needs cargo-deny)"
	@echo "make sbom       what is in the binaries, as CycloneDX (needs cargo-cyclonedx and tools/deploy/requirements.txt)"

fmt:
	$(CARGO) fmt

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

test:
	$(CARGO) test

run:
	$(CARGO) run --release -- serve --model $(MODEL)

smoke:
	$(CARGO) build --release
	python3 tools/smoke/smoke.py "$$($(CARGO) metadata --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/verbatim"

# A Python with tools/clients/requirements.txt in it, and a folder where npm put openai (tools/clients/openai_node.py).
DOCS_PYTHON ?= python3
DOCS_MODULES ?=

docs:
	$(CARGO) build --release
	$(DOCS_PYTHON) tools/docs/run.py $(if $(DOCS_MODULES),--modules $(DOCS_MODULES)) "$$($(CARGO) metadata --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/verbatim"

# A Python with tools/accuracy/requirements.txt in it; without one it is made. Corpus and peers' answers are kept in target/accuracy.
ACCURACY_PYTHON ?=

accuracy:
	$(CARGO) build --release
	test -n "$(ACCURACY_PYTHON)" -o -e .venv-accuracy/made || { python3 -m venv .venv-accuracy && .venv-accuracy/bin/pip install -r tools/accuracy/requirements.txt && touch .venv-accuracy/made; }
	set -e; python="$(ACCURACY_PYTHON)"; python="$${python:-.venv-accuracy/bin/python}"; \
	target="$$($(CARGO) metadata --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')"; \
	"$$python" tools/accuracy/score.py; \
	"$$python" tools/accuracy/corpus.py target/accuracy/corpus; \
	"$$python" tools/accuracy/peers.py --corpus target/accuracy/corpus --out target/accuracy/peers; \
	"$$python" tools/accuracy/report.py --corpus target/accuracy/corpus --out target/accuracy "$$target/release/verbatim"

# A Python with tools/race/requirements.txt in it; without one it is made, whisper.cpp built for this machine included. RACE: its arguments.
RACE_PYTHON ?=
RACE ?=

race:
	$(CARGO) build --release
	test -n "$(RACE_PYTHON)" -o -e target/race/python/made || { python3 -m venv target/race/python && target/race/python/bin/pip install -r tools/race/requirements.txt && \
		{ target/race/python/bin/pip install --no-binary pywhispercpp pywhispercpp==1.5.1 || echo "whisper.cpp was not built; the race goes on without it"; } && touch target/race/python/made; }
	set -e; python="$(RACE_PYTHON)"; "$${python:-target/race/python/bin/python}" tools/race/race.py \
		"$$($(CARGO) metadata --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/verbatim" $(RACE)

jobs:
	$(CARGO) build --release
	python3 deploy/load/jobs.py "$$($(CARGO) metadata --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/verbatim"

load:
	$(CARGO) build --release
	python3 deploy/load/load.py --strict --output target/load.json "$$($(CARGO) metadata --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/verbatim"

soak:
	$(CARGO) build --release
	python3 deploy/load/soak.py --output target/soak.json "$$($(CARGO) metadata --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/verbatim"

# Stable Rust knows what cargo-fuzz needs and only does not say so.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= wav flac mp3 ogg opus aac mp4 mkv aiff caf form options subtitles
FUZZ := RUSTC_BOOTSTRAP=1 $(CARGO) fuzz

fuzz:
	$(FUZZ) build --sanitizer none
	set -e; for target in $(FUZZ_TARGETS); do \
		case $$target in form|options|subtitles) words=-dict=fuzz/options.dict;; *) words=;; esac; \
		$(FUZZ) run --sanitizer none $$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -max_len=20000 -print_final_stats=1 $$words; \
	done

fuzz-minimise:
	set -e; for target in $(FUZZ_TARGETS); do $(FUZZ) cmin --sanitizer none $$target; done

faults:
	$(CARGO) build
	python3 deploy/load/faults.py "$$($(CARGO) metadata --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/debug/verbatim"

bombs:
	$(CARGO) build --release
	python3 deploy/load/bombs.py "$$($(CARGO) metadata --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/verbatim"

image:
	docker build --target cpu --tag verbatim:cpu .
	docker build --target cuda --tag verbatim:cuda .

# PTX for compute capability 8.0, which runs on every card since, and object code for 8.0 and 9.0; docs/gpu.md says why.
gpu-build:
	CUDA_COMPUTE_CAP=80 REAL_NVCC="$${REAL_NVCC:-$$(command -v nvcc)}" NVCC=$(NVCC_FAT) $(CARGO) build --release --features cuda --bin verbatim --test gpu

gpu-suite: gpu-build
	CUDA_COMPUTE_CAP=80 REAL_NVCC="$${REAL_NVCC:-$$(command -v nvcc)}" NVCC=$(NVCC_FAT) $(CARGO) test --release --features cuda --test gpu

deny:
	cargo deny check

DEPLOY_PYTHON ?= python3

sbom:
	$(DEPLOY_PYTHON) tools/deploy/sbom.py
	$(DEPLOY_PYTHON) tools/deploy/sbom.py --features cuda
