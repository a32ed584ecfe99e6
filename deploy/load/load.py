"""Load on a real server, scenario by scenario. In: its command line. Out: a table in Markdown, JSON with --output, exit code 1 where a promise is broken
(with --strict also those about time).

    python3 deploy/load/load.py target/release/verbatim                      # all
    python3 deploy/load/load.py --only chunks overload -- target/release/verbatim
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from client import Server, percentile, speech, timed, wav

PROMISES = []


def promise(text: str, holds: bool, timed: bool = False) -> None:
    """`timed`: about speed, which a busy machine may break through no fault of the server's."""
    PROMISES.append({"promise": text, "kept": bool(holds), "timed": timed})
    print(f"  {'kept' if holds else 'BROKEN'}: {text}", flush=True)


async def together(command, given):
    """The same requests one at a time and 16 at once, then 16 at once with one slot: same texts, and how much faster."""
    audio = [speech(seconds) for seconds in (3, 14, 28, 29)] * 8
    async def pace(server, most):
        gate = asyncio.Semaphore(most)
        async def ask(one):
            async with gate:
                return await server.transcribe(one, response_format="text")
        answers, seconds = await timed(asyncio.gather(*map(ask, audio)))
        assert all(status == 200 for status, _, _ in answers), answers
        return [body for _, _, body in answers], sum(len(one) / 32_000 for one in audio) / seconds
    async with Server(command) as server:
        await pace(server, 4)
        alone, one_by_one = await pace(server, 1)
        crowd, at_once = await pace(server, 16)
    async with Server(command, **{"model.slots": 1, "engine.encode_batch": 1}) as server:
        await pace(server, 4)
        _, one_slot = await pace(server, 16)
    promise("16 clients get the texts of one at a time", alone == crowd)
    return {"one at a time, audio s/s": one_by_one, "16 at once": at_once, "16 at once, one slot": one_slot,
            "16 at once against one slot": at_once / one_slot}  # fmt: skip


async def chunks(command, given):
    """Long files in flight and chunks of 3 s arriving: what the chunks wait, and whether the long ones move on alike."""
    chunk, long = speech(3), speech(given.long_seconds)
    settings = {"server.max_requests": given.files + 16, "server.max_queue_audio_seconds": 10**9, "server.request_timeout_seconds": 7200}
    async with Server(command, **settings) as server:
        idle = [(await timed(server.transcribe(chunk)))[1] for _ in range(20)]
        done = {}
        async def file(number):
            status, _, _ = await server.transcribe(long, language="en")
            assert status == 200
            done[number] = time.monotonic() - begun
        begun = time.monotonic()
        files = [asyncio.create_task(file(number)) for number in range(given.files)]
        # Two gigabytes of uploads keep this process itself busy.
        while (await server.info())["requests_in_flight"] < given.files:
            await asyncio.sleep(0.5)
        await asyncio.sleep(5)
        busy = []
        while len(busy) < given.chunks and not all(task.done() for task in files):
            answer, seconds = await timed(server.transcribe(chunk))
            assert answer[0] == 200, answer
            busy.append(seconds)
            await asyncio.sleep(random.uniform(0.1, 0.5))
        in_flight = sum(not task.done() for task in files)
        if given.until_done:
            await asyncio.gather(*files)
        for task in files:
            task.cancel()
        await asyncio.gather(*files, return_exceptions=True)
    ratio = percentile(busy, 0.95) / percentile(idle, 0.5)
    promise("the chunks' 95th percentile is at most 4 times their latency on an idle server", ratio <= 4, timed=True)
    figures = {"idle, median s": percentile(idle, 0.5), "idle, p95 s": percentile(idle, 0.95), "beside files, median s": percentile(busy, 0.5),
               "beside files, p95 s": percentile(busy, 0.95), "p95 against idle": ratio, "chunks": len(busy), "files still in flight": in_flight}  # fmt: skip
    if given.until_done:
        spread = max(done.values()) / min(done.values())
        figures["last file against first"] = spread
        promise("equal files that came together end within 20 % of each other", spread <= 1.2, timed=True)
    return figures


