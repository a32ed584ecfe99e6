"""The sentences of the long recordings, each as a file of its own: what a program makes of them there, it should make of them in ten minutes too."""

from pathlib import Path

import soundfile

MARGIN = 0.4  # seconds before and after, less where the next sentence is nearer


def places(truth: list[dict]) -> list[tuple[dict, dict, float, float]]:
    """Recording, sentence, from when to when it is cut out."""
    out = []
    for clip in (clip for clip in truth if clip["kind"] == "long"):
        said = clip["segments"]
        for before, one, after in zip([None, *said], said, [*said[1:], None]):
            begin = max(one["start"] - MARGIN, (before["end"] + one["start"]) / 2 if before else 0.0)
            end = min(one["end"] + MARGIN, (one["end"] + after["start"]) / 2 if after else clip["duration"])
            out.append((clip, one, begin, end))
    return out


def entries(truth: list[dict]) -> list[dict]:
    """As in truth.json, of kind `alone`; `language` is the long recording's, or mixed."""
    return [
        {"file": f"alone/{Path(clip['file']).stem}-{round(1000 * one['start'])}.wav", "kind": "alone", "languages": [one["language"]],
         "language": clip["languages"][0] if len(clip["languages"]) == 1 else "mixed", "text": one["text"]}
        for clip, one, _, _ in places(truth)
    ]  # fmt: skip


def alone(truth: list[dict], corpus: Path) -> list[dict]:
    """Writes the files; gives their entries."""
    (corpus / "alone").mkdir(exist_ok=True)
    made = entries(truth)
    for entry, (clip, _, begin, end) in zip(made, places(truth)):
        samples, rate = soundfile.read(corpus / clip["file"], start=round(begin * 16_000), stop=round(end * 16_000), dtype="int16")
        soundfile.write(corpus / entry["file"], samples, rate, subtype="PCM_16")
    return made
