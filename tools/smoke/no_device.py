"""A CUDA build where the driver has no GPU. In: the binary. Out: exit 0 where it says what is missing, and falls back only when told to.

    python3 tools/smoke/no_device.py target/release/verbatim
"""

import json
import pathlib
import subprocess
import sys

from server import Server

SPEECH = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/speech"


def main():
    binary = sys.argv[1]
    asked = subprocess.run([binary, "serve", "--device", "cuda", "--port", "0"], capture_output=True, text=True, timeout=60)
    print(f"--device cuda: exit {asked.returncode}: {asked.stderr.strip().splitlines()[-1]}")
    assert asked.returncode == 64, asked
    assert "GPU" in asked.stderr and "NO_DEVICE" in asked.stderr, asked.stderr
    with Server([binary], "--device", "auto") as server:
        info = json.loads(server.get("/gpu-info")[2])
        assert info["device"] == "cpu" and info["cuda_available"] is False and info["note"], info
        status, answer = server.transcribe((SPEECH / "english.wav").read_bytes())
        assert status == 200 and answer["device"] == "cpu" and answer["text"], answer
        print(f"--device auto: {info['note']}; {answer['text']!r}")


if __name__ == "__main__":
    main()
