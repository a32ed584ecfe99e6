"""Every fault of the device, rehearsed on a real server. In: the command line of a debug build, or of one with `--features faults`. Out: what became of the callers and of the process.

    python3 deploy/load/faults.py target/debug/verbatim
"""

import asyncio
import json
import sys

from client import Server, speech

DEVICE_LOST = 70
# Seconds: far above what a crowded machine takes for an encoder pass of an unoptimised build.
HANG = 15
# Where it fails -> whether the server lives on.
PLANS = {
    "encode:4=oom": True,
    "step:60=oom,step:61=oom": True,
    "align:1=oom": True,
    "step:60=device": False,
    "step:60=nan": False,
    "step:60=panic": False,
    "encode:4=panic": False,
    "step:60=hang": False,
    "encode:4=hang": False,
}


async def rehearse(command: list[str], plan: str, lives: bool) -> str:
    async with Server(command, {"REHEARSED_FAULTS": plan}, **{"engine.hang_timeout_seconds": HANG}) as server:
        asked = [server.transcribe(speech(4 + number), language="en", **{"timestamp_granularities[]": "word"}) for number in range(6)]
        told = []
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, BaseException):
                told.append(f"no answer ({answer})")
                continue
            status, headers, body = answer
            code = "" if status == 200 else json.loads(body)["error"]["code"]
            retry = "" if status == 200 or headers.get("retry-after") else ", no Retry-After"
            told.append(f"{status} {code}{retry}".strip())
        if lives:
            if any(one != "200" for one in told) or (await server.transcribe(speech(3)))[0] != 200:
                return f"BROKEN: {told}"
            return f"all {len(told)} answered, and the server goes on"
        try:
            code = await asyncio.wait_for(asyncio.to_thread(server.process.wait), 4 * HANG)
        except TimeoutError:
            return f"BROKEN: the server lives on: {told}"
        fit = all(one in ("200", "503 device_restarting") for one in told) and "503 device_restarting" in told
        return f"{'' if fit and code == DEVICE_LOST else 'BROKEN: '}{told.count('200')} answered, {told.count('503 device_restarting')} told of the restart, exit code {code}"


async def main() -> int:
    broken = False
    for plan, lives in PLANS.items():
        result = await rehearse(sys.argv[1:], plan, lives)
        broken |= result.startswith("BROKEN")
        print(f"| `{plan}` | {result} |", flush=True)
    return int(broken)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
