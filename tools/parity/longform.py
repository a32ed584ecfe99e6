"""Whole recordings by the reference's transcribe(): recordings in; windows, segments and words of each case out."""

import sys

import numpy as np
import torch
import whisper
import whisper.tokenizer

import reference
import windows

LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# Options of whisper.transcribe; each case names all of them.
# tail: the reference fills its last window with zeros, which are no silence in a normalised log-mel. "silence": with the log-mel of
# silence instead, as our server does, and transformers for what is no longer than a window; the reference patched in this alone.
PLAIN = {
    "language": None, "task": "transcribe", "temperature": [0.0], "beam_size": None, "condition_on_previous_text": True, "initial_prompt": None,
    "carry_initial_prompt": False, "word_timestamps": False, "compression_ratio_threshold": 2.4, "logprob_threshold": -1.0,
    "no_speech_threshold": 0.6, "hallucination_silence_threshold": None, "clip_timestamps": [0.0], "tail": "zeros",
}  # fmt: skip
PROMPT = "The plane from Barcelona arrives on Thursday at five to twelve."
CASES = [
    ("conditioned", "long.flac", {}),
    ("conditioned", "long.flac", {"tail": "silence"}),
    ("not conditioned", "long.flac", {"condition_on_previous_text": False}),
    ("not conditioned", "long.flac", {"condition_on_previous_text": False, "tail": "silence"}),
    ("conditioned, words", "long.flac", {"word_timestamps": True}),
    ("conditioned, words", "long.flac", {"word_timestamps": True, "tail": "silence"}),
    ("not conditioned, words", "long.flac", {"word_timestamps": True, "condition_on_previous_text": False, "tail": "silence"}),
    ("beam 5", "long.flac", {"beam_size": 5, "tail": "silence"}),
    ("beam 5, not conditioned", "long.flac", {"beam_size": 5, "condition_on_previous_text": False, "tail": "silence"}),
    ("initial prompt", "long.flac", {"initial_prompt": PROMPT, "tail": "silence"}),
    ("initial prompt carried", "long.flac", {"initial_prompt": PROMPT, "carry_initial_prompt": True, "tail": "silence"}),
    ("initial prompt, not conditioned", "long.flac", {"initial_prompt": PROMPT, "condition_on_previous_text": False, "tail": "silence"}),
    ("clips", "long.flac", {"clip_timestamps": [5.0, 42.5, 100.0], "tail": "silence"}),
    ("skipping hallucinations", "long.flac", {"word_timestamps": True, "hallucination_silence_threshold": 2.0, "tail": "silence"}),
    ("the ladder", "long.flac", {"temperature": list(LADDER), "tail": "silence"}),
    ("repetition, one temperature", "repeated.flac", {"tail": "silence"}),
    ("repetition, the ladder", "repeated.flac", {"temperature": list(LADDER), "tail": "silence"}),
    ("improbable, called speech", "loud-noise.flac", {"logprob_threshold": -0.3, "tail": "silence"}),
    ("improbable, the ladder", "loud-noise.flac", {"logprob_threshold": -0.3, "temperature": list(LADDER), "tail": "silence"}),
    ("improbable, called silence", "drowned.flac", {"logprob_threshold": -0.3, "tail": "silence"}),
    ("improbable, called silence, the ladder", "drowned.flac", {"logprob_threshold": -0.3, "temperature": list(LADDER), "tail": "silence"}),
    ("languages in turn", "mixed.flac", {"tail": "silence"}),
    ("languages in turn, Spanish asked for", "mixed.flac", {"language": "es", "tail": "silence"}),
    ("words", "english.wav", {"word_timestamps": True}),
    ("words", "english.wav", {"word_timestamps": True, "tail": "silence"}),
    ("words", "spanish.wav", {"word_timestamps": True, "tail": "silence"}),
    ("words", "german.wav", {"word_timestamps": True, "tail": "silence"}),
    ("words", "noisy.flac", {"word_timestamps": True, "tail": "silence"}),
    ("words", "mixed.flac", {"word_timestamps": True, "tail": "silence"}),
]  # fmt: skip
# What transformers is asked for the long recording; its compression ratio is of token ids, so 1.35 stands for 2.4.
THEIRS = [
    ("transformers, conditioned", {"condition_on_prev_tokens": True, "temperature": 0.0}),
    ("transformers, not conditioned", {"condition_on_prev_tokens": False, "temperature": 0.0}),
    ("transformers, thresholds and the ladder", {
        "condition_on_prev_tokens": True, "temperature": LADDER, "compression_ratio_threshold": 1.35, "logprob_threshold": -1.0,
        "no_speech_threshold": 0.6}),
    ("transformers, beam 5", {"condition_on_prev_tokens": False, "num_beams": 5}),
]  # fmt: skip


