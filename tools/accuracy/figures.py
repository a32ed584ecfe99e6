"""Answers of one program in; its figures against the truth out, as plain numbers for the tables."""

import score
import sentences


def of(truth: list[dict], answers: dict) -> dict:
    """All figures that the answers allow; a part whose recordings were not heard is left out."""
    parts = {"singles": singles, "translations": translations, "longs": longs, "quiet": quiet, "call": call, "cuts": cuts, "alone": alone}
    return {name: found for name, part in parts.items() if (found := part(truth, answers))}


def heard(truth: list[dict], answers: dict, kind: str, task: str = "transcribe"):
    for clip in truth:
        answer = answers.get(f"{task} {clip['file']}")
        if clip["kind"] == kind and answer is not None:
            yield clip, answer


def side(clip: dict) -> str:
    return "training voices" if clip["segments"][0]["trained_on"] else "held-out voices"


def counted(words: score.Words) -> dict:
    return {"said": words.said, "wrong": words.wrong, "lost": words.lost, "added": words.added, "rate": words.rate}


def singles(truth: list[dict], answers: dict) -> dict:
    words, right, total, segments, edges = {}, 0, 0, score.Edges(), {}
    for clip, answer in heard(truth, answers, "single"):
        language = clip["languages"][0]
        words.setdefault(f"{language}, {side(clip)}", score.Words()).add(score.plain(clip["text"]), score.plain(answer["text"]))
        right, total = right + (answer["language"] == language), total + 1
        segments.off += score.segment_edges(clip["segments"], answer["segments"]).off
        word_edges(edges.setdefault(language, score.Edges()), clip["words"], answer["words"])
    if not total:
        return {}
    every = score.Edges([off for one in edges.values() for off in one.off])
    return {"words": {name: counted(one) for name, one in words.items()}, "language_right": right / total, "clips": total,
            "segment_edges": segments.figures(), "word_edges": every.figures(),
            "word_edges_of": {language: one.figures() for language, one in edges.items()}}  # fmt: skip


def translations(truth: list[dict], answers: dict) -> dict:
    words = {}
    for clip, answer in heard(truth, answers, "single", "translate"):
        name = f"{clip['languages'][0]}, {side(clip)}"
        said = " ".join(segment["english"] for segment in clip["segments"])
        words.setdefault(name, score.Words()).add(score.plain(said), score.plain(answer["text"]))
    return {name: counted(one) for name, one in words.items()}


def word_edges(edges: score.Edges, said: list[dict], words: list[dict] | None) -> None:
    """Words are paired by text alone, so that a wrong time cannot hide itself."""
    if words is not None:
        a, b = score.timed(said), score.timed(words)
        pairs = score.aligned([w["text"] for w in a], [w["text"] for w in b])
        edges.add_pairs([(None if i is None else a[i], None if j is None else b[j]) for i, j in pairs])


def longs(truth: list[dict], answers: dict) -> dict:
    words, segments, edges, in_gaps, languages, minutes = {}, score.Edges(), score.Edges(), None, [0, 0], 0.0
    for clip, answer in heard(truth, answers, "long"):
        name = clip["languages"][0] if len(clip["languages"]) == 1 else "mixed"
        words.setdefault(name, score.Words()).add(score.plain(clip["text"]), score.plain(answer["text"]))
        segments.off += score.segment_edges(clip["segments"], answer["segments"]).off
        word_edges(edges, clip["words"], answer["words"])
        if answer["words"] is not None:
            in_gaps = (in_gaps or 0) + score.words_in_gaps(score.timed(answer["words"]), clip["gaps"])
        for sentence in clip["segments"]:
            said = language_at(answer, sentence)
            languages = [languages[0] + (said == sentence["language"]), languages[1] + 1]
        minutes += clip["duration"] / 60
    if not words:
        return {}
    return {"words": {name: counted(one) for name, one in words.items()}, "segment_edges": segments.figures(), "word_edges": edges.figures(),
            "words_in_gaps": in_gaps, "language_right": languages[0] / languages[1], "minutes": minutes}  # fmt: skip


def language_at(answer: dict, sentence: dict) -> str | None:
    """Of the segment that shares most time with the sentence; the file's where segments name none."""
    best = max(answer["segments"], key=lambda s: min(s["end"], sentence["end"]) - max(s["start"], sentence["start"]), default=None)
    return (best or {}).get("language") or answer["language"]


def alone(truth: list[dict], answers: dict) -> dict:
    words = {}
    for clip, answer in heard(sentences.entries(truth), answers, "alone"):
        words.setdefault(clip["language"], score.Words()).add(score.plain(clip["text"]), score.plain(answer["text"]))
    return {name: counted(one) for name, one in words.items()}


def quiet(truth: list[dict], answers: dict) -> dict:
    return {clip["gaps"][0]["kind"]: len(score.plain(answer["text"])) for clip, answer in heard(truth, answers, "quiet")}


def call(truth: list[dict], answers: dict) -> dict:
    out = {}
    for clip, answer in heard(truth, answers, "call"):
        for place, channel in enumerate(clip["channels"]):
            text = " ".join(s["text"] for s in answer["segments"] if s.get("channel", 0) == place)
            out[f"channel {place}"] = counted(score.Words().add(score.plain(channel["text"]), score.plain(text)))
    return out


def cuts(truth: list[dict], answers: dict) -> dict:
    near, far, doubled, count, edges = score.Words(), score.Words(), 0, 0, score.Edges()
    for clip, answer in heard(truth, answers, "cuts"):
        if answer["words"] is None or not answer.get("windows"):
            continue
        windows = answer["windows"]
        places = sorted((a["end"] + b["start"]) / 2 for a, b in zip(windows, windows[1:]))
        pairs = score.aligned_in_parts(score.timed(clip["words"]), score.timed(answer["words"]))
        found = score.errors_at_cuts(pairs, places)
        for total, one in ((near, found["near"]), (far, found["far"])):
            for name in ("said", "wrong", "lost", "added"):
                setattr(total, name, getattr(total, name) + getattr(one, name))
        doubled, count = doubled + found["doubled"], count + len(places)
        edges.add_pairs(pairs)
    if not count:
        return {}
    return {"cuts": count, "near": counted(near), "far": counted(far), "doubled": doubled, "word_edges": edges.figures()}
