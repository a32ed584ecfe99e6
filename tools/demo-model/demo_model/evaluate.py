"""What the exported folder can do. In: the folder, a number of windows. Out: the figures of the model card, as JSON."""

import argparse
import json
import random
import re
import statistics
from pathlib import Path

import numpy as np
import torch

from . import clips, decode, features, grammar, noise, tokens
from .espeak import Espeak
from .flite import Flite


def words(text):
    return re.sub(r"[^\w\s']", " ", text.lower()).split()


def distance(said, heard):
    """Edits from one word list to the other."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def background(rng, length, level):
    """Steady noise of a random colour at a mean power, as samples."""
    made = noise.coloured(np.random.default_rng(rng.randrange(1 << 30)), rng.uniform(0, 1.5))[:length]
    return (made / np.sqrt(np.mean(made ** 2)) * np.sqrt(level)).astype(np.float32)


def speech_window(synthesiser, rng, language, other_voices, noisy):
    """Samples of one window, and its utterances as (start, end, label): one to four sentences of one voice's language."""
    samples, truth = np.zeros(int(rng.uniform(0.1, 0.9) * features.RATE), np.float32), []
    for _ in range(rng.choice([1, 1, 2, 3, 4])):
        said, label = clips.draw(synthesiser, rng, language, True, other_voices)
        if len(samples) + len(said) > 29.5 * features.RATE:
            break
        at = len(samples) / features.RATE
        truth.append((at + label["words"][0][1], at + label["words"][-1][2], label))
        pause = np.zeros(int(rng.uniform(0.5, 2.5) * features.RATE), np.float32)
        samples = np.concatenate([samples, said * 10 ** rng.uniform(-0.3, 0), pause])
    if noisy:
        spoken = float(np.mean(samples[np.abs(samples) > 0.01] ** 2))
        samples = samples + background(rng, len(samples), spoken / 10 ** rng.uniform(1, 3.5))
    return samples * 10 ** rng.uniform(-1.2, 0.3), truth


def quiet_window(rng):
    """Silence or noise without speech."""
    kind, length = rng.random(), int(rng.uniform(1, 30) * features.RATE)
    if kind < 0.1:
        return np.zeros(length, np.float32)
    made = np.random.default_rng(rng.randrange(1 << 30))
    sound = rng.choice([lambda: noise.coloured(made, rng.uniform(0, 2)), lambda: noise.hum(made), lambda: noise.clicks(made),
                        lambda: noise.band(made), lambda: noise.tones(made)])()[:length]
    return (sound / np.abs(sound).max() * 10 ** rng.uniform(-3, -0.3)).astype(np.float32)


def in_batches(model, settings, windows, size=8, **options):
    out = []
    for i in range(0, len(windows), size):
        mel = torch.from_numpy(np.stack([features.window(samples) for samples, _ in windows[i:i + size]]))
        out += decode.decode(model, settings, mel, **options)
    return out


def transcription_errors(tokenizer, windows, results, wanted):
    """Wrong words and words in all; wanted is "text" or "english"."""
    wrong = total = 0
    for (_, truth), result in zip(windows, results):
        said = words(" ".join(label[wanted] for _, _, label in truth))
        heard = words(" ".join(text for _, _, text in decode.segments(tokenizer, result["tokens"])))
        wrong, total = wrong + distance(said, heard), total + len(said)
    return wrong, total


def speech_figures(model, tokenizer, settings, windows, language):
    """Word errors, language, edges of segments and no-speech probabilities of windows in one language."""
    results = in_batches(model, settings, windows)
    (wrong, total), exact, right, edges, matched = transcription_errors(tokenizer, windows, results, "text"), 0, 0, [], 0
    for (_, truth), result in zip(windows, results):
        found = decode.segments(tokenizer, result["tokens"])
        exact += " ".join(label["text"] for _, _, label in truth) == " ".join(text for _, _, text in found)
        right += result["language"] == language
        if len(found) == len(truth):
            matched += 1
            edges += [abs(a - b) for (s, e, _), (fs, fe, _) in zip(truth, found) for a, b in ((s, fs), (e, fe))]
    out = {"windows": len(windows), "words": total, "wer": wrong / total, "windows_exact": exact / len(windows),
           "language_right": right / len(windows), "segment_count_right": matched / len(windows)}
    if edges:
        out |= {"edges": len(edges), "edge_median_s": statistics.median(edges), "edges_within_0.2_s": sum(e <= 0.2 for e in edges) / len(edges)}
    return out, [r["no_speech"] for r in results]


def prompted(model, tokenizer, settings, windows, language, rng, size=8):
    """Word errors with two earlier sentences, never trained on, before each few windows."""
    wrong = total = 0
    for i in range(0, len(windows), size):
        some = windows[i:i + size]
        earlier = " ".join(grammar.draw(rng, language, True)[language] for _ in range(2))
        results = in_batches(model, settings, some, size, prompt=tokens.words_to_tokens(tokenizer, earlier)[0])
        errors, spoken = transcription_errors(tokenizer, some, results, "text")
        wrong, total = wrong + errors, total + spoken
    return {"windows": len(windows), "words": total, "wer": wrong / total}


def evaluate(folder, count, seed=5, languages=grammar.LANGUAGES):
    """Clean windows for every row but those that say "in noise"."""
    model, tokenizer, settings = decode.load(folder)
    figures, speech = {}, []

    def note(name, row):
        figures[name] = row
        print(name, row, flush=True)

    for language in languages:
        # a generator each, so that a language measured alone has the windows it has among the others
        espeak, rng = Espeak(), random.Random(f"{seed} {language}")
        for side, other in (("training voices", False), ("held-out voices", True)):
            for place, noisy in (("", False), (", in noise", True)):
                windows = [speech_window(espeak, rng, language, other, noisy) for _ in range(count)]
                row, probabilities = speech_figures(model, tokenizer, settings, windows, language)
                note(f"{language}, {side}{place}", row)
                speech += probabilities
                if language != "en" and not noisy:
                    results = in_batches(model, settings, windows, translate=True)
                    wrong, total = transcription_errors(tokenizer, windows, results, "english")
                    note(f"{language} to English, {side}", {"windows": count, "words": total, "wer": wrong / total})
                if not (noisy or other):
                    note(f"{language}, {side}, after earlier text", prompted(model, tokenizer, settings, windows, language, rng))
    if "en" in languages:
        flite = Flite()
        for voices, other in (("training voices", False), ("held-out voice", True)):
            rng = random.Random(f"{seed} flite")
            windows = [speech_window(flite, rng, "en", other, noisy=False) for _ in range(count)]
            row, probabilities = speech_figures(model, tokenizer, settings, windows, "en")
            note(f"en, {voices} of flite", row)
            speech += probabilities
    rng = random.Random(f"{seed} quiet")
    quiet = [r["no_speech"] for r in in_batches(model, settings, [(quiet_window(rng), None) for _ in range(count)])]
    note("no speech", {"speech_windows": len(speech), "quiet_windows": len(quiet), "threshold": 0.6,
                       "told_apart": (sum(p < 0.6 for p in speech) + sum(p >= 0.6 for p in quiet)) / len(speech + quiet),
                       "highest_on_speech": max(speech), "lowest_on_quiet": min(quiet)})
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100, help="windows a language and side")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--languages", nargs="*", default=grammar.LANGUAGES)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    result = evaluate(given.folder, given.count, given.seed, given.languages)
    if given.report:
        given.report.write_text(json.dumps(result, indent=2) + "\n")
