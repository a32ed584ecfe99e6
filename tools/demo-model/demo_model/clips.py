"""Single spoken sentences, made once. In: a language, a side (train or eval), a seed. Out: shards of log-mel rows and their labels."""

import json
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from . import features, grammar, voices
from .espeak import Espeak

PAD = 0.06  # seconds kept before the first and after the last word
SPEEDS = {Fraction(320, 441): 4, Fraction(2, 3): 1, Fraction(16, 23): 2, Fraction(40, 53): 2, Fraction(29, 37): 1}
FRAME = 0.02


def utter(espeak, rng, meaning, language, held_out_voice):
    """One clip: samples at 16 kHz and {"text", "english", "language", "voice", "words", "phonemes"}."""
    voice = voices.pick(rng, language, held_out_voice)
    rate = rng.randrange(140, 205)
    samples, words, phonemes = espeak.speak(meaning[language], voice, rate, rng.randrange(25, 76), rng.randrange(25, 76))
    plain = Fraction(320, 441)
    ratio = plain if held_out_voice else rng.choices(list(SPEEDS), SPEEDS.values())[0]
    samples = resample_poly(samples, ratio.numerator, ratio.denominator).astype(np.float32)
    stretch = float(ratio / plain) * espeak.sample_rate / 22050
    start = max(0.0, words[0][1] * stretch - PAD)
    end = words[-1][2] * stretch + PAD
    samples = samples[int(start * features.RATE): int(end * features.RATE)]
    samples *= 0.35 / max(1e-4, np.abs(samples).max())
    moved = [(w, round(a * stretch - start, 3), round(b * stretch - start, 3)) for w, a, b in words]
    label = {"text": meaning[language], "english": meaning["en"], "language": language, "voice": voice, "words": moved,
             "phonemes": [(p, round(a * stretch - start, 3), round(b * stretch - start, 3)) for p, a, b in phonemes]}
    return samples, label


def make_shard(path: Path, language, count, seed, held_out_sentences=False, held_out_voices=False):
    """Writes PATH.npy (all rows of all clips, float16) and PATH.json (labels, with each clip's first row and length)."""
    espeak, rng = Espeak(), random.Random(f"{path.stem} {seed}")
    rows, labels, at = [], [], 0
    while len(labels) < count:
        try:
            samples, label = utter(espeak, rng, grammar.draw(rng, language, held_out_sentences), language, held_out_voices)
        except ValueError:
            continue
        if not 0.3 < len(samples) / features.RATE < 12:
            continue
        raw = features.log_mel(samples).astype(np.float16)
        labels.append({**label, "first": at, "rows": len(raw)})
        rows.append(raw)
        at += len(raw)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path.with_suffix(".npy"), np.concatenate(rows))
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(labels, ensure_ascii=False))
    temporary.rename(path.with_suffix(".json"))
