#!/usr/bin/env python3
"""Time from exec to ready: start.py BINARY MODEL... [--dtypes f32 q8_0] [--rounds 5]

MODEL: a folder with safetensors, or `demo`. Each start is a `verbatim serve` of its own on a free port of the loopback, asked for
/readyz every 5 ms until it says yes, then ended. Prints the median, the least and the most, and the process's peak memory, in turns.
"""

import argparse
import http.client
import re
import socket
import subprocess
import time
from pathlib import Path
from statistics import median


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def start(binary: Path, model: str, dtype: str) -> tuple[float, float]:
    """Seconds to ready, and MiB at the most."""
    port = free_port()
    command = [binary, "serve", "--model", model, "--device", "cpu", "--dtype", dtype, "--host", "127.0.0.1", "--port", str(port)]
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        while not is_ready(port):
            if server.poll() is not None:
                raise SystemExit(f"{model} as {dtype} did not start: {server.stderr.read()[-500:]}")
            time.sleep(0.005)
        took = time.monotonic() - started
        peak = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())[1]) / 1024
        server.kill()
    return took, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--dtypes", nargs="+", default=["f32", "q8_0"])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    cases = [(model, dtype) for model in given.models for dtype in given.dtypes]
    found = {case: [] for case in cases}
    for _ in range(given.rounds):
        for case in cases:
            found[case].append(start(given.binary.resolve(), *case))
    for (model, dtype), runs in found.items():
        times = [took for took, _ in runs]
        name = Path(model).name
        print(f"{name} {dtype}: {median(times):.2f} s ({min(times):.2f} to {max(times):.2f}), {max(peak for _, peak in runs):.0f} MiB")


if __name__ == "__main__":
    main()
