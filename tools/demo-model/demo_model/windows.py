"""Training windows out of clips. In: loaded clips and a stage's settings. Out: log-mel cuts of the 30-s frame with tokens and labels."""

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import features, noise, phrases, tokens
from .espeak import PAUSES

STEP = 2  # mel rows to one encoder position of 20 ms
IGNORED = -100


@dataclass
class Stage:
    """One part of the curriculum; shares and probabilities are between 0 and 1."""
    name: str
    steps: int
    rate: float                 # learning rate at the stage's beginning
    until: float                # and at its end
    languages: dict = field(default_factory=lambda: {"en": 0.36, "es": 0.32, "de": 0.32})
    several: float = 0.0        # windows with more than one utterance
    seconds: float = 8.0        # the longest window with several
    margin: float = 0.3         # the longest silence before and after
    anywhere: bool = False      # cuts start anywhere in the frame, else at its beginning
    timestamps: float = 0.0
    noisy: float = 0.0
    translate: float = 0.0
    prompt: float = 0.0
    silent: float = 0.0
    full: float = 0.0           # windows computed over the whole padded frame
    rest: float = 0.0           # batches whose silent remainder of the frame is stood in for by a sample
    guide: float = 0.3
    phonemes: float = 0.5
    rows: int = 4000            # mel rows a batch and worker


class Clips:
    """All training clips, as memory-mapped rows and labels, by language."""

    def __init__(self, folder: Path, pattern="*-train-*.json"):
        self.by_language = {}
        for path in sorted(Path(folder).glob(pattern)):
            rows = np.load(path.with_suffix(".npy"), mmap_mode="r")
            for label in json.loads(path.read_text()):
                self.by_language.setdefault(label["language"], []).append((rows, label))

    def phoneme_names(self):
        names = sorted({p for clips in self.by_language.values() for _, label in clips for p, _, _ in label["phonemes"]} - set(PAUSES))
        return {name: i + 1 for i, name in enumerate(names)}


def warp_matrix(factor):
    """Moves the spectrum along the mel axis: a longer or shorter vocal tract."""
    at = np.clip(np.arange(80) * factor, 0, 79)
    low = np.minimum(at.astype(int), 78)
    matrix = np.zeros((80, 80), np.float32)
    matrix[low, np.arange(80)] = 1 - (at - low)
    matrix[low + 1, np.arange(80)] += at - low
    return matrix


WARPS = [warp_matrix(f) for f in np.linspace(0.92, 1.08, 9)]


