"""What a browser saw in; a sentence about it out, or an AssertionError. `clips` is what was spoken, by the file's name. Standard library only."""

import json
import re

from smoke import word_errors, words

ENGLISH = "english.wav"
# From word times to a word that is lit on a screen, seconds.
SLACK = 0.2
FIRST_PAINT, WEIGHT = 1000, 300_000  # milliseconds, bytes


def heard(text, clip, most=0.05):
    """How many words are wrong; most of these must be right."""
    truth = words(clip["text"])
    errors = word_errors(truth, words(text))
    assert errors <= most * len(truth), f"{errors} of {len(truth)} words are wrong: {text}"
    return f"{errors} of {len(truth)} words wrong"


def cues(text, is_vtt):
    """[(start, end, text)] of a subtitle file, every rule of its grammar that players hold to checked."""
    if is_vtt:
        assert text.startswith("WEBVTT\n\n"), text[:40]
        text = text.removeprefix("WEBVTT\n\n")
    point = "." if is_vtt else ","
    stamp = rf"(\d\d+):(\d\d):(\d\d)\{point}(\d\d\d)"
    found = []
    for number, block in enumerate(text.strip().split("\n\n"), 1):
        lines = block.split("\n")
        if not is_vtt:
            assert lines.pop(0) == str(number), block
        times = re.fullmatch(f"{stamp} --> {stamp}", lines[0])
        assert times, block
        halves = [[int(number) for number in half] for half in (times.groups()[:4], times.groups()[4:])]
        start, end = (h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in halves)
        assert lines[1:] and all(lines[1:]), block
        found.append((start, end, "\n".join(lines[1:])))
    assert found and all(start < end for start, end, _ in found), found
    assert all(one[1] <= other[0] + 0.001 for one, other in zip(found, found[1:])), found
    return found


def files(four, text, name):
    """All four formats say the same text."""
    truth = words(text)
    expected = {"Text": f"{name}.txt", "SRT": f"{name}.srt", "VTT": f"{name}.vtt", "JSON": f"{name}.json"}
    assert {kind: file["name"] for kind, file in four.items()} == expected
    assert words(four["Text"]["text"]) == truth, four["Text"]
    srt, vtt = cues(four["SRT"]["text"], False), cues(four["VTT"]["text"], True)
    assert srt == vtt and words(" ".join(text for *_, text in srt)) == truth, (srt, vtt)
    document = json.loads(four["JSON"]["text"])
    assert words(document["text"]) == truth, document["text"]
    assert words(" ".join(segment["text"] for segment in document["segments"])) == truth
    return srt, document


def paint(one, _):
    first, again = one["firsts"][0], one["again"]
    shown = sorted(max(each["first-paint"], each["first-contentful-paint"]) for each in one["firsts"])[1]
    assert shown < FIRST_PAINT, one["firsts"]
    assert first["bytes"] < WEIGHT and first["requests"] > 10, first
    assert again["bytes"] < first["bytes"] / 4, again
    weight = f"{first['bytes'] / 1000:.0f} kB in {first['requests']} requests; seen again, {again['bytes'] / 1000:.0f} kB"
    return f"first paint after {shown:.0f} ms in the median of three, {weight}"


def demo(one, clips):
    assert "demo model" in one["said"] and "few hundred words" in one["said"], one
    return f"it is said plainly; the sample: {heard(one['text'], clips[ENGLISH])}"


def drop(one, clips):
    sent = [int(found[1]) for state in one["states"] if (found := re.match(r"Sending (\d+) %", state))]
    assert one["over"] and len(set(sent)) >= 3 and sent == sorted(sent), one["states"]
    times = [state for state in one["states"] if re.match(r"Transcribing · \d:\d\d of \d:\d\d", state)]
    assert times and one["fresh"] >= 2, one
    steps = f"{len(set(sent))} steps of the upload, {len(times)} of the text, {one['fresh']} segments before the end"
    return f"{steps}; {heard(one['text'], clips['english-long.mp3'])}"


def play(one, clips):
    truth = clips[ENGLISH]["words"]
    first = next(word["start"] for word in truth if word["word"] == "Martha")
    assert abs(one["samples"][0]["at"] - first) < 0.3, one["samples"][0]
    assert (one["playing"], one["paused"]) == ("Pause", "Play") and one["drift"] == 0, one
    right = wrong = 0
    for sample in one["samples"]:
        said = next((word for word in truth if word["start"] + SLACK / 2 < sample["at"] < word["end"] - SLACK / 2), None)
        if said:
            right, wrong = right + (sample["lit"] == said["word"]), wrong + (sample["lit"] != said["word"])
    lit = list(dict.fromkeys(sample["lit"] for sample in one["samples"] if sample["lit"]))
    assert right >= 5 and wrong <= 0.15 * (right + wrong), (right, wrong, one["samples"])
    assert lit[:4] == ["Martha", "and", "Daniel", "are"], lit
    return f"clicked at Martha, lit {' '.join(lit)}; the right word at {right} of {right + wrong} looks"


