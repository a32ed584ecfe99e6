"""Which cross-attention heads follow the speech. In: the exported folder. Out: word-time errors of each head and of the chosen ones."""

import argparse
import random
import statistics
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import median_filter

from . import clips, decode, features, grammar, tokens
from .espeak import Espeak


def warp(cost):
    """Dynamic time warping over [tokens, frames] as in openai/whisper: the frame at which each token begins."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    step = np.zeros((rows + 1, columns + 1), np.int8)
    total[0, 0] = 0
    for j in range(1, columns + 1):
        for i in range(1, rows + 1):
            options = (total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
            step[i, j] = best = 0 if options[0] < options[1] and options[0] < options[2] else (1 if options[1] < options[2] else 2)
            total[i, j] = cost[i - 1, j - 1] + options[best]
    step[0, :], step[:, 0] = 2, 1
    i, j, begins = rows, columns, {}
    while i > 0 or j > 0:
        begins[i - 1] = j - 1
        i, j = i - (step[i, j] != 2), j - (step[i, j] != 1)
    return [max(0, begins[k]) for k in range(rows)]


def word_times(weights, owners):
    """(start, end) of each word from [tokens + 1, frames] attention, already cut to the speech's frames."""
    smooth = median_filter((weights - weights.mean(0)) / (weights.std(0) + 1e-6), size=(1, 7), mode="reflect")
    begins = warp(-smooth)
    firsts = [owners.index(n) for n in range(owners[-1] + 1)] + [len(owners)]
    return [(begins[a] * 0.02, begins[b] * 0.02) for a, b in zip(firsts, firsts[1:])]


@torch.no_grad()
def attention(model, tokenizer, samples, label):
    """[layers, heads, text tokens + 1, frames] of one clip in a full window, and the word of each token."""
    encoded, _ = model.encoder(torch.from_numpy(features.window(samples))[None])
    ids, owners = tokens.words_to_tokens(tokenizer, label["text"])
    head = [tokens.SOT, tokens.LANGUAGE[label["language"]], tokens.TRANSCRIBE, tokens.NO_TIMESTAMPS]
    kept = model.decoder(torch.tensor([head + ids + [tokens.EOT]]), encoded, keep_weights=range(model.shape.decoder_layers))[1]
    frames = len(samples) // features.HOP // 2
    scores = torch.stack([kept[layer][0] for layer in sorted(kept)])[:, :, len(head) - 1:-1, :frames]
    return (scores / scores.sum(-1, keepdim=True)).numpy(), owners


def measure(folder, count, seed=11):
    model, tokenizer, settings = decode.load(folder)
    espeak, rng, errors = Espeak(), random.Random(seed), {}
    chosen = [tuple(pair) for pair in settings["alignment_heads"]]
    for n in range(count):
        language = grammar.LANGUAGES[n % 3]
        samples, label = clips.utter(espeak, rng, grammar.draw(rng, language, True), language, n % 2 == 1)
        lead = np.zeros(int(rng.uniform(0, 1.5) * features.RATE), np.float32)
        shift = len(lead) / features.RATE
        scores, owners = attention(model, tokenizer, np.concatenate([lead, samples]), label)
        layers, heads = scores.shape[:2]
        maps = {(l, h): scores[l, h] for l in range(layers) for h in range(heads)}
        maps["chosen"] = np.mean([(maps[p] - maps[p].mean(0)) / (maps[p].std(0) + 1e-6) for p in chosen], 0)
        for name, weights in maps.items():
            times = word_times(weights, owners)
            errors.setdefault(name, []).extend(abs(a - (b + shift)) for got, (_, s, e) in zip(times, label["words"]) for a, b in zip(got, (s, e)))
    return {str(name): {"edges": len(e), "median_s": round(statistics.median(e), 3), "mean_s": round(statistics.mean(e), 3),
                        "within_0.1_s": round(sum(x <= 0.1 for x in e) / len(e), 3)} for name, e in errors.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name, figures in measure(given.folder, given.count).items():
        print(name, figures)
