"""Sentences of the small language. In: grammar.txt and a random generator. Out: one meaning as {"en", "es", "de"} texts."""

import hashlib
import random
import re
from pathlib import Path

from . import numbers

LANGUAGES = ("en", "es", "de")
MADE = {"count": numbers.count, "digits": numbers.digits, "time": numbers.time, "date": numbers.date, "year": numbers.year}
HELD_OUT_SHARE = 25  # one meaning in so many is kept for evaluation


def load(path=Path(__file__).with_name("grammar.txt")):
    """The slots as name -> rows, and the sentence rows with their weights."""
    slots, sentences, weights, section = {}, [], [], None
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]").split()
            continue
        row = tuple(cell.strip() for cell in line.split("|"))
        if section[0] == "slot":
            slots.setdefault(section[1], []).append(row)
        else:
            sentences.append(row)
            weights.append(int(section[1]))
    return slots, sentences, weights


SLOTS, SENTENCES, WEIGHTS = load()


def fill(row, rng, drawn=None):
    """Replaces every {slot} of the row, the same draw in each language; {food2} is a second draw of {food}."""
    drawn = {} if drawn is None else drawn
    for key in dict.fromkeys(re.findall(r"\{(\w+)\}", row[0])):
        name = key.rstrip("0123456789")
        if key not in drawn:
            value = MADE[name](rng) if name in MADE else fill(rng.choice(SLOTS[name]), rng)
            drawn[key] = value * 3 if len(value) == 1 else value
    return tuple(re.sub(r"\{(\w+)\}", lambda m, i=i: drawn[m[1]][i], text) for i, text in enumerate(row))


def capitalised(text):
    """The text with its first letter, after any opening mark, as a capital."""
    at = next(i for i, c in enumerate(text) if c.isalpha())
    return text[:at] + text[at].upper() + text[at + 1:]


def sentence(rng: random.Random):
    """One random meaning: always "en", and "es" and "de" unless the row is English only."""
    row = fill(rng.choices(SENTENCES, WEIGHTS)[0], rng)
    return dict(zip(LANGUAGES, map(capitalised, row)))


def held_out(meaning):
    """Whether a meaning belongs to evaluation: decided by its English text alone, so in all three languages alike."""
    digest = hashlib.sha256(meaning["en"].lower().encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT_SHARE == 0


def draw(rng, language, for_evaluation):
    """A meaning that exists in the language, from the training or the evaluation side."""
    while True:
        meaning = sentence(rng)
        if language in meaning and held_out(meaning) == for_evaluation:
            return meaning
