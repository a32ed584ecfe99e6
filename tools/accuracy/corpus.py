"""Speech whose truth is exactly known. In: a folder. Out: 16 kHz WAV files and truth.json: texts, languages, segment and word times, gaps.

    .venv-accuracy/bin/python tools/accuracy/corpus.py target/accuracy/corpus

Sentences are of the evaluation side: the demo model was trained on none of them. The same seed gives the same files with the same
version of espeak-ng.
"""

import argparse
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import soundfile

import sounds
from demo_model import clips, features, grammar, voices
from demo_model.espeak import Espeak

SEED = 1
SINGLES, LONGS, MIXED, LONG_SECONDS, QUIET_SECONDS, CALL_SECONDS, CUT_SECONDS = 60, 2, 2, 600, 180, 120, 2400
BETWEEN = ["silence", "room", "loud noise", "hum", "clicks", "beeps"]


class Recording:
    """A file that grows at its end; what is said and what is not keeps its time."""

    def __init__(self, espeak, rng, kind):
        self.espeak, self.rng, self.kind = espeak, rng, kind
        self.pieces, self.length, self.segments, self.words, self.gaps = [], 0, [], [], []

    @property
    def seconds(self):
        return self.length / features.RATE

    def add(self, samples):
        self.pieces.append(samples.astype(np.float32))
        self.length += len(samples)

    def say(self, language, variant, accent=None, decibels=None):
        """An unseen sentence by a voice; `decibels`: how far under it light noise lies, if any."""
        meaning = grammar.draw(self.rng, language, True)
        voice = f"{accent or voices.ACCENTS[language][0]}+{variant}".rstrip("+")
        said, words, _ = self.espeak.speak(meaning[language], voice, self.rng.randrange(145, 195), self.rng.randrange(35, 66), 50)
        said, _ = clips.resampled(said, self.espeak.sample_rate, self.rng, plain=True)
        said, words, _ = clips.trimmed(said, 1.0, words, [])
        said *= 10 ** self.rng.uniform(-0.3, 0)
        if decibels is not None:
            hiss = sounds.make("loud noise", len(said) / features.RATE + 0.01, self.rng.random())[: len(said)]
            said = said + sounds.at_level(hiss, 10 * np.log10(np.mean(said**2)) - decibels)
        at, place = self.seconds, len(self.segments)
        self.words += [{"word": w, "start": round(at + a, 3), "end": round(at + b, 3), "segment": place} for w, a, b in words]
        self.segments.append({"start": round(at + words[0][1], 3), "end": round(at + words[-1][2], 3), "language": language, "voice": voice,
                              "trained_on": variant in voices.TRAINING, "text": meaning[language], "english": meaning["en"],
                              "noise_decibels_under": decibels})  # fmt: skip
        self.add(said)

    def pause(self, seconds):
        self.add(np.zeros(int(seconds * features.RATE)))

    def gap(self, kind, seconds):
        at = self.seconds
        self.add(sounds.make(kind, seconds, self.rng.random()))
        self.gaps.append({"kind": kind, "start": round(at, 3), "end": round(self.seconds, 3)})

    def write(self, folder, name):
        soundfile.write(folder / name, np.concatenate(self.pieces), features.RATE, subtype="PCM_16")
        return self.truth(name)

    def truth(self, name):
        return {"file": name, "kind": self.kind, "duration": round(self.seconds, 3),
                "languages": list(dict.fromkeys(s["language"] for s in self.segments)), "text": " ".join(s["text"] for s in self.segments),
                "segments": self.segments, "words": self.words, "gaps": self.gaps}  # fmt: skip


def single(espeak, rng, language, held_out):
    recording = Recording(espeak, rng, "single")
    recording.pause(rng.uniform(0.2, 0.8))
    recording.say(language, rng.choice(voices.HELD_OUT if held_out else voices.TRAINING), rng.choice(voices.ACCENTS[language]))
    recording.pause(rng.uniform(0.3, 0.8))
    return recording


