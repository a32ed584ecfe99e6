"""The one command. In: a working folder. Out: the model folder, trained, exported and measured; every part is resumed, none done twice."""

import argparse
import os
import subprocess
import sys
from multiprocessing import Pool
from pathlib import Path

from . import clips, tokens
from .flite import Flite
from .train import STAGES

SHARDS = {"en": 9, "es": 8, "de": 8}  # of 4,000 clips each
FLITE = 4  # more of them by the second synthesiser, in English
SEED = 7


def make(task):
    """One shard, unless it is there."""
    path, language, count, synthesiser = task
    if not path.with_suffix(".json").exists():
        clips.make_shard(path, language, count, SEED, synthesiser=synthesiser)


def main():
    parser = argparse.ArgumentParser(prog="demo_model", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build"), help="clips and checkpoints; about 4 GB")
    parser.add_argument("--out", type=Path, default=Path("../../models/demo"))
    parser.add_argument("--device", default=None, help="cpu or cuda; found by itself")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes; one is used on cuda")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--quick", action="store_true", help="a useless model within minutes, to see that every part runs")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)

    tokenizer = given.work / "tokenizer.json"
    if not tokenizer.exists():
        tokens.build().save(str(tokenizer))
    folder = given.work / "clips"
    size = 40 if given.quick else 4000
    tasks = [(folder / f"{language}-train-{n:02d}", language, size, clips.Espeak) for language, count in SHARDS.items() for n in range(count)]
    tasks += [(folder / f"en-train-flite-{n:02d}", "en", size, Flite) for n in range(FLITE)]
    with Pool(given.workers) as pool:
        pool.map(make, tasks, chunksize=1)

    run = lambda module, *arguments: subprocess.run([sys.executable, "-m", f"demo_model.{module}", *map(str, arguments)], check=True)
    device = ["--device", given.device] if given.device else []
    checkpoints = given.work / "checkpoints"
    run("train", "--clips", folder, "--tokenizer", tokenizer, "--checkpoints", checkpoints, "--workers", given.workers,
        "--bf16" if given.bf16 else "--no-bf16", *device, *(["--at-most", 3] if given.quick else []))
    run("export", "--checkpoints", *(checkpoints / f"after-{stage}.pt" for stage in STAGES[-2:]), "--tokenizer", tokenizer, "--folder", given.out)
    run("align", "--folder", given.out, *(["--count", 3] if given.quick else []))
    run("evaluate", "--folder", given.out, "--report", given.work / "figures.json", *(["--count", 2] if given.quick else []))
    run("card", "--report", given.work / "figures.json")


if __name__ == "__main__":
    main()