def record(model, generation: dict, audio: dict, peer) -> list[dict]:
    out = []
    for name, file, options in CASES:
        options = PLAIN | options
        case = {"name": name, "file": file, "options": options} | transcribe(model, generation, audio[file], options)
        again = [transcribe(model, generation, audio[file], options, seed) for seed in range(2)]
        case["stable"] = all(other["text"] == case["text"] and tokens(other) == tokens(case) for other in again)
        out.append(case)
        hot = sum(segment["temperature"] > 0 for segment in case["segments"])
        print(f"{file}: {name}: {case['stable'] and 'stable' or 'NOT STABLE'}, {len(case['segments'])} segments, {hot} hot", flush=True)
    for name, options in THEIRS:
        torch.manual_seed(0)
        options = {"language": "en", "task": "transcribe"} | options
        segments = peer.whole(audio["long.flac"], options)
        options = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
        out.append({"name": name, "file": "long.flac", "transformers_options": options, "segments": segments})
        print(f"long.flac: {name}: {len(segments)} segments", flush=True)
    return out


def tokens(case: dict) -> list:
    return [segment["tokens"] for segment in case["segments"]]


def transcribe(model, generation: dict, samples: np.ndarray, options: dict, noise_seed: int | None = None) -> dict:
    """The reference's answer, and each window as it was decoded. Text found above temperature 0 is drawn by lot."""
    torch.manual_seed(0)
    tokenizer = whisper.tokenizer.get_tokenizer(True)
    room = sys.modules["whisper.transcribe"]
    log_mel, pad, decode = room.log_mel_spectrogram, room.pad_or_trim, type(model).decode
    attempts = []

    def disturbed(*arguments, **named):
        mel = log_mel(*arguments, **named)
        disturbed.silence = float(mel.min())
        return mel if noise_seed is None else windows.nearby(mel, noise_seed)

    def padded(mel, length):
        missing = length - mel.shape[-1]
        if missing <= 0 or options["tail"] == "zeros":
            return pad(mel, length)
        return torch.nn.functional.pad(mel, (0, missing), value=disturbed.silence)

    def noted(model, segment, asked):
        found = decode(model, segment, asked)
        seek = sys._getframe(1).f_back.f_locals["seek"]
        attempts.append({
            "seek": seek, "prompt": list(asked.prompt or []), "temperature": asked.temperature, "tokens": found.tokens,
            "avg_logprob": found.avg_logprob, "no_speech_prob": found.no_speech_prob, "compression_ratio": found.compression_ratio,
        })  # fmt: skip
        return found

    asked = {key: value for key, value in options.items() if key != "tail"}
    asked["temperature"] = tuple(asked["temperature"])
    room.log_mel_spectrogram, room.pad_or_trim, type(model).decode = disturbed, padded, noted
    try:
        found = whisper.transcribe(
            model, samples, fp16=False, suppress_tokens=reference.suppressed(generation, tokenizer), max_initial_timestamp=None, **asked
        )
    finally:
        room.log_mel_spectrogram, room.pad_or_trim, type(model).decode = log_mel, pad, decode
    for segment in found["segments"]:
        segment.pop("id")
        segment["start"], segment["end"] = round(segment["start"], 2), round(segment["end"], 2)
        for word in segment.get("words", []):
            word["start"], word["end"], word["probability"] = float(word["start"]), float(word["end"]), round(float(word["probability"]), 6)
    return {"language": found["language"], "text": found["text"], "attempts": attempts, "segments": found["segments"]}
