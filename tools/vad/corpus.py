"""Sounds to measure the detector of speech on. In: a folder. Out: 16 kHz mono samples (name.s16) and truth.json: kind, words with their times.

Needs libespeak-ng and libflite (apt-get install espeak-ng flite) and the Python of tools/demo-model.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

sys.path.insert(0, str(Path(__file__).parents[1] / "demo-model"))
from demo_model import grammar  # noqa: E402
from demo_model.espeak import Espeak  # noqa: E402
from demo_model.flite import Flite  # noqa: E402

RATE = 16000
# synthesiser's voice, language, words a minute
SPEAKERS = [("en-us+f3", "en", 150), ("en+m5", "en", 175), ("en-gb-scotland+klatt4", "en", 200), ("en-us+whisper", "en", 150),
            ("es+m3", "es", 160), ("es-419+f4", "es", 190), ("de+f2", "de", 160), ("de+m7", "de", 180),
            ("slt", "flite", 0), ("rms", "flite", 0), ("awb", "flite", 0), ("kal16", "flite", 0)]
SECONDS = 40
SNR = (20, 10, 5, 0)


def said(espeak, flite, rng, voice, language, rate):
    """One sentence at 16 kHz, trimmed to its words, with their times."""
    while True:
        meaning = grammar.draw(rng, "en" if language == "flite" else language, True)
        text = meaning["en" if language == "flite" else language]
        if language == "flite":
            samples, at, words = flite.speak(text, voice)
        else:
            samples, words, _ = espeak.speak(text, voice, rate)
            at = espeak.sample_rate
        if words:
            break
    samples = resample_poly(samples, RATE, at).astype(np.float32)
    start, end = max(0, int((words[0][1] - 0.03) * RATE)), int((words[-1][2] + 0.03) * RATE)
    return samples[start:end], [(word, a - start / RATE, b - start / RATE) for word, a, b in words]


def take(espeak, flite, rng, voice, language, rate):
    """Sentences of one speaker with pauses of 0.3 to 4 s."""
    pieces, words, at = [], [], 0
    while at < SECONDS * RATE:
        pause = np.zeros(int(rng.choice([0.3, 0.5, 0.8, 1.5, 2.5, 4.0]) * RATE), np.float32)
        samples, times = said(espeak, flite, rng, voice, language, rate)
        at += len(pause)
        words += [(word, round(at / RATE + a, 3), round(at / RATE + b, 3)) for word, a, b in times]
        pieces += [pause, samples * (0.35 / np.abs(samples).max())]
        at += len(samples)
    pieces.append(np.zeros(2 * RATE, np.float32))
    return np.concatenate(pieces), words


def coloured(rng, count, slope):
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.maximum(np.arange(len(spectrum)), 30 * count // RATE)
    return level(np.fft.irfft(spectrum / frequency ** (slope / 2), count), 0)


def hum(rng, count):
    time = np.arange(count) / RATE
    tones = sum(rng.uniform(0.2, 1) / k * np.sin(2 * np.pi * 50 * k * time + rng.uniform(0, 6)) for k in range(1, 12))
    return level(tones + 0.02 * rng.standard_normal(count), 0)


def note(hertz, seconds, vibrato=0.0, partials=(1.0, 0.5, 0.3, 0.2, 0.1), attack=0.01):
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * hertz * time + vibrato * hertz / 6 * np.sin(2 * np.pi * 6 * time)
    envelope = np.minimum(1, time / attack) * np.minimum(1, (seconds - time) / 0.03)
    return sum(a * np.sin((k + 1) * phase) for k, a in enumerate(partials)) * envelope


def music(rng, kind, count):
    scale = [220 * 2 ** (n / 12) for n in (0, 2, 4, 5, 7, 9, 11, 12, 14, 16)]
    pieces, at = [], 0
    while at < count:
        if kind == "beeps":
            piece = np.concatenate([note(rng.choice([440, 1000, 2000]), 0.2, partials=(1,)), np.zeros(int(rng.uniform(0.2, 1) * RATE))])
        elif kind == "melody":
            piece = note(rng.choice(scale), rng.choice([0.15, 0.3, 0.6])) * rng.uniform(0.5, 1)
        elif kind == "chords":
            root = rng.choice(scale)
            piece = sum(note(root * r, 1.5) for r in (1, 1.26, 1.5))
        elif kind == "vibrato":
            piece = note(rng.choice(scale) * 2, rng.uniform(0.5, 2), vibrato=0.03, attack=0.08)
        else:
            # A plucked string and a drum.
            piece = note(rng.choice(scale), 0.25) * np.exp(-np.arange(4000) / 1200)
            drum = rng.standard_normal(4000) * np.exp(-np.arange(4000) / 400)
            piece = piece + drum * (rng.random() < 0.5)
        pieces.append(piece)
        at += len(piece)
    return level(np.concatenate(pieces)[:count], -23)


def clicks(rng, count):
    out = 1e-4 * rng.standard_normal(count)
    for at in rng.integers(0, count - 4000, count // 8000):
        out[at:at + 4000] += rng.standard_normal(4000) * np.exp(-np.arange(4000) / rng.uniform(5, 300)) * rng.uniform(0.1, 1)
    return out


def level(samples, decibels):
    """At a mean power in dB below full scale."""
    return samples * (10 ** (decibels / 20) / np.sqrt(np.mean(np.square(samples))))


def speech_level(samples):
    """Mean power in dB while somebody speaks."""
    frames = np.square(samples[:len(samples) // 320 * 320]).reshape(-1, 320).mean(1)
    return 10 * np.log10(frames[frames > 1e-6].mean())


def write(folder, seed=3):
    folder.mkdir(parents=True, exist_ok=True)
    espeak, flite, rng, dice, truth = Espeak(), Flite(), random.Random(seed), np.random.default_rng(seed), []

    def put(name, kind, samples, words=()):
        (folder / f"{name}.s16").write_bytes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
        truth.append({"file": f"{name}.s16", "kind": kind, "words": list(words)})

    for voice, language, rate in SPEAKERS:
        clean, words = take(espeak, flite, rng, voice, language, rate)
        loud, count = speech_level(clean), len(clean)
        put(f"{voice}-clean", "clean", clean, words)
        for quiet in (-20, -40, -50):
            put(f"{voice}-quiet{quiet}", f"{quiet} dB", clean * 10 ** (quiet / 20), words)
        faint = clean + level(coloured(dice, count, 1), loud - 20)
        put(f"{voice}-faint", "-40 dB, pink 20 dB below", faint * 0.01, words)
        uneven = clean.copy()
        for at in range(0, count, 10 * RATE):
            if at // (10 * RATE) % 2:
                uneven[at:at + 10 * RATE] *= 0.03
        put(f"{voice}-uneven", "every other 10 s -30 dB", uneven + level(coloured(dice, count, 1), loud - 50), words)
        beds = {"white": coloured(dice, count, 0), "pink": coloured(dice, count, 1), "hum": hum(dice, count), "melody": music(dice, "melody", count)}
        for bed, noise in beds.items():
            for snr in SNR:
                put(f"{voice}-{bed}{snr}", f"{bed} {snr} dB", clean + level(noise, loud - snr), words)
    count = 60 * RATE
    put("zero", "digital silence", np.zeros(count))
    for colour, slope in (("white", 0), ("pink", 1), ("brown", 2)):
        for decibels in (-70, -50, -30, -15):
            put(f"{colour}{decibels}", f"{colour} noise {decibels} dB", level(coloured(dice, count, slope), decibels))
    swell = coloured(dice, count, 1) * np.interp(np.arange(count), np.linspace(0, count, 60), dice.uniform(0.05, 1, 60))
    put("swell", "noise that swells", level(swell, -30))
    put("hum", "hum -30 dB", level(hum(dice, count), -30))
    put("clicks", "clicks", clicks(dice, count))
    for kind in ("beeps", "melody", "chords", "vibrato", "plucked"):
        put(kind, f"tones: {kind}", music(dice, kind, count))
    (folder / "truth.json").write_text(json.dumps(truth))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
