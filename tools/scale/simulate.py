"""Many workers, one broker, on paper. In: nothing. Out: the tables of docs/scale.md, written into it; with --check, exit 0 where they are there
already as this file makes them.

A discrete-event simulation with a fixed seed: items are claimed, worked on and acknowledged; the broker does one write after the other; workers die
and come back; what they held is given to others when its lease is over. It knows nothing of networks, of the bucket, or of how a GPU shares itself.

    python3 tools/scale/simulate.py [--check]
"""

import argparse
import heapq
import math
import pathlib
import random
import sys

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/scale.md"
BEGIN, END = "<!-- {}: begin, written by tools/scale/simulate.py -->", "<!-- {}: end -->"

# What files there are: share, seconds. 606 s in the mean.
FILES = ((0.70, 180.0), (0.25, 1200.0), (0.05, 3600.0))
MEAN = sum(share * seconds for share, seconds in FILES)
# Seconds of an item that the device does not work on it: read from the bucket, decoded, its result written.
OVERHEAD = 0.5
# What the broker stores for an item: its message, its claim, three entries of its standing, its acknowledgement.
WRITES_TO_BEGIN, WRITES_TO_END = 3, 3
WRITES = WRITES_TO_BEGIN + WRITES_TO_END
# src/jobs/backend.rs: SIGN_OF_LIFE and LEASE.
SIGN_OF_LIFE, LEASE = 10.0, 60.0
# Signs of life that the broker takes in a second when it does nothing else (docs/scale.md, measured).
SIGNS = 50_000.0
# src/jobs/settings.rs.
MAX_DELIVERIES = 4
# From a worker's death to its first claim: a new pod, and a model to load.
RESTART = 90.0
# Items a worker holds (jobs.concurrency): by default one more than the slots that a card of 16 GiB or more has for large-v3-turbo (docs/gpu.md).
PLACES, FEW = 65, 9
# The broker's writes a second: measured here with sync_interval always, and without; assumed for machines and disks of its own.
BROKERS = (700, 7_000, 20_000)
SPEEDS = (100, 400, 1_000)
WORKERS = ((1, PLACES), (10, PLACES), (100, PLACES), (1_000, PLACES), (10_000, PLACES), (10_000, FEW))
# Larger systems are simulated as a tenth of the workers before a tenth of the broker.
MOST_SIMULATED = 1_000


class System:
    """`places` of each worker share its device in equal parts, and are always taken: the queue has no end."""

    def __init__(self, workers, places, speed, writes_per_second, mean_life, seed):
        self.random = random.Random(seed)
        self.workers, self.places, self.speed, self.mean_life = workers, places, speed, mean_life
        busy = workers * places / SIGN_OF_LIFE / SIGNS
        # Signs of life go before: without them all else is for nothing.
        self.write = math.inf if busy >= 1 else 1 / (writes_per_second * (1 - busy))
        self.broker_free = 0.0
        # Items that come back: when, how often begun, how long.
        self.back = []
        self.lives = [0] * workers
        # Of each worker: what it holds, by place.
        self.holds = [{} for _ in range(workers)]
        self.finished = self.begun = self.begun_again = self.dead = 0

    def seconds(self):
        pick = self.random.random()
        for share, seconds in FILES:
            pick -= share
            if pick < 0:
                return seconds
        return FILES[-1][1]

    def served(self, now, writes):
        """When the broker has stored so many more."""
        self.broker_free = max(now, self.broker_free) + writes * self.write
        return self.broker_free

    def run(self, warm_up, until):
        events = []
        for worker in range(self.workers):
            if self.mean_life is not None:
                heapq.heappush(events, (self.random.expovariate(1 / self.mean_life), 0, "dies", worker, 0, 0))
            for place in range(self.places):
                # In the midst of things: somewhere within an item, longer ones more likely than shorter.
                audio = self.random.choices([s for _, s in FILES], [share * s for share, s in FILES])[0]
                left = self.random.random() * (audio * self.places / self.speed + OVERHEAD)
                self.holds[worker][place] = (audio, 1)
                if left < until:
                    heapq.heappush(events, (left, 0, "works", worker, place, 0))
        counted_from = None
        while events and events[0][0] < until:
            now, _, what, worker, place, life = heapq.heappop(events)
            if counted_from is None and now >= warm_up:
                counted_from, self.finished, self.begun, self.begun_again, self.dead = now, 0, 0, 0, 0
            if what == "dies":
                self.dies(events, now, worker)
            elif life != self.lives[worker]:
                # Of a worker that died meanwhile.
                continue
            elif what == "claims":
                while self.back and self.back[0][0] <= now and self.back[0][1] >= MAX_DELIVERIES:
                    heapq.heappop(self.back)
                    self.dead += 1
                if self.back and self.back[0][0] <= now:
                    _, begun, audio = heapq.heappop(self.back)
                    self.begun_again += 1
                else:
                    begun, audio = 0, self.seconds()
                self.begun += 1
                self.holds[worker][place] = (audio, begun + 1)
                ready = self.served(now, WRITES_TO_BEGIN) + OVERHEAD
                heapq.heappush(events, (ready + audio * self.places / self.speed, 0, "works", worker, place, life))
            elif what == "works":
                heapq.heappush(events, (self.served(now, WRITES_TO_END), 0, "ends", worker, place, life))
            elif what == "ends":
                self.holds[worker].pop(place, None)
                self.finished += 1
                heapq.heappush(events, (now, 0, "claims", worker, place, life))
        return self.finished / (until - warm_up)

    def dies(self, events, now, worker):
        self.lives[worker] += 1
        for audio, begun in self.holds[worker].values():
            # Its last sign of life was at most so long ago.
            heapq.heappush(self.back, (now + LEASE - self.random.random() * SIGN_OF_LIFE, begun, audio))
        self.holds[worker] = {}
        again = now + RESTART
        for place in range(self.places):
            heapq.heappush(events, (again, 0, "claims", worker, place, self.lives[worker]))
        heapq.heappush(events, (again + self.random.expovariate(1 / self.mean_life), 0, "dies", worker, 0, 0))


