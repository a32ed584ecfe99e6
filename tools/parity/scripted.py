"""The reference's transcribe() around a model that answers by script: what windows gave in; seeks, prompts, attempts and segments out.

    .venv/bin/python tools/parity/scripted.py        # writes tests/fixtures/parity/sequential.json

The demo model ends nearly every window with a closed segment; these scripts end windows in every way that the rules allow, repeat
themselves, doubt themselves and fall silent, so that the rules between windows can be held to the reference.
"""

import random
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import whisper
import whisper.tokenizer
from whisper.version import __version__ as whisper_version

import reference
from record import readable, versions

HOUSE = Path(__file__).resolve().parents[2]
COUNT, SEED = 40, 29
TEXTS = [" Take two tablets.", " The bank is in the garden.", " No pain, warm, ten past three.", " Set a timer for seventy five minutes."]


def record(model) -> list[dict]:
    tokenizer = whisper.tokenizer.get_tokenizer(True)
    return [script(model, tokenizer, random.Random(f"{SEED} {place}"), place) for place in range(COUNT)]


def script(model, tokenizer, rng: random.Random, place: int) -> dict:
    """One file of 20 to 100 s."""
    frames = rng.choice([2000, 3000, 4500, 6001, 7300, 9999])
    options = {
        "condition_on_previous_text": rng.random() < 0.7,
        "initial_prompt": rng.choice([None, None, "The plane from Barcelona arrives on Thursday."]),
        "carry_initial_prompt": False,  # Not offered by the server.
        "temperature": rng.choice([[0.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 0.6]]),
        "compression_ratio_threshold": 2.4,
        "logprob_threshold": rng.choice([-1.0, -1.0, None]),
        "no_speech_threshold": rng.choice([0.6, 0.6, None]),
        "clip_timestamps": [0.0],  # Nor are parts of a file.
    }
    calls = []

    def decode(_, segment, asked):
        seek = sys._getframe(1).f_back.f_locals["seek"]
        size = sys._getframe(1).f_back.f_locals["segment_size"]
        found = answer(tokenizer, rng, size)
        calls.append({"seek": seek, "size": size, "prompt": list(asked.prompt or []), "temperature": asked.temperature} | found)
        return SimpleNamespace(**found, temperature=asked.temperature, text=tokenizer.decode(found["tokens"]))

    kind, room = type(model), sys.modules["whisper.transcribe"]
    kept = kind.decode, room.log_mel_spectrogram
    kind.decode = decode
    room.log_mel_spectrogram = lambda samples, mels, padding: torch.zeros(mels, (len(samples) + padding) // 160)
    try:
        asked = options | {"temperature": tuple(options["temperature"])}
        found = whisper.transcribe(model, np.zeros(frames * 160, np.float32), fp16=False, language="en", **asked)
    finally:
        kind.decode, room.log_mel_spectrogram = kept
    segments = [{key: value for key, value in segment.items() if key not in ("id", "words")} for segment in found["segments"]]
    for segment in segments:
        segment["start"], segment["end"] = round(segment["start"], 2), round(segment["end"], 2)
    return {"name": f"script {place}", "frames": frames, "options": options, "attempts": calls, "segments": segments, "text": found["text"]}


def answer(tokenizer, rng: random.Random, size: int) -> dict:
    """Tokens that the timestamp rules allow, and scores."""
    tokens, at, last = [], rng.randrange(0, 100), size // 2
    for _ in range(rng.choice([0, 1, 1, 2, 3, 4])):
        end = at + rng.randrange(20, 200)
        if end > last:
            break
        tokens += [tokenizer.timestamp_begin + at, *tokenizer.encode(rng.choice(TEXTS)), tokenizer.timestamp_begin + end]
        at = end + rng.choice([0, 0, rng.randrange(0, 120)])
    ending = rng.random()
    if ending < 0.35 and at < 1500:  # Cut off: a segment that is opened and not closed.
        tokens += [tokenizer.timestamp_begin + at, *tokenizer.encode(rng.choice(TEXTS))]
    elif ending < 0.5 and tokens:  # Opened, and the window ends there.
        tokens += [tokenizer.timestamp_begin + min(at, 1500)]
    if not tokens:
        tokens = rng.choice([[], [tokenizer.timestamp_begin], tokenizer.encode(rng.choice(TEXTS))])
    if rng.random() < 0.1:  # A loop.
        tokens = [tokenizer.timestamp_begin, *tokenizer.encode(TEXTS[0] * 12), tokenizer.timestamp_begin + min(500, last)]
    return {
        "tokens": tokens,
        "avg_logprob": rng.choice([-0.2, -0.3, -0.9, -0.9, -1.3]),
        "no_speech_prob": rng.choice([0.0, 0.01, 0.5, 0.7, 0.99]),
        "compression_ratio": whisper.utils.compression_ratio(tokenizer.decode(tokens).strip()),
    }


if __name__ == "__main__":
    facts = {"made_with": versions() | {"openai-whisper": whisper_version}, "scripts": record(reference.load(HOUSE / "models/demo")[0])}
    (HOUSE / "tests/fixtures/parity/sequential.json").write_text(readable(facts), encoding="utf-8")
