"""Harder recordings for the project's tests. In: a folder. Out: FLAC files of unseen sentences with gaps, noise or several languages, and more.json."""

import argparse
import json
import random
from pathlib import Path

import numpy as np
import soundfile

from . import clips, features, grammar, noise, voices
from .espeak import Espeak

# file, seed, (language, voice) of each sentence in turn, seconds of pause after each, signal to noise in decibels (None: no noise)
SHORT = [
    ("mixed.flac", 3, [("en", "en-us+f3"), ("es", "es+m3"), ("de", "de+f2"), ("en", "en-us+f3")], (0.9, 1.6), None),
    ("noisy.flac", 8, [("en", "en-us+m2")] * 2, (0.6, 1.2), 3),  # beams disagree
    ("loud-noise.flac", 5, [("en", "en-us+m2")] * 2, (0.6, 1.2), -4),  # and here they end far apart
    ("drowned.flac", 5, [("en", "en-us+m2")] * 2, (0.6, 1.2), -9),  # guesses, called no speech
]
REPEATED = ("repeated.flac", "Turn off the light in the kitchen.", "en-us+f2", 11, 0.35)
LONG = ("long.flac", 13, "en-us+m2", 21, (1.0, 6.0))
# After which sentence of LONG, seconds, peak of pink noise (0: digital silence).
GAPS = {6: (12.0, 0.0), 13: (12.0, 0.05)}


class Take:
    """A recording that grows by sentences and pauses, and knows when each word was said."""

    def __init__(self, espeak, rng):
        self.espeak, self.rng = espeak, rng
        self.samples, self.segments, self.words, self.voices = np.zeros(int(0.4 * features.RATE), np.float32), [], [], []

    def say(self, meaning, language, voice):
        said, times, _ = self.espeak.speak(meaning[language], voice, 160)
        said, _ = clips.resampled(said, self.espeak.sample_rate, self.rng, plain=True)
        said, times, _ = clips.trimmed(said, 1.0, times, [])
        at = len(self.samples) / features.RATE
        moved = [{"word": w, "start": round(at + a, 2), "end": round(at + b, 2)} for w, a, b in times]
        self.words += moved
        self.segments.append({"start": moved[0]["start"], "end": moved[-1]["end"], "language": language, "text": meaning[language],
                              "english": meaning["en"]})
        self.voices += [voice] * (voice not in self.voices)
        self.samples = np.concatenate([self.samples, said])

    def draw(self, language, voice):
        """say() for a sentence of at least six words from the evaluation side."""
        meaning = grammar.draw(self.rng, language, True)
        while len(meaning[language].split()) < 6:
            meaning = grammar.draw(self.rng, language, True)
        self.say(meaning, language, voice)

    def pause(self, seconds):
        self.samples = np.concatenate([self.samples, np.zeros(int(seconds * features.RATE), np.float32)])

    def hiss(self, seconds, peak):
        """Pink noise alone."""
        made = noise.coloured(np.random.default_rng(self.rng.randrange(1 << 30)), 1)[: int(seconds * features.RATE)]
        self.samples = np.concatenate([self.samples, (made / np.abs(made).max() * peak).astype(np.float32)])

    def under(self, decibels):
        """Pink noise under everything, so many decibels below the speech."""
        made = noise.coloured(np.random.default_rng(self.rng.randrange(1 << 30)), 1)[: len(self.samples)]
        spoken = np.mean(self.samples[np.abs(self.samples) > 0.01] ** 2)
        made *= np.sqrt(spoken / 10 ** (decibels / 10) / np.mean(made**2))
        self.samples = np.clip(self.samples + made, -1, 1).astype(np.float32)

    def write(self, folder, name):
        soundfile.write(folder / name, self.samples, features.RATE, subtype="PCM_16")
        languages = list(dict.fromkeys(s["language"] for s in self.segments))
        return {"file": name, "languages": languages, "voices": self.voices,
                "voices_trained_on": all(v.split("+")[1] in voices.TRAINING for v in self.voices),
                "duration": round(len(self.samples) / features.RATE, 3), "text": " ".join(s["text"] for s in self.segments),
                "segments": self.segments, "words": self.words}


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    espeak, truth = Espeak(), []
    for name, seed, speakers, pauses, decibels in SHORT:
        take = Take(espeak, random.Random(seed))
        for language, voice in speakers:
            take.draw(language, voice)
            take.pause(take.rng.uniform(*pauses))
        if decibels is not None:
            take.under(decibels)
        truth.append(take.write(folder, name))
    name, text, voice, count, pause = REPEATED
    take = Take(espeak, random.Random(0))
    for _ in range(count):
        take.say({"en": text}, "en", voice)
        take.pause(pause)
    truth.append(take.write(folder, name))
    name, seed, voice, count, pauses = LONG
    take = Take(espeak, random.Random(seed))
    for place in range(count):
        take.draw("en", voice)
        take.pause(take.rng.uniform(*pauses))
        if place in GAPS:
            take.hiss(*GAPS[place])
    truth.append(take.write(folder, name))
    (folder / "more.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    write(parser.parse_args().folder)
