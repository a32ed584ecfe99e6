"""Verbatim on Modal: the image `cuda` from a registry, one container a GPU, models kept in a volume.

    modal secret create verbatim-keys VERBATIM_SERVER__KEYS="me:$(openssl rand -hex 24 | tee key)"
    IMAGE=registry.example/verbatim:cuda modal deploy deploy/modal/app.py

Uploads go through Modal's proxy, which ends TLS. A container that stands idle for five minutes goes; the next request then waits until
the model is loaded again.
"""

import os
import subprocess

import modal

PORT = 8080
# Modal adds a Python of its own for its runner; the image's entry point must not start the server before it.
image = (
    modal.Image.from_registry(os.environ.get("IMAGE", "verbatim:cuda"), add_python="3.12")
    .dockerfile_commands("USER root", "ENTRYPOINT []")
)
app = modal.App("verbatim", image=image)


@app.function(
    gpu=os.environ.get("GPU", "L4"),
    volumes={"/models": modal.Volume.from_name("verbatim-models", create_if_missing=True)},
    secrets=[modal.Secret.from_name("verbatim-keys")],
    max_containers=1,
    scaledown_window=300,
    timeout=3600,
)
# So many requests at once reach one container: that is what batches.
@modal.concurrent(max_inputs=64)
@modal.web_server(PORT, startup_timeout=900)
def serve():
    model = os.environ.get("VERBATIM_MODEL__NAME", "openai/whisper-large-v3-turbo")
    subprocess.Popen(["verbatim", "serve", "--host", "0.0.0.0", "--port", str(PORT), "--device", "cuda", "--model", model])
