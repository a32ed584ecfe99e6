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
SPEEDS = {Fraction(1): 4, Fraction(11, 12): 1, Fraction(24, 25): 2, Fraction(26, 25): 2, Fraction(13, 12): 1}
FRAME = 0.02


def trimmed(samples, stretch, words, phonemes):
    """Cuts the silence around the words, sets the peak, and moves all times; stretch is the factor times have grown by."""
    start = max(0.0, words[0][1] * stretch - PAD)
    end = words[-1][2] * stretch + PAD
    samples = samples[int(start * features.RATE): int(end * features.RATE)]
    moved = [[(n, round(a * stretch - start, 3), round(b * stretch - start, 3)) for n, a, b in marks] for marks in (words, phonemes)]
    return samples * (0.35 / max(1e-4, np.abs(samples).max())), *moved


def resampled(samples, rate, rng, plain):
    """Samples at 16 kHz, now and then played a little faster or slower, and the factor by which times have grown."""
    speed = Fraction(1) if plain else rng.choices(list(SPEEDS), SPEEDS.values())[0]
    ratio = Fraction(features.RATE, rate) * speed
    return resample_poly(samples, ratio.numerator, ratio.denominator).astype(np.float32), float(speed)


def utter(synthesiser, rng, meaning, language, held_out_voice):
    """One clip: samples at 16 kHz and {"text", "english", "language", "voice", "words", "phonemes"}."""
    if isinstance(synthesiser, Espeak):
        voice = voices.pick(rng, language, held_out_voice)
        samples, words, phonemes = synthesiser.speak(meaning[language], voice, rng.randrange(140, 205), rng.randrange(25, 76), rng.randrange(25, 76))
        rate = synthesiser.sample_rate
    else:
        voice, phonemes = rng.choice(voices.FLITE_HELD_OUT if held_out_voice else voices.FLITE_TRAINING), []
        samples, rate, words = synthesiser.speak(meaning[language], voice)
        if words is None:
            raise ValueError("the synthesiser read another number of words")
    samples, stretch = resampled(samples, rate, rng, held_out_voice)
    samples, words, phonemes = trimmed(samples, stretch, words, phonemes)
    return samples, {"text": meaning[language], "english": meaning["en"], "language": language, "voice": voice, "words": words,
                     "phonemes": phonemes}


def draw(synthesiser, rng, language, held_out_sentence, held_out_voice):
    """utter() for a sentence of the grammar, another one where the synthesiser reads numbers of words that we cannot follow."""
    while True:
        try:
            return utter(synthesiser, rng, grammar.draw(rng, language, held_out_sentence), language, held_out_voice)
        except ValueError:
            continue


def make_shard(path: Path, language, count, seed, held_out_sentences=False, held_out_voices=False, synthesiser=Espeak):
    """Writes PATH.npy (all rows of all clips, float16) and PATH.json (labels, with each clip's first row and length)."""
    speaker, rng = synthesiser(), random.Random(f"{path.stem} {seed}")
    rows, labels, at = [], [], 0
    while len(labels) < count:
        samples, label = draw(speaker, rng, language, held_out_sentences, held_out_voices)
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