def ideal(workers, speed, places=PLACES):
    """Items a second where the broker costs nothing."""
    return workers * places / (MEAN * places / speed + OVERHEAD)


def number(value):
    """Three digits that mean something, at most."""
    if value < 10:
        return f"{value:.2g}"
    digits = max(0, int(math.log10(value)) - 2)
    return f"{int(round(value, -digits)):,}"


def reached(workers, places, speed, broker):
    """What a system does of what it could, in hundredths; `None` where the signs of life alone are more than the broker takes."""
    signs = workers * places / SIGN_OF_LIFE / SIGNS
    if signs >= 1:
        return None
    scale = max(1, workers // MOST_SIMULATED)
    system = System(workers // scale, places, speed, broker, None, seed=1)
    system.write = scale / (broker * (1 - signs))
    # Long enough for the broker's queue to be as long as it gets; few workers take longer to have a steady mean.
    unit = max(MEAN * places / speed + OVERHEAD, system.workers * places * WRITES * system.write)
    warm_up, until = (40, 240) if workers <= 10 else (5, 15) if workers <= 100 else (2, 4)
    return 100 * scale * system.run(warm_up * unit, until * unit) / ideal(workers, speed, places)


def throughput():
    rows = [f"| RTFx | workers | items held by each | audio-hours an hour | files an hour | writes a second | {' | '.join(f'{b:,} writes/s' for b in BROKERS)} |",
            "|--:|--:|--:|--:|--:|--:|" + "--:|" * len(BROKERS)]  # fmt: skip
    for speed in SPEEDS:
        for workers, places in WORKERS:
            wanted = ideal(workers, speed, places)
            done = [reached(workers, places, speed, broker) for broker in BROKERS]
            cells = ["leases lapse" if each is None else f"{each:.0f} %" for each in done]
            rows.append(f"| {speed:,} | {workers:,} | {places} | {number(wanted * MEAN)} | {number(3600 * wanted)} | {number(wanted * WRITES)} | {' | '.join(cells)} |")
    return rows


def crashes():
    rows = ["| a worker dies every | items held by each | done, of what could be | begun again | given up, of 100,000 |", "|--:|--:|--:|--:|--:|"]
    speed, workers, hours = 400, 20, 3
    for life, says in ((None, "never"), (86_400.0, "24 hours"), (3_600.0, "hour"), (600.0, "10 minutes")):
        for places in (PLACES, FEW):
            system = System(workers, places, speed, 7_000, life, seed=2)
            rate = system.run(1800, 1800 + hours * 3600)
            begun = max(1, system.begun)
            rows.append(f"| {says} | {places} | {100 * rate / ideal(workers, speed, places):.0f} % | {100 * system.begun_again / begun:.1f} % "
                        f"| {number(1e5 * system.dead / begun) if system.dead else 'none'} |")  # fmt: skip
    return rows


def shards():
    rows = [f"| RTFx | {' | '.join(f'{b:,} writes/s' for b in BROKERS)} |", "|--:|" + "--:|" * len(BROKERS)]
    for speed in SPEEDS:
        # 70 % of the broker: the rest is for what comes back, for jobs that are handed in at once, and for a node that is away.
        most = [0.7 / (ideal(1, speed) * WRITES / broker + PLACES / SIGN_OF_LIFE / SIGNS) for broker in BROKERS]
        rows.append(f"| {speed:,} | {' | '.join(number(each) for each in most)} |")
    return rows


TABLES = {"throughput": throughput, "shards": shards, "crashes": crashes}


def main():
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--check", action="store_true")
    check = asked.parse_args().check
    text = before = PAGE.read_text()
    for name, table in TABLES.items():
        begin, end = BEGIN.format(name), END.format(name)
        if text.count(begin) != 1 or text.count(end) != 1:
            sys.exit(f"{PAGE.name} has no place for the table {name!r}: {begin}")
        head, rest = text.split(begin)
        text = head + begin + "\n" + "\n".join(table()) + "\n" + end + rest.split(end)[1]
    if not check:
        PAGE.write_text(text)
    elif text != before:
        for old, new in zip(before.splitlines(), text.splitlines()):
            if old != new:
                print(f"- {old}\n+ {new}")
        sys.exit(f"{PAGE.name} has other tables than tools/scale/simulate.py makes")
    print("the tables of docs/scale.md are as simulated")


if __name__ == "__main__":
    main()
