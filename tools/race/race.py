"""Verbatim and others on the same work, in one run. In: the binary. Out: every figure as JSON, and docs/benchmarks.md.

    python3 tools/race/race.py target/release/verbatim --output target/race/results.json

Run by a Python that has requirements.txt. README.md says what is measured and how.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import contest
import report
from contest import Asked, Failed

HERE = Path(__file__).parent
HOUSE = HERE.parents[1]
# Name -> weights (weights.py), packages whose versions matter.
PEERS = {
    "ctranslate2 int8": ("ctranslate2-int8", ("ctranslate2", "faster-whisper")),
    "ctranslate2 float32": ("ctranslate2-float32", ("ctranslate2", "faster-whisper")),
    "openai-whisper float32": ("transformers", ("openai-whisper", "torch")),
    "transformers float32": ("transformers", ("transformers", "torch")),
    "whisper.cpp q8_0": ("ggml-q8_0", ("pywhispercpp",)),
    "whisper.cpp f16": ("ggml-f16", ("pywhispercpp",)),
}


def machine() -> dict:
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    wanted = ("avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")
    flags = facts.get("flags", facts.get("Features", "")).split()
    return {
        "cpu": facts.get("model name", platform.machine()), "cores": len(os.sched_getaffinity(0)), "features": [flag for flag in wanted if flag in flags],
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1), "system": f"{platform.system()} {platform.machine()}",
    }  # fmt: skip


def versions(peers: list[str]) -> dict[str, str]:
    packages = sorted({package for peer in peers for package in PEERS[peer][1]} | {"numpy"})
    return {package: importlib.metadata.version(package) for package in packages}


def offered(binary: Path, dtypes: list[str], threads: int) -> tuple[list[str], dict[str, str]]:
    """The dtypes that this binary has, and what it says of the others."""
    has, refused = [], {}
    for dtype in dtypes:
        try:
            contest.verbatim(binary, dtype, Asked("tiny", 1, 2, threads))
            has.append(dtype)
        except Failed as failed:
            refused[f"verbatim {dtype}"] = str(failed)
    return has, refused


def child(script: str, *arguments, threads: int) -> dict | list:
    done = subprocess.run([sys.executable, str(HERE / script), *map(str, arguments)], env=contest.environment(threads), capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:300])
    return json.loads(done.stdout.strip().splitlines()[-1])


def mel(binary: Path, dtype: str, rounds: int, threads: int) -> dict[str, list[float]]:
    """Rounds of each in turns; a round is five windows of ours (their median) and ten of theirs."""
    found = {"verbatim": [], "openai-whisper": []}
    for _ in range(rounds):
        run, _, _ = contest.verbatim(binary, dtype, Asked("tiny", 1, 2, threads), repeat=5)
        found["verbatim"].append(run["mel"])
        found["openai-whisper"].append(report.median(child("mel.py", 10, threads, threads=threads)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--models", nargs="+", default=["tiny", "base"], choices=["tiny", "base", "small", "medium"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--tokens", type=int, default=100, help="of each window, exactly")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtypes", nargs="+", default=["f32", "q8_0"], help="Verbatim's; one that it does not offer is said in the report")
    parser.add_argument("--peers", nargs="+", default=[*PEERS], choices=[*PEERS])
    parser.add_argument("--no-quality", action="store_true", help="speed alone")
    parser.add_argument("--cache", type=Path, default=HOUSE / "target/race", help="weights, kept between runs")
    parser.add_argument("--output", type=Path, default=HOUSE / "target/race/results.json")
    parser.add_argument("--markdown", type=Path, default=HOUSE / "docs/benchmarks.md")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the report: what else the machine did")
    given = parser.parse_args()

    binary = given.binary.resolve()
    dtypes, left_out = offered(binary, given.dtypes, given.threads)
    if not dtypes:
        raise SystemExit(f"{binary} runs none of {given.dtypes}: {left_out}")
    peers = list(given.peers)
    if importlib.util.find_spec("_pywhispercpp") is None:
        for name in [name for name in peers if name.startswith("whisper.cpp")]:
            peers.remove(name)
            left_out[name] = "pywhispercpp is not installed; tools/race/README.md says how it is built"
    results = {
        "date": datetime.date.today().isoformat(), "machine": machine(), "versions": versions(peers), "python": platform.python_version(),
        "binary": contest.verbatim(binary, dtypes[0], Asked("tiny", 1, 2, given.threads))[2] | {"rows": None, "machine": None, "doubts": None},
        "asked": {"tokens": given.tokens, "threads": given.threads, "rounds": given.rounds}, "notes": given.note, "left_out": left_out,
        "load_before": os.getloadavg()[0], "cells": [], "mel": None, "quality": None,
    }  # fmt: skip

    def keep() -> None:
        # Hours of work should not be lost to the last part of it.
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        given.markdown.write_text(report.markdown(results), encoding="utf-8")

    given.cache.mkdir(parents=True, exist_ok=True)
    for size in given.models:
        kinds = list(dict.fromkeys(PEERS[name][0] for name in peers))
        folders = child("weights.py", given.cache, size, *kinds, threads=given.threads)
        for batch in given.batches:
            asked = Asked(size, batch, given.tokens, given.threads)
            lanes = contest.race(binary, asked, dtypes, {name: folders[PEERS[name][0]] for name in peers}, given.rounds)
            results["cells"].append({"model": size, "batch": batch, "lanes": [vars(lane) for lane in lanes]})
            keep()
    parts = {"mel": lambda: mel(binary, dtypes[0], given.rounds, given.threads)}
    if not given.no_quality:
        parts["quality"] = lambda: child("quality.py", binary, given.cache / "demo-ctranslate2", given.threads, *dtypes, threads=given.threads)
    for name, part in parts.items():
        try:
            results[name] = part()
        except Failed as failed:
            left_out[name] = str(failed)
        keep()
    print(given.markdown.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
