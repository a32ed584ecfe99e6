"""Decodes of one window by the reference: recordings in; cases with their options, tokens and scores out."""

import numpy as np
import torch
import whisper
import whisper.tokenizer

import reference

# How far apart two right log-mels may lie.
NOISE = 1e-4
# Options of whisper.DecodingOptions; each case names all of them. `suppress_tokens` null: the checkpoint's own list.
PLAIN = {
    "task": "transcribe", "language": None, "beam_size": None, "patience": None, "length_penalty": None, "prompt": None, "prefix": None,
    "without_timestamps": False, "suppress_tokens": None, "suppress_blank": True, "max_initial_timestamp": None,
}  # fmt: skip
BEAMS = {
    "beam 5": {"beam_size": 5},
    "beam 5, patience 2": {"beam_size": 5, "patience": 2.0},
    "beam 5, length penalty 0.6": {"beam_size": 5, "length_penalty": 0.6},
    "beam 2": {"beam_size": 2},
}
EARLIER = "The plane from Barcelona arrives on Thursday."
# More than the 223 tokens that a prompt may have: the reference keeps the last.
LONG_PROMPT = " ".join(f"The patient takes {n} tablets before breakfast and my sister is in the garden." for n in (
    "two three four five six seven eight nine ten twelve twenty thirty".split()))  # fmt: skip
NEARBY = ["english.wav", "noisy.flac"]


def cases(files: list[str]):
    """(name, file, options that differ from PLAIN)."""
    for file in files:
        yield "greedy", file, {}
        for name, options in BEAMS.items():
            yield name, file, options
    for file, language in (("spanish.wav", "es"), ("german.wav", "de")):
        for name, beam in (("greedy", None), ("beam 5", 5)):
            yield f"translate, {name}", file, {"task": "translate", "language": language, "beam_size": beam}
    yield "a language that is not spoken", "spanish.wav", {"language": "en"}
    for file in NEARBY:
        said = {"language": "en"}
        yield "prompt", file, said | {"prompt": EARLIER}
        yield "prompt, beam 5", file, said | {"prompt": EARLIER, "beam_size": 5}
        yield "prompt longer than its room", file, said | {"prompt": LONG_PROMPT}
        yield "without timestamps", file, said | {"without_timestamps": True}
        yield "without timestamps, beam 5", file, said | {"without_timestamps": True, "beam_size": 5}
        yield "prefix", file, said | {"prefix": "We need"}
        yield "prefix, without timestamps", file, said | {"prefix": "We need", "without_timestamps": True}
        yield "prompt and prefix", file, said | {"prompt": EARLIER, "prefix": "We need"}
        yield "prompt and prefix, without timestamps", file, said | {"prompt": EARLIER, "prefix": "We need", "without_timestamps": True}
        yield "suppress nothing", file, said | {"suppress_tokens": []}
        yield "suppress non-speech", file, said | {"suppress_tokens": [-1]}
        yield "suppress non-speech and more", file, said | {"suppress_tokens": [-1, *MORE]}
        yield "suppress some", file, said | {"suppress_tokens": MORE}
        yield "blank allowed", file, said | {"suppress_blank": False}
        yield "blank allowed, without timestamps", file, said | {"suppress_blank": False, "without_timestamps": True}
        yield "first timestamp within 1 s", file, said | {"max_initial_timestamp": 1.0}
        yield "first timestamp within 0.2 s", file, said | {"max_initial_timestamp": 0.2}


# The comma and the full stop, which the clips have: both are then spelled otherwise or left out.
MORE = [11, 13]


def window(samples: np.ndarray) -> torch.Tensor:
    """The log-mel of the first 30 s as the reference makes it of a short file: 30 s of silence after it, then cut."""
    return whisper.pad_or_trim(whisper.log_mel_spectrogram(samples, padding=480_000), 3000)


def nearby(mel: torch.Tensor, seed: int) -> torch.Tensor:
    return mel + NOISE * (2 * torch.rand(mel.shape, generator=torch.Generator().manual_seed(seed)) - 1)


def languages(model, audio: dict) -> list[dict]:
    """What the reference takes each recording's first window for."""
    out = []
    for file, samples in audio.items():
        token, chances = model.detect_language(window(samples))
        out.append({"file": file, "language": max(chances, key=chances.get), "token": int(token), "probabilities": dict(sorted(chances.items()))})
    return out


def record(model, generation: dict, audio: dict, peer) -> list[dict]:
    short = [file for file, samples in audio.items() if len(samples) <= 480_000]
    out = []
    for name, file, options in cases(short):
        options = PLAIN | options
        mel = window(audio[file])
        case = {"name": name, "file": file, "options": options} | decode(model, generation, mel, options)
        again = [decode(model, generation, nearby(mel, seed), options)["tokens"] for seed in range(2)]
        case["stable"] = all(tokens == case["tokens"] for tokens in again)
        if options["beam_size"] or name == "greedy" or options["task"] == "translate":
            case["transformers"] = peer.window(audio[file], options, case)
        out.append(case)
        print(f"{file}: {name}: {case['stable'] and 'stable' or 'NOT STABLE'} {case['text']}", flush=True)
    return out


def decode(model, generation: dict, mel: torch.Tensor, options: dict) -> dict:
    tokenizer = whisper.tokenizer.get_tokenizer(True, language=options["language"], task=options["task"])
    listed = options["suppress_tokens"]
    suppress = reference.suppressed(generation, tokenizer) if listed is None else list(listed)
    asked = whisper.DecodingOptions(**options | {"suppress_tokens": suppress, "fp16": False})
    task = whisper.decoding.DecodingTask(model, asked)
    found = task.run(mel[None])[0]
    prompt = list(task.initial_tokens)
    prompt[task.sot_index + 1] = tokenizer.special_tokens[f"<|{found.language}|>"]
    # An empty list asks for nothing, so the reference leaves the filter out altogether.
    filters = [f for f in task.logit_filters if isinstance(f, whisper.decoding.SuppressTokens)]
    return {
        "language": found.language,
        "initial_tokens": prompt,
        "suppressed": sorted(filters[0].suppress_tokens) if filters else [],
        "tokens": found.tokens,
        "text": found.text,
        "sum_logprob": found.avg_logprob * (len(found.tokens) + 1),
        "avg_logprob": found.avg_logprob,
        "no_speech_prob": found.no_speech_prob,
        "compression_ratio": found.compression_ratio,
    }
