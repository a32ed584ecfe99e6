"""Which cross-attention heads follow the speech. In: the exported folder. Out: word-time errors of each head and of the chosen ones."""

import argparse
import itertools
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
    total, steps = [0.0] + [np.inf] * columns, []
    for values in cost.tolist():
        row, taken = [np.inf], [0]
        for j, value in enumerate(values):
            diagonal, up, left = total[j], total[j + 1], row[j]
            best = 0 if diagonal < up and diagonal < left else (1 if up < left else 2)
            taken.append(best)
            row.append(value + (diagonal, up, left)[best])
        total = row
        steps.append(taken)
    i, j, begins = rows, columns, [0] * rows
    while i > 0 and j > 0:
        begins[i - 1] = j - 1
        step = steps[i - 1][j]
        i, j = i - (step != 2), j - (step != 1)
    return begins


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


def spoken(model, tokenizer, count, seed=11):
    """Attention, token owners and true word times of some clips, half of them by voices held out."""
    espeak, rng, out = Espeak(), random.Random(seed), []
    for n in range(count):
        language = grammar.LANGUAGES[n % 3]
        samples, label = clips.utter(espeak, rng, grammar.draw(rng, language, True), language, n % 2 == 1)
        lead = np.zeros(int(rng.uniform(0, 0.5) * features.RATE), np.float32)
        shift = len(lead) / features.RATE
        out.append((*attention(model, tokenizer, np.concatenate([lead, samples]), label), [(a + shift, b + shift) for _, a, b in label["words"]]))
    return out


def figures(recorded, heads):
    """Errors of word times when these heads are averaged."""
    errors = []
    for scores, owners, true in recorded:
        maps = [scores[layer, head] for layer, head in heads]
        mixed = np.mean([(m - m.mean(0)) / (m.std(0) + 1e-6) for m in maps], 0)
        errors += [abs(a - b) for got, said in zip(word_times(mixed, owners), true) for a, b in zip(got, said)]
    return {"edges": len(errors), "median_s": round(float(statistics.median(errors)), 3), "mean_s": round(float(np.mean(errors)), 3),
            "within_0.1_s": round(float(np.mean(np.array(errors) <= 0.1)), 3)}


def measure(folder, count):
    """Prints every head, then the sets among the best five; returns the best set."""
    model, tokenizer, settings = decode.load(folder)
    recorded = spoken(model, tokenizer, count)
    layers, heads = recorded[0][0].shape[:2]
    single = {((layer, head),): None for layer in range(layers) for head in range(heads)}
    for one in single:
        single[one] = figures(recorded, one)
        print(one, single[one], flush=True)
    best = [one[0] for one in sorted(single, key=lambda one: single[one]["mean_s"])[:5]]
    sets = {some: figures(recorded, some) for size in (2, 3) for some in itertools.combinations(best, size)} | single
    for some in sorted(sets, key=lambda some: sets[some]["mean_s"])[:6]:
        print(some, sets[some])
    chosen = tuple(tuple(pair) for pair in settings["alignment_heads"])
    print("recorded in the folder:", chosen, figures(recorded, chosen))
    return min(sets, key=lambda some: sets[some]["mean_s"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("best:", measure(given.folder, given.count))
