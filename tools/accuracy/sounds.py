"""Sounds without speech. In: a kind, seconds, a seed. Out: samples at 16 kHz, whose level the kind decides."""

import random
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo-model"))

from demo_model import features, noise  # noqa: E402

SCALE = [0, 2, 4, 5, 7, 9, 11, 12]


def long_enough(make, seconds):
    """The 30-s pieces of demo_model.noise, one after the other."""
    wanted, pieces = int(seconds * features.RATE), []
    while sum(map(len, pieces)) < wanted:
        pieces.append(make())
    return np.concatenate(pieces)[:wanted]


def at_level(samples, decibels):
    """Scaled to a root mean square so many decibels below full scale."""
    return samples / max(1e-9, np.sqrt(np.mean(samples**2))) * 10 ** (decibels / 20)


def notes(rng, seconds, voices):
    """Tones of a major scale with two overtones, one after the other (a melody) or several at once (chords)."""
    out, at = np.zeros(int(seconds * features.RATE)), 0
    base = rng.uniform(180, 400)
    while at < len(out):
        length = min(int(rng.choice([0.2, 0.3, 0.4, 0.6, 0.8]) * features.RATE), len(out) - at)
        time = np.arange(length) / features.RATE
        first = rng.randrange(len(SCALE))
        for step in range(voices):
            pitch = base * 2 ** (SCALE[(first + 2 * step) % len(SCALE)] / 12)
            tone = sum(np.sin(2 * np.pi * pitch * k * time) / k**1.5 for k in (1, 2, 3))
            out[at : at + length] += tone * np.exp(-time * 3) * np.minimum(1, time * 100)
        at += length
    return out


def make(kind, seconds, seed):
    rng = random.Random(f"{kind} {seed}")
    made = np.random.default_rng(rng.randrange(1 << 30))
    sounds = {
        "silence": lambda: np.zeros(int(seconds * features.RATE)),
        "faint room": lambda: at_level(long_enough(lambda: noise.coloured(made, 1.0), seconds), -70),
        "room": lambda: at_level(long_enough(lambda: noise.coloured(made, 1.3), seconds), -50),
        "loud noise": lambda: at_level(long_enough(lambda: noise.coloured(made, made.uniform(0, 1.5)), seconds), -25),
        "fan": lambda: at_level(long_enough(lambda: noise.band(made), seconds), -35),
        "hum": lambda: at_level(long_enough(lambda: noise.hum(made), seconds), -30),
        "clicks": lambda: at_level(long_enough(lambda: noise.clicks(made), seconds), -35),
        "beeps": lambda: at_level(long_enough(lambda: noise.tones(made), seconds), -25),
        "melody": lambda: at_level(notes(rng, seconds, 1), -22),
        "chords": lambda: at_level(notes(rng, seconds, 3), -22),
    }
    return np.clip(sounds[kind](), -1, 1).astype(np.float32)


KINDS = ["silence", "faint room", "room", "loud noise", "fan", "hum", "clicks", "beeps", "melody", "chords"]
