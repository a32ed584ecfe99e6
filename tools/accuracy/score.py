"""What was heard against what was said. In: lists of words with times, segments, texts. Out: word errors, times off, words where nobody spoke.

    python3 tools/accuracy/score.py        # checks itself; no package is needed

Words are compared without capitals and punctuation, as in tests/accuracy.rs.
"""

import bisect
import statistics
from dataclasses import dataclass, field

NEAR = 0.2  # seconds: a word's edge as close as this is right
CUT = 0.5  # seconds on either side of a cut


def plain(text: str) -> list[str]:
    kept = ("".join(c for c in word if c.isalnum() or c == "'").lower() for word in text.split())
    return [word for word in kept if word]


def aligned(said: list[str], heard: list[str]) -> list[tuple[int | None, int | None]]:
    """Pairs of places with the fewest edits; None on the side where a word is lost or added. Substitutions pair up."""
    width = len(heard) + 1
    costs, row = [], list(range(width))
    costs.append(row)
    for i, word in enumerate(said, 1):
        above, row = row, [i] * width
        for j, other in enumerate(heard, 1):
            # Lost and added words cost the same as a wrong one.
            row[j] = min(above[j - 1] + (word != other), above[j] + 1, row[j - 1] + 1)
        costs.append(row)
    pairs, i, j = [], len(said), len(heard)
    while i or j:
        if i and j and costs[i][j] == costs[i - 1][j - 1] + (said[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def timed(words: list[dict]) -> list[dict]:
    """Words as plain text with their times; what is punctuation alone is left out."""
    return [{"text": text, "start": w["start"], "end": w["end"]} for w in words if (text := "".join(plain(w["word"])))]


def aligned_in_parts(said: list[dict], heard: list[dict], part: float = 120.0) -> list[tuple[dict | None, dict | None]]:
    """aligned() for hours of timed words: cut where nobody speaks in the truth, so that the table stays small."""
    pairs, at, begin = [], 0, 0
    while begin < len(said) or at < len(heard):
        end = begin
        while end < len(said) and said[end]["start"] < (said[begin]["start"] if begin < len(said) else 0) + part:
            end += 1
        while end < len(said) and said[end]["start"] - said[end - 1]["end"] < 0.2:
            end += 1
        until = (said[end - 1]["end"] + said[end]["start"]) / 2 if end < len(said) else float("inf")
        after = at
        while after < len(heard) and (heard[after]["start"] + heard[after]["end"]) / 2 < until:
            after += 1
        a, b = said[begin:end], heard[at:after]
        for i, j in aligned([w["text"] for w in a], [w["text"] for w in b]):
            pairs.append((None if i is None else a[i], None if j is None else b[j]))
        begin, at = end, after
    return pairs


@dataclass
class Words:
    """Counts that add up over files."""

    said: int = 0
    wrong: int = 0
    lost: int = 0
    added: int = 0

    def add(self, said: list, heard: list, pairs=None) -> "Words":
        for i, j in pairs if pairs is not None else aligned(said, heard):
            self.lost += j is None
            self.added += i is None
            self.wrong += i is not None and j is not None and said[i] != heard[j]
        self.said += len(said)
        return self

    def add_pairs(self, pairs: list) -> "Words":
        for said, heard in pairs:
            self.said += said is not None
            self.lost += heard is None
            self.added += said is None
            self.wrong += said is not None and heard is not None and said["text"] != heard["text"]
        return self

    @property
    def rate(self) -> float:
        return (self.wrong + self.lost + self.added) / max(1, self.said)


@dataclass
class Edges:
    """Distances of starts and ends, in seconds."""

    off: list[float] = field(default_factory=list)

    def add(self, said: dict, heard: dict) -> None:
        self.off += [abs(said["start"] - heard["start"]), abs(said["end"] - heard["end"])]

    def add_pairs(self, pairs: list) -> "Edges":
        """Words that were heard right: how far their edges lie from the truth."""
        for said, heard in pairs:
            if said is not None and heard is not None and said["text"] == heard["text"]:
                self.add(said, heard)
        return self

    def figures(self) -> dict | None:
        if not self.off:
            return None
        ranked = sorted(self.off)
        return {"edges": len(ranked), "median": statistics.median(ranked), "p95": ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))],
                "near": sum(o <= NEAR for o in ranked) / len(ranked), "most": ranked[-1]}  # fmt: skip