async def shares(command, given):
    """One key with four files and one with a single file, all alike: the second has half of the device until its file is done."""
    busy, modest = (f"load-{name}-0123456789abcdef0123456789" for name in ("busy", "modest"))
    long = speech(given.shares_seconds)
    async with Server(command, **{"server.keys": f"busy:{busy},modest:{modest}", "server.max_requests": 32}) as server:
        async def file(key):
            (status, _, body), seconds = await timed(server.transcribe(long, {"authorization": f"Bearer {key}"}, language="en"))
            assert status == 200, body
            return seconds
        await file(modest)
        alone = await file(modest)
        crowd = [asyncio.create_task(file(busy)) for _ in range(4)]
        await asyncio.sleep(alone / 2)
        beside = await file(modest)
        await asyncio.gather(*crowd)
        crowd = [task.result() for task in crowd]
    # Half of the device takes twice as long; one share of five would take five times.
    promise("a key with one file has half of the device beside a key with four", beside <= alone * 2.5, timed=True)
    return {"the file alone, s": alone, "beside four of another key, s": beside, "against alone": beside / alone, "the four, s": f"{min(crowd):.1f} to {max(crowd):.1f}"}


async def overload(command, given):
    """Open loop at three times what the server can do: what it still does, how quickly it refuses, how soon it is itself again."""
    audio = speech(5)
    async with Server(command, **{"server.max_requests": 24}) as server:
        async def closed(clients, seconds):
            end, count, spent = time.monotonic() + seconds, 0, server.cpu()
            async def client():
                nonlocal count
                while time.monotonic() < end:
                    status, _, _ = await server.transcribe(audio)
                    count += status == 200
            _, took = await timed(asyncio.gather(*(client() for _ in range(clients))))
            return count / took, count / (server.cpu() - spent)
        await closed(8, 3)
        peak, peak_by_cpu = max([await closed(8, given.seconds), await closed(16, given.seconds)])
        before = server.memory()
        refused, served, odd, memory = [], 0, [], []
        request = server.upload(audio)
        async def one():
            nonlocal served
            try:
                (status, headers, _), seconds = await timed(server.request(request))
            except OSError as error:
                return odd.append(str(error))
            if status == 200:
                served += 1
            elif status == 503 and 1 <= int(headers.get("retry-after", 0)) <= 120:
                refused.append(seconds)
            else:
                odd.append(status)
        begun, tasks, sent = time.monotonic(), [], 0
        # While the house is filling nothing is done yet; that counts for neither.
        full, at_full, cpu = None, 0, []
        while (now := time.monotonic() - begun) < given.seconds * 3:
            while sent < now * peak * 3:
                tasks.append(asyncio.create_task(one()))
                sent += 1
            if full is None and now >= given.seconds:
                full, at_full, cpu = now, served, [server.cpu(), sum(os.times()[:2])]
            memory.append(server.memory())
            await asyncio.sleep(0.02)
        served_meanwhile, took = served - at_full, time.monotonic() - begun - full
        cpu = [(now - then) / took for now, then in zip([server.cpu(), sum(os.times()[:2])], cpu)]
        await asyncio.gather(*tasks)
        await asyncio.sleep(1)
        after, normal = await timed(server.transcribe(audio))
        peak_after, _ = await closed(16, given.seconds)
    goodput = served_meanwhile / took / peak
    promise("goodput under three times the load is at least 95 % of the peak", goodput >= 0.95, timed=True)
    promise("every refusal is a 503 with Retry-After of 1 to 120 s", not odd and refused)
    promise("refusals' 99th percentile is below 50 ms", percentile(refused, 0.99) < 0.05, timed=True)
    promise("a second later the server answers", after[0] == 200)
    return {"peak, requests/s": peak, "sent/s": sent / (took + full), "goodput of peak": goodput, "peak again afterwards, of the first": peak_after / peak,
            "requests for a second of the server's processor, of the peak's": served_meanwhile / took / cpu[0] / peak_by_cpu, "cores used by the server": cpu[0], "by its clients": cpu[1], "refused": len(refused), "refusal p50 s": percentile(refused, 0.5),
            "refusal p99 s": percentile(refused, 0.99), "memory before, MiB": before / 2**20, "memory at most, MiB": max(memory) / 2**20,
            "first request after, s": normal, "other outcomes": len(odd)}  # fmt: skip


