"""Texts in, their words and how many of these are wrong out."""


def words(text: str) -> list[str]:
    """Without capitals and punctuation, as tools/accuracy counts them."""
    return "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()


def word_errors(truth: list[str], heard: list[str]) -> int:
    """Edits between two lists of words."""
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(truth):
        diagonal, row[0] = row[0], i + 1
        for j, word in enumerate(heard):
            diagonal, row[j + 1] = row[j + 1], min(diagonal + (expected != word), row[j] + 1, row[j + 1] + 1)
    return row[-1]