def segment_edges(said: list[dict], heard: list[dict]) -> Edges:
    """Each spoken sentence against the segment that shares most time with it, where that one shares most with no other sentence."""
    def shared(a, b):
        return min(a["end"], b["end"]) - max(a["start"], b["start"])

    edges = Edges()
    for segment in said:
        best = max(heard, key=lambda other: shared(segment, other), default=None)
        if best is None or shared(segment, best) <= 0:
            continue
        if max(said, key=lambda other: shared(best, other)) is segment and sum(shared(best, s) > 0.1 for s in said) == 1:
            edges.add(segment, best)
    return edges


def words_in_gaps(heard: list[dict], gaps: list[dict]) -> int:
    """Words whose middle lies where nobody spoke."""
    middles = [(w["start"] + w["end"]) / 2 for w in heard]
    return sum(any(gap["start"] <= at < gap["end"] for gap in gaps) for at in middles)


def errors_at_cuts(pairs: list, cuts: list[float]) -> dict:
    """Words lost, added and wrong within CUT seconds of a cut, the words said there, and the same elsewhere."""
    near, far, doubled = Words(), Words(), 0
    before = None
    for said, heard in pairs:
        word = said or heard
        close = any(word["start"] - CUT <= cut <= word["end"] + CUT for cut in cuts_around(cuts, word["start"], word["end"]))
        (near if close else far).add_pairs([(said, heard)])
        doubled += close and said is None and before is not None and before["text"] == heard["text"]
        before = heard or before
    return {"near": near, "far": far, "doubled": doubled}


def cuts_around(cuts: list[float], start: float, end: float) -> list[float]:
    """The few that matter, by bisection; `cuts` rise."""
    return cuts[max(0, bisect.bisect_left(cuts, start - CUT) - 1) : bisect.bisect_right(cuts, end + CUT) + 1]


def check() -> None:
    """The rules above on small examples."""
    def words(text, step=1.0):
        return [{"text": w, "start": i * step, "end": i * step + 0.5} for i, w in enumerate(text.split())]

    assert plain("¿Qué? It's  -- Größe, 12.") == ["qué", "it's", "größe", "12"]
    assert aligned(["a", "b"], ["a", "b"]) == [(0, 0), (1, 1)]
    assert aligned(["a", "b"], ["b"]) == [(0, None), (1, 0)]
    assert aligned([], ["x"]) == [(None, 0)] and aligned(["x"], []) == [(0, None)]
    counted = Words().add("take two tablets".split(), "take too many tablets".split())
    assert (counted.said, counted.wrong + counted.added + counted.lost, counted.rate) == (3, 2, 2 / 3)
    long_said, long_heard = words(" ".join("abcdefghij" * 50)), words(" ".join("abcdefghij" * 50))
    del long_heard[77]
    pairs = aligned_in_parts(long_said, long_heard, part=20)
    assert Words().add_pairs(pairs).lost == 1 and Words().add_pairs(pairs).said == len(long_said), Words().add_pairs(pairs)
    assert Edges().add_pairs(pairs).figures()["most"] == 0
    assert Words().add_pairs(aligned_in_parts([], words("x y"))).added == 2
    off = Edges().add_pairs(aligned_in_parts(words("a b"), [{"text": "a", "start": 0.1, "end": 0.5}, {"text": "c", "start": 9, "end": 9}]))
    assert [round(o, 3) for o in off.off] == [0.1, 0.0]
    said = [{"start": 0.0, "end": 2.0}, {"start": 3.0, "end": 5.0}]
    assert segment_edges(said, [{"start": 0.1, "end": 2.0}, {"start": 3.0, "end": 5.5}]).off == [0.1, 0.0, 0.0, 0.5]
    assert segment_edges(said, [{"start": 0.0, "end": 5.0}]).off == []
    assert words_in_gaps(words("a b c"), [{"start": 0.9, "end": 1.9}]) == 1
    lost = errors_at_cuts([(words("a")[0], None)] + list(zip(words("a b c")[1:], words("a b c")[1:])), [0.7])
    assert (lost["near"].lost, lost["far"].lost, lost["near"].said, lost["far"].said) == (1, 0, 2, 1), lost
    again = errors_at_cuts([(words("a")[0], words("a")[0]), (None, words("a")[0])], [0.7])
    assert again["doubled"] == 1
    print("the scores are counted as they should be")


if __name__ == "__main__":
    check()
