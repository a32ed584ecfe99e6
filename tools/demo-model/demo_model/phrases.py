"""Which spoken words an English word translates. In: a sentence and its English text. Out: a range of spoken words for each English word."""

import functools
import re

from . import grammar, numbers


def plain(text):
    """Words without punctuation and capitals, one for each word of the text split at spaces."""
    return [re.sub(r"[^\w']", "", word.lower()) for word in text.split()]


@functools.cache
def table(language):
    """English phrase -> the phrases that may have been spoken for it, all as tuples of words."""
    column = grammar.LANGUAGES.index(language)
    rows = [row for values in grammar.SLOTS.values() for row in values if len(row) == 3 and "{" not in row[0]]
    rows += [numbers.cardinal(n) for n in range(100)] + numbers.MONTHS + numbers.every_time() + numbers.every_day()
    out = {}
    for row in rows:
        out.setdefault(tuple(plain(row[0])), []).append(tuple(plain(row[column])))
    return out


@functools.lru_cache(maxsize=100_000)
def spoken_ranges(language, text, english):
    """For each English word (first, last) of the spoken words it stands for, or None where the grammar does not say."""
    spoken, wanted, known = plain(text), plain(english), table(language)
    used, out, at = set(), [None] * len(wanted), 0
    while at < len(wanted):
        found = None
        for length in range(min(6, len(wanted) - at), 0, -1):
            for phrase in known.get(tuple(wanted[at:at + length]), ()):
                places = [i for i in range(len(spoken) - len(phrase) + 1)
                          if tuple(spoken[i:i + len(phrase)]) == phrase and not used & set(range(i, i + len(phrase)))]
                if places:
                    found = (places[0], places[0] + len(phrase) - 1)
                    break
            if found:
                break
        if found:
            used |= set(range(found[0], found[1] + 1))
            out[at:at + length] = [found] * length
        at += length if found else 1
    return out