async def kills(command, given):
    """Clients that leave in the middle: everything they held comes back, and nothing more is computed for them."""
    long = speech(60)
    async with Server(command, **{"server.max_requests": 64}) as server:
        for _ in range(given.kills // 50):
            clients = [asyncio.create_task(server.transcribe(long, language="en")) for _ in range(50)]
            await asyncio.sleep(random.uniform(0.2, 1.0))
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
        begun, info = time.monotonic(), {}
        while time.monotonic() - begun < 10:
            info = await server.info()
            if (info["requests_in_flight"], info["slots_busy"], info["queue_depth_windows"], info["queue_audio_seconds"]) == (0, 0, 0, 0):
                break
            await asyncio.sleep(0.05)
        back = time.monotonic() - begun
        held = {key: info[key] for key in ("requests_in_flight", "slots_busy", "queue_depth_windows", "queue_audio_seconds")}
        windows = info["windows_done"]
        await asyncio.sleep(1)
        idle = (await server.info())["windows_done"] == windows
        status, _, _ = await server.transcribe(speech(3))
    promise("places, slots and queue all come back", not any(held.values()))
    promise("nothing is computed for who has left", idle and status == 200)
    return {"clients killed": given.kills, "all free again after, s": back}


async def slow(command, given):
    """Connections that are half open or trickle: they are cut off in time, and /livez answers meanwhile."""
    settings = {"server.header_timeout_seconds": 3, "server.body_idle_timeout_seconds": 3, "server.max_connections": given.slow + 100}
    async with Server(command, **settings) as server:
        before = []
        for _ in range(200):
            before.append((await timed(server.get("/livez")))[1])
            await asyncio.sleep(0.01)
        lives, most_open = [], 0
        hostile = await asyncio.create_subprocess_exec(sys.executable, str(Path(__file__).with_name("hostile_clients.py")), str(server.port), str(given.slow), stdout=asyncio.subprocess.PIPE)
        done = asyncio.create_task(hostile.communicate())
        while not done.done():
            most_open = max(most_open, server.descriptors())
            lives.append((await timed(server.get("/livez")))[1])
            await asyncio.sleep(0.01)
        kept = json.loads((await done)[0])
    longest = max(kept.values())
    promise("all are cut off within a second of their deadline", longest <= 3 + 1, timed=True)
    promise("/livez answers within 50 ms meanwhile (p99)", percentile(lives, 0.99) < 0.05, timed=True)
    return {"connections": given.slow, "descriptors at most": most_open, "longest, s": longest, "longest by what was sent": {kind: round(seconds, 2) for kind, seconds in kept.items()},
            "livez before, p50 s": percentile(before, 0.5), "livez before, p99 s": percentile(before, 0.99), "livez asked": len(lives), "livez p50, s": percentile(lives, 0.5), "livez p99, s": percentile(lives, 0.99)}  # fmt: skip


async def dictation(command, given):
    """A dictation in chunks of 3 s on an idle server: what each answer takes, and how many words the whole take then changes."""
    audio = speech(given.dictation_seconds)[44:]
    pieces = [audio[at : at + 96_000] for at in range(0, len(audio), 96_000)]
    async with Server(command) as server:
        async def ask(method, path, body=b""):
            head = f"{method} /v1/sessions/load{path} HTTP/1.1\r\nhost: load\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
            status, _, answer = await server.request(head.encode() + body)
            assert status in (200, 201), answer
            return json.loads(answer)
        await ask("PUT", "?language=en&format=s16le")
        took, stands = [], ""
        for seq, piece in enumerate(pieces):
            answer, seconds = await timed(ask("POST", f"/chunks?seq={seq}", piece))
            took.append(seconds)
            assert answer["committed"].startswith(stands)
            stands = answer["committed"]
        done, whole = await timed(ask("POST", "/finish?response_format=json"))
        one_shot = json.loads((await server.transcribe(wav(audio), language="en"))[2])
    words = lambda text: len(text.split())
    changed = sum(max(words(one["live"]), words(one["final"])) for one in done["difference"])
    promise("the finished text is that of the whole file", done["text"] == one_shot["text"])
    promise("a chunk of 3 s is answered within a second (p95)", percentile(took, 0.95) < 1, timed=True)
    return {"chunks": len(took), "chunk, median s": percentile(took, 0.5), "chunk, p95 s": percentile(took, 0.95), "finish, s": whole,
            "words": words(done["text"]), "words changed at the end": changed}  # fmt: skip


async def partials(command, given):
    """A chunk of 3 s on an idle server, told while it is heard: its first text, and all of it."""
    async with Server(command) as server:
        request = server.upload(speech(3), stream="true", language="en")
        await server.streamed(request)
        firsts, wholes = zip(*[await server.streamed(request) for _ in range(60)])
        plain = [(await timed(server.transcribe(speech(3), language="en")))[1] for _ in range(60)]
    promise("a chunk of 3 s is answered within a second (p95)", percentile(plain, 0.95) < 1, timed=True)
    names = {"first text": firsts, "whole stream": wholes, "whole answer without a stream": plain}
    return {f"{name}, p{round(100 * share)} s": percentile(values, share) for name, values in names.items() for share in (0.5, 0.95)}


async def terms(command, given):
    """SIGTERM at half load, again and again: whoever was let in is answered."""
    lost, answered, codes = 0, 0, []
    for _ in range(given.sigterms):
        async with Server(command, **{"server.drain_delay_seconds": 0.2}) as server:
            clients = [asyncio.create_task(server.transcribe(speech(8))) for _ in range(4)]
            await asyncio.sleep(random.uniform(0.05, 0.4))
            server.process.send_signal(signal.SIGTERM)
            for answer in await asyncio.gather(*clients, return_exceptions=True):
                lost += not (isinstance(answer, tuple) and answer[0] == 200)
                answered += isinstance(answer, tuple) and answer[0] == 200
            codes.append(await asyncio.to_thread(server.process.wait, 60))
    promise("none is lost, and the server ends with 0", not lost and not any(codes))
    return {"SIGTERMs": given.sigterms, "answered": answered, "lost": lost}


SCENARIOS = {"together": together, "chunks": chunks, "shares": shares, "overload": overload, "kills": kills, "slow": slow, "terms": terms, "partials": partials, "dictation": dictation}


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=[*SCENARIOS], default=[*SCENARIOS])
    parser.add_argument("--files", type=int, default=100, help="long files in flight beside the chunks")
    parser.add_argument("--long-seconds", type=int, default=600)
    parser.add_argument("--shares-seconds", type=int, default=240, help="of the files of two keys")
    parser.add_argument("--chunks", type=int, default=60)
    parser.add_argument("--until-done", action="store_true", help="wait for the long files, and compare when they end")
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement of pace")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--slow", type=int, default=1000)
    parser.add_argument("--dictation-seconds", type=int, default=150)
    parser.add_argument("--sigterms", type=int, default=50)
    parser.add_argument("--strict", action="store_true", help="exit code 1 for promises about time too")
    parser.add_argument("--output", type=Path, help="JSON")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    found = {}
    for name in given.only:
        print(f"{name}: {SCENARIOS[name].__doc__}", flush=True)
        found[name] = await SCENARIOS[name](given.command, given)
        for figure, value in found[name].items():
            print(f"| {figure} | {value:.4g} |" if isinstance(value, float) else f"| {figure} | {value} |", flush=True)
    if given.output:
        given.output.write_text(json.dumps({"figures": found, "promises": PROMISES}, indent=1) + "\n")
    return 0 if all(one["kept"] or one["timed"] and not given.strict for one in PROMISES) else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
