# syntax=docker/dockerfile:1
# Two images: `--target cpu` and `--target cuda`. Non-root, nothing written outside /models and /jobs, no shell needed at
# run time but bash's own for the health check. tools/deploy/image.py builds `cpu` from a binary, and runs it.
#
#   docker build --target cuda --tag verbatim:cuda .
#   docker run --gpus all -p 8080:8080 -v models:/models -e VERBATIM_SERVER__KEYS="me:$(openssl rand -hex 24 | tee key)" \
#     verbatim:cuda serve --model openai/whisper-large-v3-turbo
#
# A container listens to every interface, so it does not start without keys or --allow-no-keys: docs/security.md.

ARG RUST=1.95.0
# The CUDA toolkit decides the oldest driver: what 12.4 compiles wants 550 or newer. See docs/gpu.md.
ARG CUDA=12.4.1
ARG CHEF=0.1.78

# ---- CPU: build

# Debian 12 builds and Debian 12 runs: a program needs the glibc that it was built with, or a newer one.
FROM rust:${RUST}-bookworm AS chef-cpu
ARG CHEF
# Without line tables and symbols the binary is a fifth as large, and a panic still names its file and line.
ENV CARGO_PROFILE_RELEASE_DEBUG=none CARGO_PROFILE_RELEASE_STRIP=symbols
RUN cargo install --locked cargo-chef --version ${CHEF}
WORKDIR /src

FROM chef-cpu AS recipe
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef-cpu AS build-cpu
COPY --from=recipe /src/recipe.json .
# This layer is made anew only when a dependency changes.
RUN cargo chef cook --release --locked --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --bin verbatim

# ---- CUDA: build

FROM nvidia/cuda:${CUDA}-devel-ubuntu22.04 AS build-cuda
ARG RUST
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Versions of a distribution's packages are its own to say.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl gcc g++ make && rm -rf /var/lib/apt/lists/*
RUN curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --default-toolchain ${RUST}
ENV PATH=/root/.cargo/bin:$PATH
COPY --from=chef-cpu /usr/local/cargo/bin/cargo-chef /usr/local/bin/
WORKDIR /src
# PTX for 8.0, which every later card compiles for itself at the first start, and machine code for 8.0 and 9.0.
# The wrapper adds what candle-kernels leaves out.
COPY tools/nvcc-fat tools/nvcc-fat
ENV CARGO_PROFILE_RELEASE_DEBUG=none CARGO_PROFILE_RELEASE_STRIP=symbols
ENV CUDA_COMPUTE_CAP=80 REAL_NVCC=/usr/local/cuda/bin/nvcc NVCC=/src/tools/nvcc-fat/bin/nvcc
COPY --from=recipe /src/recipe.json .
RUN cargo chef cook --release --locked --features cuda --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --features cuda --bin verbatim

# ---- What both run with

FROM nvidia/cuda:${CUDA}-runtime-ubuntu22.04 AS cuda
COPY --from=build-cuda /src/target/release/verbatim /usr/local/bin/verbatim
# The authorities that the certificates of buckets and brokers are checked against: slim images have none.
COPY --from=build-cuda /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY config /etc/verbatim
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/verbatim/
RUN mkdir /models /jobs && chown 10001:10001 /models /jobs
# Models, and the driver's compiled kernels, outlive the container. HOME, because the user has none.
ENV HOME=/models HF_HOME=/models CUDA_CACHE_PATH=/models/cuda-cache VERBATIM_SERVER__HOST=0.0.0.0 VERBATIM_JOBS__DIR=/jobs
# Batch jobs outlive the container where this is a volume of its own.
VOLUME ["/models", "/jobs"]
USER 10001:10001
EXPOSE 8080
# bash opens the socket itself: no curl in the image. A first start may download a model and compile kernels for minutes.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10m --retries=3 CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${VERBATIM_SERVER__PORT:-8080} && printf 'GET /livez HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && read -r answer <&3 && [[ $answer == *' 200 '* ]]"]
ENTRYPOINT ["verbatim"]
CMD ["serve"]

FROM debian:bookworm-slim AS cpu
COPY --from=build-cpu /src/target/release/verbatim /usr/local/bin/verbatim
COPY --from=build-cpu /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY config /etc/verbatim
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/verbatim/
RUN mkdir /models /jobs && chown 10001:10001 /models /jobs
ENV HOME=/models HF_HOME=/models VERBATIM_SERVER__HOST=0.0.0.0 VERBATIM_JOBS__DIR=/jobs
# Batch jobs outlive the container where this is a volume of its own.
VOLUME ["/models", "/jobs"]
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=10m --retries=3 CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${VERBATIM_SERVER__PORT:-8080} && printf 'GET /livez HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && read -r answer <&3 && [[ $answer == *' 200 '* ]]"]
ENTRYPOINT ["verbatim"]
CMD ["serve"]
