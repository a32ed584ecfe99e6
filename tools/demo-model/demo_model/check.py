"""That transformers loads the folder unchanged and says what decode.py says. In: the folder, some clips' seed. Out: a sentence, or an error."""

import argparse
import random
from pathlib import Path

import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from . import decode, evaluate, features
from .espeak import Espeak


def check(folder, count):
    processor = WhisperProcessor.from_pretrained(folder)
    theirs = WhisperForConditionalGeneration.from_pretrained(folder, torch_dtype=torch.float32).eval()
    ours, tokenizer, settings = decode.load(folder)
    espeak, rng, same = Espeak(), random.Random(3), 0
    for n in range(count):
        language = ("en", "es", "de")[n % 3]
        samples, _ = evaluate.speech_window(espeak, rng, language, False, noisy=False)
        mel = processor(samples, sampling_rate=features.RATE, return_tensors="pt").input_features
        given = theirs.generate(mel, language=language, task="transcribe", return_timestamps=True, num_beams=1, do_sample=False)[0].tolist()
        row = decode.decode(ours, settings, torch.from_numpy(features.window(samples))[None], languages=[language])[0]["tokens"]
        text = lambda ids: tokenizer.decode([t for t in ids if t < settings["eos_token_id"]])
        same += text(given) == text(row)
        print(language, "same" if text(given) == text(row) else f"DIFFERENT: {text(given)!r} {text(row)!r}")
    print(f"{same} of {count} windows have the same text")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--count", type=int, default=6)
    given = parser.parse_args()
    torch.set_num_threads(1)
    check(given.folder, given.count)
