"""Short recordings for the project's tests. In: a folder. Out: wav and flac files of sentences never trained on, and truth.json."""

import argparse
import json
import random
from pathlib import Path

import numpy as np
import soundfile

from . import clips, features, grammar, voices
from .espeak import Espeak

# file, language, accent and variant, sentences, longest pause in seconds
WANTED = [
    ("english.wav", "en", "en-us+f3", 2, 1.0),
    ("english-other-voice.wav", "en", "en+m5", 1, 0.5),  # a voice the model was not trained on
    ("spanish.wav", "es", "es+m3", 2, 1.0),
    ("german.wav", "de", "de+f2", 2, 1.0),
    ("english-long.mp3", "en", "en-us+m2", 19, 2.4),
]


def recording(espeak, rng, language, voice, count, pause):
    """Samples of some sentences by one voice, and their truth."""
    samples, segments, words = np.zeros(int(0.4 * features.RATE), np.float32), [], []
    for _ in range(count):
        meaning = grammar.draw(rng, language, True)
        while len(meaning[language].split()) < 6:
            meaning = grammar.draw(rng, language, True)
        said, times, _ = espeak.speak(meaning[language], voice, 160)
        said, _ = clips.resampled(said, espeak.sample_rate, rng, plain=True)
        said, times, _ = clips.trimmed(said, 1.0, times, [])
        at = len(samples) / features.RATE
        moved = [{"word": w, "start": round(at + a, 2), "end": round(at + b, 2)} for w, a, b in times]
        words += moved
        segments.append({"start": moved[0]["start"], "end": moved[-1]["end"], "text": meaning[language], "english": meaning["en"]})
        samples = np.concatenate([samples, said, np.zeros(int(rng.uniform(0.6, max(0.7, pause)) * features.RATE), np.float32)])
    return samples.astype(np.float32), segments, words


def write(folder, seed=21):
    folder.mkdir(parents=True, exist_ok=True)
    espeak, rng, truth = Espeak(), random.Random(seed), []
    for name, language, voice, count, pause in WANTED:
        samples, segments, words = recording(espeak, rng, language, voice, count, pause)
        soundfile.write(folder / name, samples, features.RATE, **({} if name.endswith("mp3") else {"subtype": "PCM_16"}))
        truth.append({"file": name, "language": language, "voice": voice, "voice_trained_on": voice.split("+")[1] in voices.TRAINING,
                      "duration": round(len(samples) / features.RATE, 3), "text": " ".join(s["text"] for s in segments),
                      "translation": " ".join(s["english"] for s in segments), "segments": segments, "words": words})
    (folder / "truth.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    write(parser.parse_args().folder)
