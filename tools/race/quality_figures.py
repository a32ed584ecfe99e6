"""Texts of each program in (quality.py); how alike they are, and how many words are wrong, out. Checks itself when it is run."""

import difflib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "smoke"))
from edits import word_errors, words  # noqa: E402

WORDS_APART, ALIKE, ERRORS_APART = 0.01, 0.98, 0.3


def similarity(one: str, other: str) -> float:
    """Of the letters, spaces between words included: 1 where all are the same."""
    return difflib.SequenceMatcher(None, " ".join(words(one)), " ".join(words(other)), autojunk=False).ratio()


def count(texts: dict[str, str]) -> int:
    return sum(len(words(text)) for text in texts.values())


def wrong(texts: dict[str, str], truth: dict[str, str]) -> float:
    """Per cent of the words that were said."""
    return 100 * sum(word_errors(words(truth[file]), words(texts[file])) for file in truth) / count(truth)


def apart(ours: dict[str, str], theirs: dict[str, str]) -> tuple[float, float]:
    """Words more or fewer, as a share of theirs; the least similarity of a file."""
    return abs(count(ours) - count(theirs)) / max(count(theirs), 1), min(similarity(ours[file], theirs[file]) for file in ours)


def split(texts: dict) -> tuple[list[str], list[str]]:
    return [name for name in texts if name.startswith("verbatim")], [name for name in texts if not name.startswith("verbatim")]


def goals(found: dict | None):
    """What, goal, found, whether it is met."""
    if not found:
        return
    texts, truth = found["texts"], found["truth"]
    ours, theirs = split(texts)
    for our in ours:
        for their in theirs:
            more, alike = apart(texts[our], texts[their])
            yield f"demo model, {our} against {their}: number of words", "within 1 %", f"{more:.1%} apart", more <= WORDS_APART
            yield f"demo model, {our} against {their}: text of each file alike", "above 98 %", f"{alike:.1%}", alike > ALIKE
    if {"verbatim q8_0", "verbatim f32"} <= texts.keys():
        off = abs(wrong(texts["verbatim q8_0"], truth) - wrong(texts["verbatim f32"], truth))
        yield "demo model, word errors of q8_0 against f32", "within 0.3 points", f"{off:.2f} points", off <= ERRORS_APART


def markdown(found: dict | None, table) -> list[str]:
    if not found:
        return []
    texts, truth = found["texts"], found["truth"]
    ours, _ = split(texts)
    rows = []
    for name, heard in texts.items():
        alike = ["" if name == our else f"{apart(texts[our], heard)[1]:.1%}" for our in ours]
        rows.append([name, str(count(heard)), f"{wrong(heard, truth):.1f} %", *alike])
    return ["## The same words", "",
            f"The demo model on {', '.join(f'`{file}`' for file in truth)}, {count(truth)} words, all languages detected. Alike is the worst file's share of letters; "
            "docs/accuracy.md has hours of audio.", "",
            *table(["", "Words", "Wrong", *(f"Alike {our}" for our in ours)], rows)]  # fmt: skip


if __name__ == "__main__":
    assert words("It's Rome, isn't it?") == ["it's", "rome", "isn't", "it"]
    assert word_errors(["a", "b", "c"], ["a", "c", "d"]) == 2
    assert similarity("We need eggs.", "we need eggs") == 1.0
    assert apart({"f": "one two"}, {"f": "one two three four"})[0] == 0.5