def waveform(one, clips):
    columns, clip = one["columns"], clips[ENGLISH]
    at = lambda start, end: columns[int(start / clip["duration"] * len(columns)) : int(end / clip["duration"] * len(columns))]  # noqa: E731
    mean = lambda some: sum(some) / len(some)  # noqa: E731
    spoken, silent = mean([mean(at(s["start"] + 0.1, s["end"] - 0.1)) for s in clip["segments"]]), mean(at(2.6, 3.1))
    assert spoken > 3 * silent and silent > 0, (spoken, silent)
    assert abs(one["sought"] - 0.75) < 0.02 and one["home"] == 0, one
    return f"{spoken / silent:.1f} times as tall where somebody speaks; a click at 75 % seeks to {one['sought']:.1%}"


def doubt(one, _):
    doubtful = [word["word"] for word in one["words"] if word["probability"] < 0.5]
    assert doubtful and [mark["word"] for mark in one["marked"]] == doubtful, one
    for mark in one["marked"]:
        assert "uncertain" in mark["told"] and "% sure" in mark["title"] and "underline" in mark["line"], mark
    return f"{len(doubtful)} of {len(one['words'])} marked, by a line and in words: {', '.join(doubtful)}"


def dropped(one, _):
    assert one["shown"] and all("Left out" in row for row in one["shown"]), one
    assert one["marks"] and "may be silence" in one["marks"], one["marks"]
    assert "Heard again" in one["receipt"] and "left out" in one["notes"] and not one["demo"], one
    return f"{one['shown'][0]!r}, and risks: {', '.join(sorted(set(one['marks'])))}"


def edit(one, clips):
    files(one["before"], clips[ENGLISH]["text"], "english")
    text = "We need eggs, fish, brown bread and honey. Martha and Daniel are travelling to Rome next month."
    assert words(one["shown"]) == words(one["left"]) == words(text), one
    assert "edited" in one["state"], one["state"]
    srt, document = files(one["after"], text, "english")
    old = json.loads(one["before"]["JSON"]["text"])
    first, before = document["segments"][0], old["segments"][0]
    assert first["edited"] and "edited" not in document["segments"][1] and document["segments"][1] == old["segments"][1], document
    times = [(word["start"], word["end"]) for word in first["words"]]
    assert all(start <= end for start, end in times) and all(a[1] <= b[0] for a, b in zip(times, times[1:])), times
    kept = {word["word"]: word for word in before["words"] if word["word"] in ("We", "need", "eggs,", "and")}
    assert all(word == kept[word["word"]] for word in first["words"] if word["word"] in kept), first["words"]
    assert all(word["probability"] is None for word in first["words"] if word["word"] in ("brown", "bread", "honey.")), first["words"]
    assert document["words"] == [word for segment in document["segments"] for word in segment["words"]]
    return f"txt, srt, vtt and json before and after, {len(srt)} cues; words that stayed keep their times"


def rules(one, clips):
    narrow = cues(one["narrow"], False)
    widest = max(len(line) for *_, text in narrow for line in text.split("\n"))
    assert one["hint"] == "42" and widest <= 18 and words(" ".join(text for *_, text in narrow)) == words(clips[ENGLISH]["text"]), one
    assert re.search(r"<\d\d:\d\d:\d\d\.\d\d\d><c>", one["lit"]), one["lit"]
    assert "max_line_width" in one["refused"], one["refused"]
    return f"lines of {widest} columns at most, words highlighted; {one['refused']!r}"


def options(one, clips):
    assert one["languages"] == 100 and one["task"] == "translate", one
    assert one["stored"] == {"local": 0, "cookies": ""}, one
    assert "does not know french" in one["failed"], one["failed"]
    return f"in English: {heard(one['translated'], {'text': clips['spanish.wav']['translation']}, 0.15)}; remembered by the tab; {one['failed']!r}"


def several(one, clips):
    assert one["first"].count("waiting") == 2 and one["cancelled"] == "cancelled", one
    assert sorted(one["between"]) == ["cancelled", "cancelled", "done", "done"], one
    errors = [heard(text, clips[name], 0.07) for name, text in one["texts"].items()]
    assert one["left"] == ["english.wav", "german.wav", "english-other-voice.wav"], one
    return f"four files, two at a time; two cancelled and begun again: {'; '.join(errors)}"


def record(one, clips):
    assert one["label"] == "Stop" and re.match(r"Recording .*\.(webm|m4a|ogg)$", one["name"]), one
    assert one["most"] > clips[ENGLISH]["duration"] and one["at"] > 2, one
    return f"{one['name']}, {one['most']:.1f} s: {heard(one['text'], clips[ENGLISH], 0.1)}; it plays"


def dictate(one, clips):
    assert one["early"]["running"] == "Stop" and one["early"]["level"] and one["early"]["text"], one
    files(one["files"], one["text"], "Dictation")
    early = len(words(one["early"]["text"]))
    return f"{heard(one['text'], clips[ENGLISH], 0.1)}, {early} of them while it was spoken; four downloads"


