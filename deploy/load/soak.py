"""Half an hour of mixed load with hostile files and killed clients. In: the server's command line. Out: how memory and descriptors went, exit code 1 where they grew or
the server fell.

    python3 deploy/load/soak.py target/release/verbatim
    python3 deploy/load/soak.py --minutes 1 --every 3 --most-mib-per-hour inf -- target/release/verbatim     # too short for a slope
"""

import argparse
import asyncio
import json
import random
import statistics
import struct
import time
from collections import Counter
from pathlib import Path

from client import HOUSE, SPEECH, Server, wav

FIXTURES = sorted((HOUSE / "tests/fixtures/audio").glob("*.*"))
CORPUS = sorted(path for path in (HOUSE / "fuzz/corpus").glob("*/*") if path.is_file())
SAMPLES = SPEECH.read_bytes()[44:]
STORED = json.dumps({"segments": [{"start": number, "end": number + 0.9, "text": f" Sentence {number}."} for number in range(200)]}).encode()


def clip(seconds: float) -> bytes:
    """Another stretch of the same speech each time, so that no two texts need be alike."""
    size, begin = int(seconds * 16_000) * 2, random.randrange(len(SAMPLES) // 2) * 2
    return wav(((SAMPLES[begin:] + SAMPLES) * (size // len(SAMPLES) + 1))[:size])


def hostile() -> bytes:
    """What no client should send: noise, mutants, forged headers, files cut off, and what fuzzing has kept."""
    kind = random.randrange(5)
    if kind == 0:
        return random.randbytes(random.randrange(200_000))
    if kind == 1:
        return b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<IHHIIHH", 16, 1, random.choice((0, 2, 255)), 0xFFFFFFFF, 1, 1, random.choice((0, 7, 64))) + random.randbytes(999)
    data = bytearray(random.choice(CORPUS if kind == 4 and CORPUS else FIXTURES).read_bytes())
    if kind == 2:
        return bytes(data[: random.randrange(len(data) + 1)])
    for _ in range(random.randrange(1, 30)):
        data[random.randrange(len(data))] = random.randrange(256)
    return bytes(data)


class Soak:
    def __init__(self, server: Server, given):
        self.server, self.given = server, given
        self.told, self.seen, self.open = Counter(), [], asyncio.Event()
        self.open.set()

    async def client(self, until: float):
        """One request after the other, with a pause of its own between them; none while the server is weighed."""
        while time.monotonic() < until:
            await self.open.wait()
            await self.once()
            await asyncio.sleep(random.expovariate(1 / self.given.pause))

    async def once(self):
        chance = random.random()
        if chance < 0.01:
            name, work = "hostile", self.server.transcribe(hostile())
        elif chance < 0.04:
            name, work = "killed", self.killed()
        elif chance < 0.06:
            name, work = "long", self.server.transcribe(clip(random.uniform(40, 60)))
        elif chance < 0.20:
            name, work = "file", self.server.transcribe(random.choice(FIXTURES).read_bytes())
        elif chance < 0.24:
            name, work = "subtitles", self.server.request(f"POST /v1/subtitles?format=vtt&subtitles=tidy HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(STORED)}\r\n\r\n".encode() + STORED)
        elif chance < 0.30:
            name, work = "metrics", self.server.get(random.choice(("/metrics", "/gpu-info", "/readyz", f"/{random.randrange(10**9)}")))
        else:
            words = {"timestamp_granularities[]": "word"} if chance < 0.5 else {}
            name, work = "clip", self.server.transcribe(clip(random.uniform(1, 14)), **words)
        try:
            status, _, _ = await asyncio.wait_for(work, 120)
            self.told[name, status] += 1
        except (OSError, TimeoutError) as error:
            self.told[name, type(error).__name__] += 1

    async def killed(self):
        task = asyncio.create_task(self.server.transcribe(clip(random.uniform(5, 60))))
        await asyncio.sleep(random.uniform(0, 0.5))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return 0, {}, b""

    async def weigh(self, until: float):
        """Between requests, where what is in use is the same each time."""
        begun = time.monotonic()
        while time.monotonic() < until:
            await asyncio.sleep(min(self.given.every, max(0.1, until - time.monotonic())))
            self.open.clear()
            while (await self.server.info())["requests_in_flight"]:
                await asyncio.sleep(0.1)
            # What nobody uses goes back to the system after five seconds: .cargo/config.toml.
            await asyncio.sleep(8)
            status = dict(line.split(":", 1) for line in Path(f"/proc/{self.server.process.pid}/status").read_text().splitlines())
            kib = lambda key: int(status[key].split()[0])  # noqa: E731
            self.seen.append({"seconds": time.monotonic() - begun, "rss_kib": kib("VmRSS"), "anonymous_kib": kib("RssAnon"), "threads": int(status["Threads"]), "descriptors": self.server.descriptors()})
            self.open.set()
            if self.given.verbose:
                print(json.dumps(self.seen[-1]), flush=True)


def floors(rows: list[dict]) -> list[dict]:
    """Of every five looks the one that saw least. What the allocator keeps of the last encoder pass, 26 MB or nothing, comes and goes; what leaks stays."""
    return [min(rows[at : at + 5], key=lambda row: row["anonymous_kib"]) for at in range(0, len(rows), 5)]


def slope(rows: list[dict], key: str) -> tuple[float, float]:
    """By least squares, for each hour; and its standard error, taking the samples for independent, which flatters it."""
    if len(rows) < 2:
        return float("nan"), float("nan")
    hours, values = [row["seconds"] / 3600 for row in rows], [row[key] for row in rows]
    line = statistics.linear_regression(hours, values)
    rest = sum((value - line.intercept - line.slope * hour) ** 2 for hour, value in zip(hours, values))
    spread = sum((hour - statistics.fmean(hours)) ** 2 for hour in hours)
    return line.slope, (rest / max(1, len(rows) - 2) / spread) ** 0.5


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds on average that a client waits between two requests")
    parser.add_argument("--every", type=float, default=15, help="seconds between two looks at the server")
    parser.add_argument("--warm-up", type=float, default=1 / 3, help="share of the time that does not count")
    parser.add_argument("--most-mib-per-hour", type=float, default=2)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--output", type=Path, help="JSON: every look")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    async with Server(given.command) as server:
        soak = Soak(server, given)
        # What comes together at most, once, so that it does not come to pass in the middle for the first time.
        await asyncio.gather(*(server.transcribe(clip(60), **{"timestamp_granularities[]": "word"}) for _ in range(given.clients)))
        until = time.monotonic() + given.minutes * 60
        await asyncio.gather(soak.weigh(until), *(soak.client(until) for _ in range(given.clients)))
        alive, said = server.process.poll() is None, server.said()
        cpu = server.cpu() if alive else 0
        told = await server.info() if alive else {}
    rows = [row for row in soak.seen if row["seconds"] >= given.warm_up * given.minutes * 60]
    memory, error = slope(floors(rows), "anonymous_kib")
    descriptors, _ = slope(rows, "descriptors")
    figures = {
        "minutes": given.minutes, "requests": sum(soak.told.values()), "hostile": sum(n for (name, _), n in soak.told.items() if name == "hostile"),
        "killed": sum(n for (name, _), n in soak.told.items() if name == "killed"), "windows": told.get("windows_done"),
        "cores used by the server": cpu / (given.minutes * 60),
        "resident at the end, MiB": rows[-1]["rss_kib"] / 1024, "anonymous, first and last that count, MiB": [round(rows[at]["anonymous_kib"] / 1024, 2) for at in (0, -1)],
        "memory by its floors, MiB/h": memory / 1024, "floors, MiB": [round(row["anonymous_kib"] / 1024, 1) for row in floors(rows)], "its standard error": error / 1024,
        "descriptors, least and most": [pick(row["descriptors"] for row in rows) for pick in (min, max)], "threads, least and most": [pick(row["threads"] for row in rows) for pick in (min, max)],
        "answers": {f"{name} {status}": count for (name, status), count in sorted(soak.told.items(), key=str)},
    }  # fmt: skip
    for name, value in figures.items():
        print(f"| {name} | {value:.4g} |" if isinstance(value, float) else f"| {name} | {value} |", flush=True)
    odd = {answer: count for answer, count in soak.told.items() if answer[1] not in (0, 200, 400, 404, 413, 415)}
    promises = {
        "the server lives, and nothing went wrong in it": alive and "panicked" not in said and not odd,
        "as many descriptors at the end as at the beginning": abs(descriptors) * given.minutes / 60 < 2,
    }
    if given.most_mib_per_hour < float("inf"):
        promises[f"memory grows by less than {given.most_mib_per_hour:g} MiB an hour"] = memory / 1024 < given.most_mib_per_hour
    for text, kept in promises.items():
        print(f"  {'kept' if kept else 'BROKEN'}: {text}", flush=True)
    if given.output:
        given.output.write_text(json.dumps({"figures": figures, "looks": soak.seen}, indent=1) + "\n")
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
