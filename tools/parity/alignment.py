"""Word times by the reference: recordings in; find_alignment's words, the merged words of segments, and the steps in between out."""

import copy
import dataclasses

import numpy as np
import torch
import whisper
import whisper.timing
import whisper.tokenizer

import windows

SEED = 17


def record(model, generation: dict, audio: dict) -> list[dict]:
    """For each recording of one window, on the reference's greedy tokens; `spread` is how far times move for log-mels 1e-4 apart."""
    out = []
    for file, samples in audio.items():
        if len(samples) > 480_000:
            continue
        mel, frames = windows.window(samples), len(samples) // 160
        found = windows.decode(model, generation, mel, windows.PLAIN)
        tokenizer = whisper.tokenizer.get_tokenizer(True, language=found["language"], task="transcribe")
        text = [token for token in found["tokens"] if token < tokenizer.eot]
        words = align(model, tokenizer, text, mel, frames)
        again = [align(model, tokenizer, text, windows.nearby(mel, seed), frames) for seed in range(2)]
        moved = [abs(a[edge] - b[edge]) for other in again for a, b in zip(words, other) for edge in ("start", "end")]
        out.append({
            "file": file, "language": found["language"], "num_frames": frames, "text_tokens": text, "spread": round(max(moved), 2),
            "words": words, "segments": merged(model, tokenizer, found["tokens"], mel, frames),
        })  # fmt: skip
        print(f"{file}: {len(words)} words, spread {max(moved):.2f} s", flush=True)
    return out


def align(model, tokenizer, text: list[int], mel: torch.Tensor, frames: int) -> list[dict]:
    found = whisper.timing.find_alignment(model, tokenizer, text, mel, frames)
    return [
        dataclasses.asdict(word) | {"start": float(word.start), "end": float(word.end), "probability": round(float(word.probability), 6)}
        for word in found
    ]


def merged(model, tokenizer, tokens: list[int], mel: torch.Tensor, frames: int) -> list[dict]:
    """add_word_timestamps over the segments between pairs of timestamps, as the first window of a file."""
    segments, held = [], []
    for token in tokens:
        held.append(token)
        if token >= tokenizer.timestamp_begin and len(held) > 1:
            start, end = ((held[place] - tokenizer.timestamp_begin) * 0.02 for place in (0, -1))
            segments.append({"seek": 0, "start": round(start, 2), "end": round(end, 2), "tokens": held})
            held = []
    before = [{"start": segment["start"], "end": segment["end"], "tokens": segment["tokens"]} for segment in segments]
    whisper.timing.add_word_timestamps(
        segments=segments, model=model, tokenizer=tokenizer, mel=mel, num_frames=frames, last_speech_timestamp=0.0
    )
    for plain, segment in zip(before, segments):
        plain["moved_start"], plain["moved_end"] = float(segment["start"]), float(segment["end"])
        plain["words"] = [
            word | {"start": float(word["start"]), "end": float(word["end"]), "probability": round(float(word["probability"]), 6)}
            for word in segment["words"]
        ]
    return before


def split(text: str, language: str) -> dict:
    tokenizer = copy.copy(whisper.tokenizer.get_tokenizer(True))
    tokenizer.language = language  # The model need not know it: only the splitting asks for it.
    tokens = [*tokenizer.encode(text), tokenizer.eot]
    words, groups = tokenizer.split_to_word_tokens(tokens)
    return {"text": text, "language": language, "tokens": tokens, "words": words, "word_tokens": groups}


def warps() -> list[dict]:
    """Small matrices with ties in them, and the path that the reference finds."""
    rng, out = np.random.default_rng(SEED), []
    for rows, columns, levels in ((1, 1, 5), (1, 6, 5), (5, 1, 5), (4, 9, 3), (6, 12, 1000), (9, 5, 4)):
        cost = rng.integers(-levels, levels, (rows, columns)) / 8
        text, time = whisper.timing.dtw_cpu(cost.astype(np.float64))
        out.append({"cost": cost.tolist(), "text_indices": text.tolist(), "time_indices": time.tolist()})
    return out


def medians() -> list[dict]:
    rng, out = np.random.default_rng(SEED), []
    for length in (3, 4, 7, 20):
        values = torch.from_numpy(rng.integers(0, 50, (1, 2, length)) / 8)
        out.append({"width": 7, "rows": values[0].tolist(), "filtered": whisper.timing.median_filter(values, 7)[0].tolist()})
    return out