def device(one, _):
    panel, info = one["panel"], one["info"]
    assert one["name"] == "CPU, no GPU" and one["note"].lower().startswith(info["note"].lower()), one
    assert panel["Model"]["text"] == f"demo, {info['dtype']}" and panel["At work"]["text"].endswith(f"of {info['slots']} windows"), panel
    assert not {"Memory", "Utilisation", "Temperature"} & set(panel), panel
    assert one["looks"] >= 2 and one["points"] >= 2, one
    return f"{one['caption']}; {one['looks']} looks in 4 s; {one['note'][:60]!r}"


def gpu(one, _):
    panel = one["panel"]
    assert one["name"] == "NVIDIA H200" and not one["note"], one
    assert panel["Memory"]["text"] == "35.1 of 140.4 GB" and abs(panel["Memory"]["bar"] - 0.25) < 0.001, panel
    assert (panel["Utilisation"]["text"], panel["Temperature"]["text"], panel["Power"]["text"]) == ("87 %", "61 °C", "512 W"), panel
    assert panel["Queue"]["text"] == "12 windows, 5:31 of audio" and panel["At work"]["bar"] == 1, panel
    return ", ".join(f"{term} {row['text']}" for term, row in panel.items() if term in ("Memory", "Utilisation", "Temperature", "Queue"))


def keys(one, clips):
    assert "wants a key" in one["notice"] and one["waiting"] == "Waiting for a key" and "not known" in one["wrong"], one
    kept = json.loads(one["kept"])
    assert kept["local"] == {} and kept["cookies"] == "" and list(kept["session"].values()) == [one["key"]] and one["key"] not in kept["address"], kept
    assert one["elsewhere"] == 0 and one["forgotten"] == 0, one
    return f"{one['wrong']!r}, then the right one: {heard(one['text'], clips[ENGLISH])}; in this tab alone, forgotten when asked"


def keyed_dictation(one, clips):
    return f"asked for a key first: {one['said']!r}" if words(one["said"])[:2] == ["we", "need"] else heard(one["said"], clips[ENGLISH])


def busy(one, _):
    waits = [int(found[1]) for state in one["later"] if (found := re.search(r"Again in (\d+) s$", state))]
    assert waits, one
    return f"{one['later'][0]!r}; both done"


def bare(one, _):
    assert "no model" in one["notice"] and one["state"].startswith("Failed: ") and not one["demo"], one
    return f"it is said; a file: {one['state']!r}"


def gone(one, clips):
    assert "does not answer" in one["said"] and one["during"].count("away") >= 1 and "failed" not in one["during"], one
    return f"killed while {', '.join(one['during'])}; back: {'; '.join(heard(text, clips[name], 0.07) for name, text in one['texts'].items())}"


def broken(one, _):
    assert "stays" in one["said"] and one["kept"] and one["text"].startswith(one["kept"]) and not one["wrong"], one
    assert words(one["text"]).count("sugar") == 2, one
    return f"{one['said']!r}; gone on with"


def phone(one, _):
    for view in ("empty", "full", "live"):
        assert one[view]["wide"] == 360 and not one[view]["small"] and one[view]["targets"] > 5, (view, one[view])
    return f"nothing wider than 360 px, {one['full']['targets']} targets of 44 px, a word tapped"


def keyboard(one, _):
    assert one["tab"] == ["tab-live", True], one
    seconds = [round(at, 1) for at in one["moved"]]
    assert seconds == [2.0, 7.1, 0.0, 2.0], one
    assert one["lit"] == "and" and "edit" in one["back"], one
    assert one["text"].startswith("Typed with the keyboard alone.") and "Typed with the keyboard alone." in one["file"], one
    return f"tabs, a file, seeking, {one['lit']!r} played, an edit, a download; every stop is seen"


def axe(one, _):
    total = 0
    for view, found in one["found"].items():
        assert found["passes"] >= 15, (view, found)
        serious = [it for it in found["violations"] if it["impact"] in ("serious", "critical")]
        assert not serious, (view, serious)
        total += len(found["violations"])
    return f"{len(one['found'])} views, none serious, {total} smaller findings" + "".join(
        f"; {view}: {it['id']} {it['where']}" for view, found in one["found"].items() for it in found["violations"])


def pictures(one, _):
    return f"{one['taken']} taken"


CHECKS = {
    "first paint and weight": paint,
    "the demo notice and its sample": demo,
    "a file is dropped": drop,
    "a word is clicked and followed": play,
    "the waveform": waveform,
    "doubtful words": doubt,
    "what was left out is shown": dropped,
    "the text is edited, and every format downloaded": edit,
    "subtitle rules": rules,
    "language and task": options,
    "several files": several,
    "a recording of the microphone": record,
    "a dictation": dictate,
    "the device": device,
    "the device, with the figures of a GPU put in": gpu,
    "a key, a wrong one first": keys,
    "a dictation with a key": keyed_dictation,
    "a server that is busy": busy,
    "a server without a model": bare,
    "a server that goes and comes back": gone,
    "a dictation whose server goes": broken,
    "a phone": phone,
    "the keyboard alone": keyboard,
    "axe": axe,
    "pictures": pictures,
}