class Maker:
    """Draws windows of a stage. Its own numpy generator makes a run repeatable."""

    def __init__(self, clips, tokenizer, phonemes, seed):
        self.clips, self.tokenizer, self.phonemes = clips, tokenizer, phonemes
        self.rng = np.random.default_rng(seed)
        self.noises = noise.bank(1)

    def window(self, stage):
        rng = self.rng
        if rng.random() < stage.silent:
            return self.silence(stage)
        language = rng.choice(list(stage.languages), p=list(stage.languages.values()))
        chosen = self.choose(stage, language)
        # mostly little silence, which costs time and teaches little
        margin = lambda: int(rng.uniform(4, max(5, (stage.margin if rng.random() < 0.2 else min(0.4, stage.margin)) * 100)))
        rows, placed, at = [], [], margin()
        rows.append(np.full((at, 80), features.SILENCE, np.float32))
        for raw, label in chosen:
            placed.append((at, label))
            rows.append(self.coloured(np.asarray(raw[label["first"]:label["first"] + label["rows"]], np.float32)))
            gap = margin() if label is chosen[-1][1] else int(rng.uniform(25, 60) if rng.random() < 0.7 else rng.uniform(40, 300))
            rows.append(np.full((gap, 80), features.SILENCE, np.float32))
            at += label["rows"] + gap
        rows = np.concatenate(rows)[:features.FRAMES]
        placed = [(first, label) for first, label in placed if first + label["rows"] <= len(rows)]
        if not placed:
            return self.window(stage)
        rows = rows[:len(rows) // STEP * STEP]
        if rng.random() < stage.noisy:
            rows = self.with_noise(rows)
        return self.labelled(stage, rows, placed, language)

    def choose(self, stage, language):
        pool, rng = self.clips.by_language[language], self.rng
        chosen = [pool[rng.integers(len(pool))]]
        if rng.random() < stage.several:
            limit = rng.uniform(4, stage.seconds) * 100
            length = chosen[0][1]["rows"]
            while len(chosen) < 12:
                clip = pool[rng.integers(len(pool))]
                length += clip[1]["rows"] + 80
                if length > limit:
                    break
                chosen.append(clip)
        return chosen

    def coloured(self, raw):
        """Another throat, another microphone, another distance."""
        rng = self.rng
        if rng.random() < 0.5:
            raw = raw @ WARPS[rng.integers(len(WARPS))]
        if rng.random() < 0.5:
            x = np.linspace(-1, 1, 80)
            raw = raw + (rng.normal(0, 0.2) * x + rng.normal(0, 0.15) * np.cos(np.pi * x * rng.uniform(0.5, 3))).astype(np.float32)
        return np.maximum(raw + rng.uniform(-1.5, 0.4), features.SILENCE).astype(np.float32)

    def with_noise(self, rows):
        rng = self.rng
        loud = rows[rows.max(1) > rows.max() - 3]
        level = np.log10(np.mean(10.0 ** loud)) - rng.uniform(0.7, 4.5)
        start = rng.integers(features.FRAMES - len(rows) + 1)
        added = self.noises[rng.integers(len(self.noises)), start:start + len(rows)].astype(np.float32) + level
        return np.maximum(np.log10(10.0 ** rows + 10.0 ** added), features.SILENCE).astype(np.float32)

    def silence(self, stage):
        rng = self.rng
        length = int(rng.uniform(50, 500)) * STEP
        rows = np.full((length, 80), features.SILENCE, np.float32)
        if rng.random() < 0.85:
            start = rng.integers(features.FRAMES - length + 1)
            rows = self.noises[rng.integers(len(self.noises)), start:start + length].astype(np.float32) + rng.uniform(-6, 0)
            rows = np.maximum(rows, features.SILENCE)
        item = self.placed_in_frame(stage, rows)
        item.update(ids=[tokens.SOT, tokens.NO_SPEECH], loss_from=0, spans=[None],
                    phonemes=np.zeros(len(item["mel"]) // STEP, np.int64))
        return item

    def placed_in_frame(self, stage, rows):
        mel = features.normalised(rows)
        most = (features.FRAMES - len(mel)) // STEP
        offset = int(self.rng.integers(most + 1)) if stage.anywhere and self.rng.random() < 0.7 else 0
        if stage.full and self.rng.random() < stage.full:
            whole = np.full((features.FRAMES, 80), (max(rows.max() - 8, features.SILENCE) + 4) / 4, np.float32)
            # in a real frame speech begins near its start, unless silence was recorded before it
            offset = int(self.rng.integers(most + 1)) if self.rng.random() < 0.2 else 0
            whole[offset * STEP:offset * STEP + len(mel)] = mel
            return {"mel": whole, "offset": 0, "moved": offset}
        return {"mel": mel, "offset": offset, "moved": 0}

    def labelled(self, stage, rows, placed, language):
        """The token sequence, the 20-ms span each position should look at, and a phoneme for each 20 ms."""
        rng = self.rng
        item = self.placed_in_frame(stage, rows)
        translate = language != "en" and rng.random() < stage.translate
        timed = rng.random() < stage.timestamps
        ids, spans = [], []  # spans[i]: where ids[i] is heard
        if rng.random() < stage.prompt:
            ids += self.previous(translate, language)
            spans += [None] * len(ids)
        start = len(ids)
        head = [tokens.SOT, tokens.LANGUAGE[language], tokens.TRANSLATE if translate else tokens.TRANSCRIBE]
        head += [] if timed else [tokens.NO_TIMESTAMPS]
        ids += head
        spans += [None] * len(head)
        phonemes = np.zeros(len(item["mel"]) // STEP, np.int64)
        to_position = lambda first, seconds: (first / STEP + seconds * 50) + item["moved"]
        for first, label in placed:
            begin, end = (to_position(first, label["words"][i][j]) for i, j in ((0, 1), (-1, 2)))
            if timed:
                ids.append(tokens.TIMESTAMP + min(1500, round(begin + item["offset"])))
                spans.append((begin - 2, begin + 3))
            pieces, owners = self.pieces(label["english"] if translate else label["text"])
            ids += pieces
            spans += (self.translated if translate else self.shares)(label, pieces, owners, lambda s, first=first: to_position(first, s))
            if timed:
                ids.append(tokens.TIMESTAMP + min(1500, round(end + item["offset"])))
                spans.append((end - 3, end + 2))
            if not label["phonemes"]:  # a synthesiser that does not tell
                phonemes[max(0, round(begin)):max(0, round(end))] = IGNORED
            for name, a, b in label["phonemes"]:
                if name not in PAUSES and name in self.phonemes:
                    low, high = round(to_position(first, a)), round(to_position(first, b))
                    phonemes[max(0, low):max(0, high)] = self.phonemes[name]
        ids.append(tokens.EOT)
        item.update(ids=ids, loss_from=start, spans=spans[1:] + [None], phonemes=phonemes)
        return item

    @functools.lru_cache(maxsize=100_000)
    def pieces(self, text):
        return tokens.words_to_tokens(self.tokenizer, text)

    def shares(self, label, pieces, owners, to_position):
        """Cuts each word's time among its tokens by their length in bytes."""
        spans = []
        for number, (_, a, b) in enumerate(label["words"]):
            lengths = [max(1, len(self.tokenizer.id_to_token(p).strip("Ġ"))) for p, o in zip(pieces, owners) if o == number]
            cuts = np.cumsum([0] + lengths) / sum(lengths)
            spans += [(to_position(a + (b - a) * u) - 1.5, to_position(a + (b - a) * v) + 1.5) for u, v in zip(cuts, cuts[1:])]
        return spans

    def translated(self, label, pieces, owners, to_position):
        """Where each token of the translation is heard in the original, as far as the grammar says."""
        ranges, words = phrases.spoken_ranges(label["language"], label["text"], label["english"]), label["words"]
        return [(to_position(words[r[0]][1]) - 1.5, to_position(words[r[1]][2]) + 1.5) if (r := ranges[o]) else None for o in owners]

    def previous(self, translate, language):
        """Earlier text as a prompt: sentences that have nothing to do with the window."""
        rng, pool, ids = self.rng, self.clips.by_language[language], []
        limit = rng.integers(8, 60) if rng.random() < 0.8 else rng.integers(60, 220)
        while len(ids) < limit:
            label = pool[rng.integers(len(pool))][1]
            ids += self.pieces(label["english" if translate else "text"])[0]
        return [tokens.PREV] + ids[-int(limit):]

    def batches(self, stage):
        """Endless batches of windows of about the same length."""
        while True:
            pool = sorted((self.window(stage) for _ in range(192)), key=lambda item: len(item["mel"]))
            batches, current = [], []
            for item in pool:
                if current and len(item["mel"]) * (len(current) + 1) > stage.rows:
                    batches.append(current)
                    current = []
                current.append(item)
            batches.append(current)
            for i in self.rng.permutation(len(batches)):
                batch = self.collated(batches[i])
                if self.rng.random() < stage.rest:
                    self.add_rest(batch)
                yield batch

    def add_rest(self, batch, sample=48):
        """The silent remainder of the 30-s frame, as a sample of its positions that each stand for several: see model.Encoder."""
        length = batch["mel"].shape[2] // STEP
        remaining = 1500 - length
        if remaining < 2 * sample:
            return
        drawn = ((np.arange(sample) + self.rng.random((len(batch["mel"]), sample))) * remaining / sample).astype(np.int64)
        drawn += np.where(drawn >= batch["offsets"][:, None], length, 0)
        batch["rest_positions"] = drawn
        batch["rest_bias"] = np.full(len(drawn), np.log(remaining / sample), np.float32)
        batch["rest_floor"] = np.maximum(batch["mel"].max((1, 2)) - 2, -1.5).astype(np.float32)

    def collated(self, items):
        """Arrays padded to the longest: silence for mel rows, the end token for ids."""
        count, length = len(items), max(len(i["mel"]) for i in items)
        width = max(len(i["ids"]) for i in items) - 1
        offsets = np.array([min(i["offset"], 1500 - length // STEP) for i in items])
        mel = np.empty((count, length, 80), np.float32)
        ids = np.full((count, width), tokens.EOT)
        targets, phonemes = np.full((count, width), IGNORED), np.zeros((count, length // STEP), np.int64)
        spans = np.full((count, width, 2), -1.0, np.float32)
        for n, item in enumerate(items):
            moved = offsets[n] - item["offset"]  # an item near the frame's end, moved back by its neighbours' length
            rows = len(item["mel"])
            mel[n, :rows], mel[n, rows:] = item["mel"], max(item["mel"].max() - 2, -1.5)
            phonemes[n, :rows // STEP] = item["phonemes"]
            sequence = np.array(item["ids"])
            sequence[sequence >= tokens.TIMESTAMP] += moved
            ids[n, :len(sequence) - 1] = sequence[:-1]
            targets[n, item["loss_from"]:len(sequence) - 1] = sequence[1 + item["loss_from"]:]
            for t, span in enumerate(item["spans"][:width]):
                if span:
                    spans[n, t] = span
        shifts = np.where(self.rng.random(count) < 0.3, self.rng.integers(0, 448 - width, count), 0)
        return {"mel": mel.transpose(0, 2, 1), "offsets": offsets, "ids": ids, "targets": targets, "phonemes": phonemes, "spans": spans,
                "shifts": shifts}
