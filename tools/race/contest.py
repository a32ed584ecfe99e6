"""Programs side by side. In: a model, a batch, who takes part. Out: every run of each, taken in turns so that the machine's noise hits all alike.

A peer is a process that waits between its turns (peer.py); Verbatim is its own `verbatim bench`, started for each turn, which loads and warms up
before its one run that counts. Memory is what the system says of each process once it has ended.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
# A thread of a peer looks for work a while after its turn, and would take it from the next.
REST_S = 0.4


def environment(threads: int) -> dict:
    """The same bound for every library that has threads."""
    names = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return os.environ | {name: str(threads) for name in names} | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


class Failed(Exception):
    pass


@dataclass
class Asked:
    """One cell of the race."""

    size: str
    batch: int
    tokens: int
    threads: int


@dataclass
class Lane:
    """What one program did in a cell."""

    name: str
    runs: list[dict] = field(default_factory=list)
    peak_bytes: int | None = None
    # Tokens of the first window: float32 programs on the same weights should say the same.
    said: list[int] | None = None
    failed: str | None = None


class Peer:
    def __init__(self, name: str, folder: str, asked: Asked):
        self.log = tempfile.TemporaryFile("w+")
        command = [sys.executable, str(HERE / "peer.py"), name, folder, str(asked.batch), str(asked.tokens), str(asked.threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment(asked.threads)
        )
        self.answer()
        # Warm-up: memory is taken, kernels are chosen.
        self.run()

    def run(self) -> dict:
        try:
            self.process.stdin.write("run\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.answer()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            self.end()
            self.log.seek(0)
            raise Failed((self.log.read().strip().splitlines() or ["ended without a word"])[-1][:300])
        return json.loads(line)

    def end(self) -> int:
        """Peak memory, in bytes."""
        self.process.stdin.close()
        return ended(self.process)


def ended(process: subprocess.Popen) -> int:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    # In KiB, but on macOS.
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def verbatim(binary: Path, dtype: str, asked: Asked, repeat: int = 1) -> tuple[dict, int, dict]:
    """One turn: the medians of its stages in milliseconds, its peak memory, and its whole report."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        output = Path(folder) / "bench.json"
        command = [binary, "bench", "--model", f"random:{asked.size}", "--device", "cpu", "--dtype", dtype, "--batch", str(asked.batch)]
        command += ["--tokens", str(asked.tokens), "--repeat", str(repeat), "--warm-up", "1", "--output", str(output)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=environment(asked.threads))
        peak = ended(process)
        if process.returncode != 0:
            log.seek(0)
            raise Failed((log.read().strip().splitlines() or [f"exit status {process.returncode}"])[-1][:300])
        report = json.loads(output.read_text())
    stages = {row["stage"]: row["median_ms"] for row in report["rows"]}
    run = {"mel": stages["mel"], "encode": stages["encode"], "end_to_end": stages["end_to_end"]}
    # Of one run, so that the difference is exact: encoder, prompt, tokens.
    run["encode_tokens"] = round(stages["end_to_end"] - stages["mel"], 3)
    run["cpu_s"] = round(next(row["cpu_ms"] or 0.0 for row in report["rows"] if row["stage"] == "end_to_end") / 1e3, 3)
    return run | {"doubts": report["doubts"]}, peak, report


def race(binary: Path, asked: Asked, dtypes: list[str], folders: dict[str, str], rounds: int) -> list[Lane]:
    """`dtypes`: Verbatim's; `folders`: peers and their weights. Before each peer Verbatim has a turn, in the dtype that is nearest to the peer's."""
    lanes = {name: Lane(name) for name in [*(f"verbatim {dtype}" for dtype in dtypes), *folders]}
    peers = {}
    for name, folder in folders.items():
        try:
            peers[name] = Peer(name, folder, asked)
        except Failed as failed:
            lanes[name].failed = str(failed)
    for number in range(rounds):
        begun = time.monotonic()
        # Whoever comes first in a round is not the same in each.
        order = list(peers)[number % max(len(peers), 1) :] + list(peers)[: number % max(len(peers), 1)]
        # Where a dtype has no peer of its kind it has one turn a round all the same.
        for dtype, name in turns(dtypes, order):
            ours = lanes[f"verbatim {dtype}"]
            time.sleep(REST_S)
            try:
                run, peak, _ = verbatim(binary, dtype, asked)
                ours.runs.append(run)
                ours.peak_bytes = max(ours.peak_bytes or 0, peak)
            except Failed as failed:
                ours.failed = str(failed)
            if name in peers:
                try:
                    run = peers[name].run()
                    lanes[name].said = run.pop("said", None)
                    lanes[name].runs.append(run | {"end_to_end": round(run["mel"] + run["encode_tokens"], 3)})
                except Failed as failed:
                    lanes[name].failed = str(failed)
                    del peers[name]
        took = time.monotonic() - begun
        print(f"{asked.size}, batch {asked.batch}: round {number + 1} of {rounds} in {took:.0f} s", file=sys.stderr, flush=True)
    for name, peer in peers.items():
        lanes[name].peak_bytes = peer.end()
    return list(lanes.values())


def turns(dtypes: list[str], peers: list[str]) -> list[tuple[str, str | None]]:
    def nearest(peer: str) -> str:
        whole_numbers = peer.endswith(("int8", "q8_0"))
        return "q8_0" if whole_numbers and "q8_0" in dtypes else dtypes[0]

    pairs = [(nearest(peer), peer) for peer in peers]
    return pairs + [(dtype, None) for dtype in dtypes if dtype not in {dtype for dtype, _ in pairs}]
