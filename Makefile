# Every command of the project; CI calls the same ones (.ci/run).

CARGO ?= cargo
MODEL ?= demo
NVCC_FAT := $(CURDIR)/tools/nvcc-fat/bin/nvcc

.PHONY: help fmt lint test run image gpu-build gpu-suite smoke deny

help:
	@echo "make fmt        format the code"
	@echo "make lint       formatting and clippy, warnings denied"
	@echo "make test       all tests that need no GPU, no Python and no network"
	@echo "make run        serve the model MODEL (demo) on port 8080"
	@echo "make smoke      start the release build and send it real audio in every format (needs ffmpeg)"
	@echo "make image      both container images"
	@echo "make gpu-build  the CUDA binary and its test suite (needs nvcc)"
	@echo "make gpu-suite  parity with the CPU, batch 1 against batch N (needs an NVIDIA GPU)"
	@echo "make deny       licences and sources of all dependencies (needs cargo-deny)"

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

image:
	docker build --target cpu --tag verbatim:cpu .
	docker build --target cuda --tag verbatim:cuda .

# PTX for compute capability 8.0, which runs on every card since, and object code for 8.0 and 9.0; docs/gpu.md says why.
gpu-build:
	CUDA_COMPUTE_CAP=80 REAL_NVCC="$${REAL_NVCC:-$$(command -v nvcc)}" NVCC=$(NVCC_FAT) $(CARGO) build --release --features cuda
	CUDA_COMPUTE_CAP=80 REAL_NVCC="$${REAL_NVCC:-$$(command -v nvcc)}" NVCC=$(NVCC_FAT) $(CARGO) test --release --features cuda --test gpu --no-run

gpu-suite: gpu-build
	CUDA_COMPUTE_CAP=80 REAL_NVCC="$${REAL_NVCC:-$$(command -v nvcc)}" NVCC=$(NVCC_FAT) $(CARGO) test --release --features cuda --test gpu

deny:
	cargo deny check
