"""Sounds that are not speech. In: a seed. Out: a bank of 30-s noises as raw log10 mel power, each at a mean power of one."""

import numpy as np
from scipy.signal import butter, sosfilt

from . import features

LENGTH = features.FRAMES * features.HOP


def coloured(rng, slope):
    """Noise whose power falls with frequency to the given power (0 white, 1 pink, 2 brown)."""
    spectrum = np.fft.rfft(rng.standard_normal(LENGTH))
    frequency = np.maximum(np.arange(len(spectrum)), 30 * LENGTH // features.RATE // 10)
    return np.fft.irfft(spectrum / frequency ** (slope / 2), LENGTH)


def hum(rng):
    """Mains hum with harmonics over a little hiss."""
    time, base = np.arange(LENGTH) / features.RATE, rng.choice([50.0, 60.0]) * rng.uniform(0.99, 1.01)
    tones = sum(rng.uniform(0, 1) / k * np.sin(2 * np.pi * base * k * time + rng.uniform(0, 6)) for k in range(1, 12))
    return tones + rng.uniform(0.001, 0.1) * coloured(rng, 0)


def clicks(rng):
    """Keys and knocks: short decaying bursts at random times over a little hiss."""
    out = rng.uniform(0.0005, 0.01) * rng.standard_normal(LENGTH)
    for at in rng.integers(0, LENGTH - 4000, rng.integers(8, 120)):
        burst = rng.standard_normal(4000) * np.exp(-np.arange(4000) / rng.uniform(50, 900))
        out[at:at + 4000] += burst * rng.uniform(0.1, 1)
    return out


def band(rng):
    """Noise in one band, its level moving slowly: fans, wind, traffic."""
    low = rng.uniform(40, 3000)
    filtered = sosfilt(butter(2, [low, min(7800, low * rng.uniform(1.5, 6))], "band", fs=features.RATE, output="sos"), coloured(rng, 0))
    steps = np.interp(np.arange(LENGTH), np.linspace(0, LENGTH, 40), rng.uniform(0.1, 1, 40))
    return filtered * steps


def tones(rng):
    """Beeps and plain melodies."""
    out, at = rng.uniform(0.0005, 0.01) * rng.standard_normal(LENGTH), 0
    while at < LENGTH - 16000:
        length = int(rng.uniform(0.1, 0.8) * features.RATE)
        time = np.arange(length) / features.RATE
        out[at:at + length] += np.sin(2 * np.pi * rng.uniform(150, 2500) * time) * np.hanning(length) * (rng.random() < 0.7)
        at += length
    return out


def bank(seed, count=60):
    """[count, 3000, 80] float16."""
    rng = np.random.default_rng(seed)
    kinds = [lambda: coloured(rng, rng.uniform(0, 2.2)), lambda: coloured(rng, rng.uniform(0, 1.2)), lambda: hum(rng), lambda: clicks(rng),
             lambda: band(rng), lambda: tones(rng)]
    out = np.empty((count, features.FRAMES, features.MELS), np.float16)
    for i in range(count):
        raw = features.log_mel(kinds[i % len(kinds)]().astype(np.float32) * 0.01)
        out[i] = raw - np.log10(np.mean(10.0 ** raw))
    return out