def long(espeak, rng, languages):
    """Ten minutes: pauses of 0.3 to 8 s; now and then a stretch of 10 to 30 s of silence or noise; light noise under some sentences."""
    recording = Recording(espeak, rng, "long")
    variants, until_gap = rng.sample(voices.TRAINING, 3), rng.randrange(4, 10)
    recording.pause(rng.uniform(0.3, 2))
    while recording.seconds < LONG_SECONDS - 15:
        noisy = rng.random() < 0.25
        recording.say(rng.choice(languages), rng.choice(variants), decibels=rng.uniform(15, 30) if noisy else None)
        recording.pause(rng.choice([rng.uniform(0.3, 1), rng.uniform(0.3, 1), rng.uniform(1, 3), rng.uniform(3, 8)]))
        until_gap -= 1
        if not until_gap and recording.seconds < LONG_SECONDS - 45:
            recording.gap(rng.choice(BETWEEN), rng.uniform(10, 30))
            recording.pause(rng.uniform(0.3, 1))
            until_gap = rng.randrange(4, 10)
    return recording


def cuts(espeak, rng, language):
    """Sentence after sentence with short pauses, so that windows must be cut between words that are near."""
    recording, variants = Recording(espeak, rng, "cuts"), rng.sample(voices.TRAINING, 6)
    while recording.seconds < CUT_SECONDS:
        recording.pause(rng.uniform(0.25, 0.6))
        recording.say(language, rng.choice(variants))
    recording.pause(0.4)
    return recording


def call(espeak, rng, folder):
    """Two speakers on two channels; a turn begins up to a second before the other has ended."""
    sides = [Recording(espeak, rng, "call"), Recording(espeak, rng, "call")]
    speakers, at, side = rng.sample(voices.TRAINING, 2), 0.5, 0
    while at < CALL_SECONDS:
        sides[side].pause(max(0.05, at - sides[side].seconds))
        for _ in range(rng.choice([1, 1, 2])):
            sides[side].say("en", speakers[side])
            sides[side].pause(rng.uniform(0.3, 0.6))
        at = sides[side].segments[-1]["end"] + rng.uniform(-1.0, 0.8)
        side = 1 - side
    last = max(r.seconds for r in sides)
    for recording in sides:
        recording.pause(last - recording.seconds + 0.3)
    shortest = min(r.length for r in sides)
    both = np.stack([np.concatenate(r.pieces)[:shortest] for r in sides], axis=1)
    soundfile.write(folder / "call.wav", both, features.RATE, subtype="PCM_16")
    return sides[0].truth("call.wav") | {
        "duration": round(shortest / features.RATE, 3),
        "channels": [{key: r.truth("")[key] for key in ("text", "segments", "words")} for r in sides],
        "text": "", "segments": [], "words": [],
    }  # fmt: skip


def made_of(seed) -> str:
    """A hash of all that decides what the corpus is, but for the version of espeak-ng."""
    sources = [Path(__file__), Path(sounds.__file__), *sorted(Path(grammar.__file__).parent.glob("*.*"))]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources) + str(seed).encode()).hexdigest()


def write(folder: Path, seed=SEED):
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "made-of"
    if stamp.exists() and stamp.read_text() == made_of(seed):
        print(f"{folder}: is there")
        return
    espeak, truth = Espeak(), []
    for language in grammar.LANGUAGES:
        for place in range(SINGLES):
            rng = random.Random(f"{seed} single {language} {place}")
            truth.append(single(espeak, rng, language, place % 2 == 1).write(folder, f"single-{language}-{place:02}.wav"))
    for language in grammar.LANGUAGES:
        for place in range(LONGS):
            rng = random.Random(f"{seed} long {language} {place}")
            truth.append(long(espeak, rng, [language]).write(folder, f"long-{language}-{place}.wav"))
    for place in range(MIXED):
        rng = random.Random(f"{seed} mixed {place}")
        truth.append(long(espeak, rng, list(grammar.LANGUAGES)).write(folder, f"mixed-{place}.wav"))
    for kind in sounds.KINDS:
        recording = Recording(espeak, random.Random(f"{seed} {kind}"), "quiet")
        recording.gap(kind, QUIET_SECONDS)
        truth.append(recording.write(folder, f"quiet-{kind.replace(' ', '-')}.wav"))
    truth.append(call(espeak, random.Random(f"{seed} call"), folder))
    for language in grammar.LANGUAGES:
        truth.append(cuts(espeak, random.Random(f"{seed} cuts {language}"), language).write(folder, f"cuts-{language}.wav"))
    (folder / "truth.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    stamp.write_text(made_of(seed))
    for kind in dict.fromkeys(t["kind"] for t in truth):
        files = [t for t in truth if t["kind"] == kind]
        print(f"{kind}: {len(files)} files, {sum(t['duration'] for t in files) / 60:.1f} minutes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    write(given.folder, given.seed)
