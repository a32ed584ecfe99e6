"""OpenAI's own client against a real server. In: the command that starts it. Out: what a session tells, and 35 minutes of one.

python -m venv .venv && .venv/bin/pip install -r tools/clients/requirements.txt
.venv/bin/python tools/clients/realtime.py target/release/verbatim [--minutes 35]
"""

import argparse
import array
import asyncio
import base64
import json
import pathlib
import re
import subprocess
import sys
import time
import wave

from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/smoke"))
from server import Server  # noqa: E402

SPEECH = ROOT / "tests/fixtures/speech"
PIECE = 16_000 * 2 // 10  # bytes of 100 ms
PADDING = b"\0" * 32_000
TRANSCRIBED = "conversation.item.input_audio_transcription."
STRICT = TypeAdapter(RealtimeServerEvent)


def words(text):
    return re.findall(r"[^\W_]+", text.lower())


def wrong(want, got):
    """Share of words inserted, deleted or replaced."""
    row = list(range(len(got) + 1))
    for i, word in enumerate(want):
        before, row[0] = row[0], i + 1
        for j, other in enumerate(got):
            before, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, before + (word != other))
    return row[-1] / len(want)


def english():
    with wave.open(str(SPEECH / "english.wav")) as file:
        return file.readframes(file.getnframes())


def truth(file):
    return next(one["text"] for one in json.loads((SPEECH / "truth.json").read_text()) if one["file"] == file)


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) >> 10


async def send(connection, audio):
    for at in range(0, len(audio), PIECE):
        piece = base64.b64encode(audio[at : at + PIECE]).decode()
        await connection.input_audio_buffer.append(audio=piece)


async def until(connection, kind):
    """Events up to the first of this kind, each as strict a match of the client's own types as pydantic can tell."""
    events = []
    async for event in connection:
        # The client's types know one rate alone, 24 kHz.
        if not event.type.startswith("session."):
            STRICT.validate_python(event.model_dump(exclude_unset=True))
        events.append(event)
        if event.type == "error":
            raise SystemExit(f"the server says: {event.error}")
        if event.type == kind:
            return events
    raise SystemExit(f"the session ended before {kind}")


async def contract(client, audio):
    """The server hears the turns; then the client commits; each with log-probabilities."""
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        first = await connection.recv()
        STRICT.validate_python(first.model_dump(exclude_unset=True))
        assert first.type == "session.created" and first.session.type == "transcription", first
        listening = {"format": {"type": "audio/pcm", "rate": 16_000}, "transcription": {"model": "whisper-1", "language": "en"}}
        include = ["item.input_audio_transcription.logprobs"]
        session = {"type": "transcription", "audio": {"input": listening}, "include": include}
        await connection.session.update(session=session)
        updated = (await until(connection, "session.updated"))[-1]
        assert updated.session.audio.input.turn_detection.silence_duration_ms == 500
        await send(connection, audio + PADDING)
        heard, stopped = [], 0
        want = words(truth("english.wav"))
        while len(words(" ".join(heard))) < len(want):
            events = await until(connection, TRANSCRIBED + "completed")
            heard.append(events[-1].transcript)
            stopped += sum(event.type == "input_audio_buffer.speech_stopped" for event in events)
            assert events[-1].logprobs and events[-1].usage.type == "duration", events[-1]
            print("  " + " ".join(event.type.replace(TRANSCRIBED, "..") for event in events))
        assert words(" ".join(heard)) == want, heard

        listening["turn_detection"] = None
        await connection.session.update(session=session)
        await until(connection, "session.updated")
        await send(connection, audio)
        await connection.input_audio_buffer.commit()
        whole = (await until(connection, TRANSCRIBED + "completed"))[-1]
        assert words(whole.transcript) == want, whole
        print(f"  {stopped} turns heard, one committed: {whole.transcript}")


async def long(client, server, audio, minutes):
    """One recording over and over, as fast as the server takes it."""
    times = max(1, round(minutes * 60 * 32_000 / len(audio)))
    memory, heard, started = [], [], time.monotonic()
    # A server that has enough to do reads on later, pings included.
    patient = {"ping_interval": None}
    async with client.realtime.connect(extra_query={"intent": "transcription"}, websocket_connection_options=patient) as connection:
        await connection.recv()
        listening = {"format": {"type": "audio/pcm", "rate": 16_000}, "transcription": {"language": "en"}}
        await connection.session.update(session={"type": "transcription", "audio": {"input": listening}})

        async def speak():
            for _ in range(times):
                await send(connection, audio)
                memory.append(resident(server.process.pid))
            await send(connection, PADDING)
            await connection.send({"type": "the end"})

        speaking = asyncio.create_task(speak())
        committed, ended = 0, False
        async for event in connection:
            committed += event.type == "input_audio_buffer.committed"
            if event.type == TRANSCRIBED + "completed":
                heard.append(event.transcript)
            assert event.type != TRANSCRIBED + "failed", event
            ended = ended or event.type == "error"
            if ended and len(heard) == committed:
                break
        await speaking
    took = time.monotonic() - started
    text = truth("english-long.mp3")
    share = wrong(words(" ".join([text] * times)), words(" ".join(heard)))
    sentences = [" ".join(words(sentence)) for sentence in re.split(r"(?<=[.?!])\s+", text)]
    said = " ".join(words(" ".join(heard)))
    least = min(said.count(sentence) for sentence in sentences)
    seconds = times * len(audio) / 32_000
    print(f"  {seconds / 60:.1f} minutes in {took:.0f} s ({seconds / took:.0f} times real time), {len(heard)} turns, {share:.2%} of the words wrong,")
    print(f"  the sentence heard least often {least} of {times} times; resident after each {seconds / times:.0f} s: {memory} MiB")
    assert share < 0.04, share
    # Arenas of the allocator and a backlog come and go; what a session kept would grow with it.
    half = len(memory) // 2
    assert half < 8 or max(memory[half:]) - max(memory[:half]) < 32, memory


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", nargs="+")
    parser.add_argument("--minutes", type=float, default=35)
    asked = parser.parse_args()
    with Server(asked.command) as server:
        client = AsyncOpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.port}/v1")
        print("contract")
        await contract(client, english())
        print("a long session")
        status, _ = server.transcribe((SPEECH / "english-long.mp3").read_bytes())
        assert status == 200
        await long(client, server, decoded(SPEECH / "english-long.mp3"), asked.minutes)
        assert server.stop() == 0
    print("ok")


def decoded(path):
    """16-bit samples at 16 kHz, by ffmpeg."""
    line = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-ar", "16000", "-ac", "1", "-"]
    audio = subprocess.run(line, check=True, capture_output=True).stdout
    assert len(array.array("h", audio)) > 16_000
    return audio


if __name__ == "__main__":
    asyncio.run(main())
