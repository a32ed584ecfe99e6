"""Batch jobs on real processes that are killed. In: the program's command line. Out: what was promised and whether it was kept; exit code 1 where it was not.

    python3 deploy/load/jobs.py target/release/verbatim                              # all, some 40 minutes on two cores
    python3 deploy/load/jobs.py --only kills workers --short target/release/verbatim

kills    the server is killed with SIGKILL at any moment: what was answered with 202 is done all the same (embedded, then the broker with --kills-nats)
many     10,000 small jobs: taking in and listing stay as fast as at the start; a full queue says 503 and loses nothing
workers  a gateway, a broker and three workers; one of these is killed every few seconds and the broker once; poison files among the others
cluster  three brokers, whose leader is killed while jobs are handed in

bucket   as workers, with audio and results in an S3 at --s3 (moto_server -p 9000, say), where a bucket is made

workers, bucket, cluster and kills-nats need `nats-server` (Debian has it). Standard library only.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
from pathlib import Path

from client import speech, wav

PROMISES = []


def promise(text: str, holds: bool, timed: bool = False) -> None:
    """`timed`: about speed, which a busy machine may break through no fault of the server's; it counts with --strict alone."""
    PROMISES.append((text, bool(holds), timed))
    print(f"  {'kept' if holds else 'BROKEN'}: {text}", flush=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def distinct(number: int, seconds: float = 2.0) -> bytes:
    """A recording of its own: the same sentence behind a little more silence than the one before."""
    return wav(b"\0\0" * (number + 1) + speech(seconds)[44:])


def form(files: dict[str, bytes], **fields) -> tuple[str, bytes]:
    edge = uuid.uuid4().hex
    parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    for name, audio in files.items():
        parts.append(f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + audio + b"\r\n")
    return f"multipart/form-data; boundary={edge}", b"".join(parts) + f"--{edge}--\r\n".encode()


class Process:
    """A process of ours that is started again after it was killed, with what it said."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path, name: str):
        self.command, self.environment, self.path = command, environment, folder / f"{name}.log"
        self.start()

    def start(self) -> None:
        with self.path.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=os.environ | self.environment, start_new_session=True)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def said(self) -> str:
        return self.path.read_text(errors="replace")


class Server(Process):
    def __init__(self, program: list[str], folder: Path, settings: dict, more=(), name="server"):
        self.port = free_port()
        names = {f"VERBATIM_{key.replace('.', '__').upper()}": str(value) for key, value in settings.items()}
        super().__init__([*program, "serve", "--port", str(self.port), *more], {"VERBATIM_LOG__LEVEL": "warn"} | names, folder, name)
        self.ready()

    def ready(self) -> None:
        for _ in range(600):
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"the server is not ready:\n{self.said()[-3000:]}")

    def again(self) -> None:
        self.start()
        self.ready()

    def ask(self, method: str, path: str, body: bytes | None = None, headers=None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def submit(self, files: dict[str, bytes], key: str | None = None, **fields) -> tuple[int, dict]:
        kind, body = form(files, **fields)
        headers = {"content-type": kind} | ({"idempotency-key": key} if key else {})
        status, answer = self.ask("POST", "/v1/jobs", body, headers)
        return status, json.loads(answer)

    def insist(self, files: dict[str, bytes], **fields) -> dict:
        """As a client that must get through does it: again under the same key."""
        key = uuid.uuid4().hex
        for _ in range(120):
            try:
                status, answer = self.submit(files, key, **fields)
                if status == 202:
                    return answer
                assert status == 503, (status, answer)
            except OSError:
                pass
            time.sleep(0.5)
        raise SystemExit("a job could not be handed in within a minute")

    def job(self, id: str, query: str = "?limit=0") -> dict:
        status, answer = self.ask("GET", f"/v1/jobs/{id}{query}")
        assert status == 200, (status, answer)
        return json.loads(answer)

    def lines(self, id: str) -> list[dict]:
        status, answer = self.ask("GET", f"/v1/jobs/{id}/results?follow=false")
        assert status == 200, (status, answer)
        return [json.loads(line) for line in answer.splitlines()]

    def until_over(self, ids: list[str], patience: float) -> bool:
        until, left = time.monotonic() + patience, set(ids)
        while left and time.monotonic() < until:
            for id in list(left):
                try:
                    if self.job(id)["state"] in ("done", "failed", "cancelled"):
                        left.discard(id)
                except (OSError, AssertionError):
                    pass
            time.sleep(0.3)
        return not left

    def direct(self, audio: bytes) -> str:
        kind, body = form({"speech.wav": audio})
        status, answer = self.ask("POST", "/transcribe?language=en&response_format=text", body, {"content-type": kind})
        assert status == 200, answer
        return answer.decode().strip()


def broker(folder: Path, port: int, name="nats", cluster="") -> Process:
    config = folder / f"{name}.conf"
    config.write_text(f"port: {port}\nserver_name: {name}\njetstream {{ store_dir: '{folder / name}' }}\n{cluster}")
    return Process(["nats-server", "-c", str(config)], {}, folder, name)


def kill_between(program, folder: Path, tries: int, settings: dict, label: str, more=(), worker=None) -> None:
    """SIGKILL at any moment of taking in and working; only what was answered with 202 counts."""
    # The kills come faster than a file is heard: each would otherwise soon be taken for one that kills its worker.
    settings |= {"jobs.max_deliveries": 1_000}
    server = Server(program, folder, settings, more)
    taken, unanswered = {}, 0
    for number in range(tries):
        timer = threading.Timer(random.uniform(0.0, 0.25), server.kill)
        timer.start()
        for part in range(100):
            files = {f"{number}-{part}.wav": distinct(1000 + number * 100 + part, 1.0)}
            try:
                status, answer = server.submit(files, language="en")
            except (OSError, ValueError):
                unanswered += 1
                break
            if status == 202:
                taken[answer["id"]] = answer
            elif status != 503:
                break
        timer.join()
        server.process.wait()
        server.again()
    over = server.until_over(list(taken), 60 + 2.0 * len(taken))
    lines = {id: server.lines(id) for id in taken}
    whole = all(len(told) == 1 and told[0]["state"] == "done" for told in lines.values())
    print(f"  {tries} kills, {len(taken)} jobs acknowledged, {unanswered} requests broke off unanswered")
    promise(f"{label}: every job that was answered with 202 is done after {tries} kills", over and whole)
    server.end()


def kills(program, given, folder: Path) -> None:
    kill_between(program, folder, given.kills, {"jobs.dir": folder / "jobs"}, "embedded")


def kills_nats(program, given, folder: Path) -> None:
    nats_port = free_port()
    nats = broker(folder, nats_port)
    settings = {"jobs.nats_url": f"nats://127.0.0.1:{nats_port}", "jobs.store_url": f"file://{folder / 'store'}"}
    kill_between(program, folder, given.kills, settings, "broker")
    nats.end()


def many(program, given, folder: Path) -> None:
    count = 1_000 if given.short else 10_000
    # Nobody works, so that the queue grows: taking in and listing are measured, not transcribing.
    settings = {"jobs.dir": folder / "jobs", "jobs.max_queued_items": count, "server.max_requests": 256}
    server = Server(program, folder, settings, ["--no-model"])
    audio, submitted, listed = wav(b"\0\0" * 1_600), [], []
    ids = []
    for number in range(count):
        begun = time.monotonic()
        status, answer = server.submit({"a.wav": audio})
        submitted.append(time.monotonic() - begun)
        assert status == 202, answer
        ids.append(answer["id"])
        if number % (count // 20) == count // 20 - 1:
            begun = time.monotonic()
            status, body = server.ask("GET", "/v1/jobs?limit=20")
            listed.append(time.monotonic() - begun)
            assert [job["id"] for job in json.loads(body)["data"]] == ids[: -21 if len(ids) > 20 else None : -1]
    status, refused = server.submit({"a.wav": audio})
    promise(f"the job after {count} waiting ones gets 503, which names the setting", status == 503 and "jobs.max_queued_items" in refused["error"]["message"])
    first, last = sorted(submitted[: count // 10]), sorted(submitted[-count // 10 :])
    early, late = first[len(first) // 2], last[len(last) // 2]
    print(f"  taking one in, median of the first tenth {early * 1e3:.1f} ms, of the last {late * 1e3:.1f} ms; listing {min(listed) * 1e3:.1f} to {max(listed) * 1e3:.1f} ms")
    promise(f"taking a job in is as fast behind {count} as at the start (at most 1.5 times)", late < early * 1.5, timed=True)
    promise("a page of the list takes less than 100 ms all the time", max(listed) < 0.1, timed=True)
    server.kill()
    server.again()
    page, seen = "", []
    while True:
        body = json.loads(server.ask("GET", f"/v1/jobs?limit=100{page}")[1])
        seen += [job["id"] for job in body["data"]]
        if not body["has_more"]:
            break
        page = f"&after={seen[-1]}"
    promise("all of them are there after a kill", seen == ids[::-1])
    server.end()


def bucket(program, given, folder: Path) -> None:
    where = urllib.parse.urlsplit(given.s3)
    connection = http.client.HTTPConnection(where.netloc, timeout=30)
    connection.request("PUT", "/speech")
    assert connection.getresponse().status == 200, "no bucket can be made there"
    store = {"jobs.store_url": "s3://speech/jobs", "jobs.store_endpoint": given.s3, "jobs.store_key": "key", "jobs.store_secret": "secret"}
    workers(program, given, folder, store)


def workers(program, given, folder: Path, store=None) -> None:
    count, every = (40, 6) if given.short else (200, 20)
    nats_port = free_port()
    nats = broker(folder, nats_port)
    store = store or {"jobs.store_url": f"file://{folder / 'store'}"}
    settings = {"jobs.nats_url": f"nats://127.0.0.1:{nats_port}", "jobs.concurrency": 2} | store
    gateway = Server(program, folder, settings, ["--no-model"], "gateway")
    names = {f"VERBATIM_{key.replace('.', '__').upper()}": str(value) for key, value in settings.items()}
    # They share two cores with the kills, so each has one thread.
    names |= {"VERBATIM_LOG__LEVEL": "info", "RAYON_NUM_THREADS": "1"}
    crew = [Process([*program, "worker"], names, folder, f"worker-{at}") for at in range(3)]
    status, no = gateway.ask("POST", "/transcribe", b"RIFF", {"content-type": "audio/wav"})
    promise("a gateway without a model says so", status == 501 and b"no_model" in no)
    seconds = 2.0 if given.short else 6.0
    files = {f"{at}.wav": distinct(at, seconds) for at in range(count)} | {"poison-1.wav": b"RIFF....WAVE no audio", "poison-2.mp3": b"\xff\xfb" + b"\0" * 100}
    begun = time.monotonic()
    id = gateway.insist(files, language="en")["id"]
    stop, kills = threading.Event(), []

    def killer():
        while not stop.wait(every):
            one = random.choice(crew)
            one.kill()
            kills.append(one)
            one.start()

    def breaker():
        if not stop.wait(every * 1.5):
            nats.kill()
            time.sleep(3)
            nats.start()

    threads = [threading.Thread(target=target) for target in (killer, breaker)]
    for thread in threads:
        thread.start()
    over = gateway.until_over([id], 1_800)
    stop.set()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begun
    lines = gateway.lines(id)
    numbers = [line["item"] for line in lines]
    job = gateway.job(id, "")
    print(f"  {count} files and 2 poison ones in {took:.0f} s; {len(kills)} workers killed; deliveries {sum(item['deliveries'] for item in job['items'])}")
    promise(f"{count} of {count} results although workers and the broker were killed", over and sum(line["state"] == "done" for line in lines) == count)
    promise("none twice", len(set(numbers)) == len(numbers) == count + 2)
    poison = [line for line in lines if line["name"].startswith("poison")]
    promise("poison files have failed with their reason", len(poison) == 2 and all(line["state"] == "failed" and line["error"]["message"] for line in poison))
    for one in crew:
        one.end()
    direct = Server(program, folder, {"jobs.enabled": "false"}, name="direct")
    sample = random.sample([line for line in lines if line["state"] == "done"], min(count, 40))
    promise("the texts are those of direct calls", all(line["result"]["text"].strip() == direct.direct(files[line["name"]]) for line in sample))
    direct.end()
    gateway.end()
    nats.end()


def cluster(program, given, folder: Path) -> None:
    count = 20 if given.short else 60
    ports, routes = [free_port() for _ in range(3)], [free_port() for _ in range(3)]
    urls = ", ".join(f"'nats://127.0.0.1:{port}'" for port in routes)
    nodes = [broker(folder, ports[at], f"node{at}", f"cluster {{ name: c, port: {routes[at]}, routes: [{urls}] }}\n") for at in range(3)]
    time.sleep(5)
    settings = {"jobs.nats_url": ",".join(f"nats://127.0.0.1:{port}" for port in ports), "jobs.store_url": f"file://{folder / 'store'}", "jobs.nats_replicas": 3}
    gateway = Server(program, folder, settings, ["--no-model"], "gateway")
    names = {f"VERBATIM_{key.replace('.', '__').upper()}": str(value) for key, value in settings.items()}
    worker = Process([*program, "worker"], names | {"VERBATIM_LOG__LEVEL": "info"}, folder, "worker")
    ids = []
    for number in range(count):
        ids.append(gateway.insist({f"{number}.wav": distinct(number, 1.0)}, language="en")["id"])
        if number % (count // 3) == count // 3 - 1:
            # Whoever leads: each node in turn, so that the leader is among them.
            one = nodes[number // (count // 3) % 3]
            one.kill()
            ids.append(gateway.insist({f"{number}-without.wav": distinct(5_000 + number, 1.0)}, language="en")["id"])
            one.start()
            time.sleep(4)
    over = gateway.until_over(ids, 300)
    done = sum(gateway.job(id)["counts"]["done"] for id in ids)
    promise(f"three brokers, each killed once: {done} of {len(ids)} jobs done", over and done == len(ids))
    worker.end()
    gateway.end()
    for node in nodes:
        node.end()


SCENARIOS = {"kills": kills, "kills-nats": kills_nats, "many": many, "workers": workers, "bucket": bucket, "cluster": cluster}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SCENARIOS)
    parser.add_argument("--short", action="store_true", help="fewer files, sooner kills")
    parser.add_argument("--s3", metavar="URL", help="an S3 that takes any key")
    parser.add_argument("--strict", action="store_true", help="promises about time count too")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("program", nargs="+")
    given = parser.parse_args()
    for name in given.only or [name for name in SCENARIOS if name != "bucket" or given.s3]:
        if name != "kills" and name != "many" and not shutil.which("nats-server"):
            raise SystemExit(f"{name} needs nats-server")
        print(f"{name}:", flush=True)
        folder = Path(tempfile.mkdtemp(prefix=f"verbatim-jobs-{name}-"))
        SCENARIOS[name](given.program, given, folder)
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if all(kept or (timed and not given.strict) for _, kept, timed in PROMISES) else 1)


if __name__ == "__main__":
    main()
