"""The report on accuracy. In: a corpus, the peers' answers, the server's command line. Out: docs/accuracy.md, and figures.json beside the answers.

    .venv-accuracy/bin/python tools/accuracy/report.py --corpus target/accuracy/corpus --out target/accuracy target/release/verbatim
"""

import argparse
import datetime
import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path

import figures
import ours

HOUSE = Path(__file__).resolve().parents[2]
LANGUAGES = ["en", "es", "de"]
SIDES = ["training voices", "held-out voices"]


def percent(words: dict | None) -> str:
    return "" if not words else f"{100 * words['rate']:.1f} %"


def share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def edges(found: dict | None) -> list[str]:
    return ["", "", ""] if not found else [f"{found['median']:.3f} s", f"{found['p95']:.2f} s", f"{100 * found['near']:.1f} %"]


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " --: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows if any(row[1:])]) + "\n"


def document(found: dict, how: dict) -> str:
    """`found`: name -> figures.of()."""
    def rows(part, cells):
        return [[name, *cells(one[part])] for name, one in found.items() if part in one]

    singles = table(
        ["", *(f"{language}, {side}" for language in LANGUAGES for side in SIDES), "Language right"],
        rows("singles", lambda f: [*(percent(f["words"].get(f"{lang}, {side}")) for lang in LANGUAGES for side in SIDES), share(f["language_right"])]),
    )
    translations = table(
        ["", *(f"{language}, {side}" for language in LANGUAGES[1:] for side in SIDES)],
        rows("translations", lambda f: [percent(f.get(f"{lang}, {side}")) for lang in LANGUAGES[1:] for side in SIDES]),
    )
    longs = table(
        ["", *LANGUAGES, "mixed", "Words lost", "Words added", "Words where nobody speaks", "Language right"],
        rows("longs", lambda f: [
            *(percent(f["words"].get(name)) for name in (*LANGUAGES, "mixed")), str(sum(w["lost"] for w in f["words"].values())),
            str(sum(w["added"] for w in f["words"].values())), "" if f["words_in_gaps"] is None else str(f["words_in_gaps"]),
            share(f["language_right"])]),
    )  # fmt: skip
    times = table(
        ["", "Single sentences, median", "95 %", "within 0.2 s", "Ten minutes, median", "95 %", "within 0.2 s"],
        [[name, *edges((one.get("singles") or {}).get("word_edges")), *edges((one.get("longs") or {}).get("word_edges"))] for name, one in found.items()],
    )
    sentences = table(
        ["", "Single sentences, median", "95 %", "within 0.2 s", "Ten minutes, median", "95 %", "within 0.2 s"],
        [[name, *edges((one.get("singles") or {}).get("segment_edges")), *edges((one.get("longs") or {}).get("segment_edges"))] for name, one in found.items()],
    )
    kinds = list(dict.fromkeys(kind for one in found.values() for kind in one.get("quiet", {})))
    quiet = table(["", *kinds, "Together"], rows("quiet", lambda f: [*(str(f.get(kind, "")) for kind in kinds), str(sum(f.values()))]))
    text = TEXT.format(**how, singles=singles, translations=translations, longs=longs, times=times, sentences=sentences, quiet=quiet, compared=compared(found))
    for one in found.values():
        if "cuts" in one:
            text += CUTS.format(**flat(one["cuts"]))
        if "call" in one:
            channels = ", ".join(f"{percent(words)} of {words['said']} words" for words in one["call"].values())
            text += CALL.format(channels=channels)
    refused = [f"- {name}: {why}" for name, one in found.items() for why in one.get("refused", [])]
    return text + ("\n## Not offered by this build\n\n" + "\n".join(refused) + "\n" if refused else "")


def flat(cuts: dict) -> dict:
    near, far = cuts["near"], cuts["far"]
    return {"count": cuts["cuts"], "doubled": cuts["doubled"], "near_said": near["said"], "near_lost": near["lost"], "near_added": near["added"],
            "near_rate": percent(near), "far_said": far["said"], "far_lost": far["lost"], "far_added": far["added"], "far_rate": percent(far)}  # fmt: skip


def compared(found: dict) -> str:
    """Ten minutes against single sentences of the same voices, in one line a program."""
    lines = []
    for name, one in found.items():
        if "singles" in one and "longs" in one:
            pairs = [(lang, one["singles"]["words"].get(f"{lang}, {SIDES[0]}"), one["longs"]["words"].get(lang)) for lang in LANGUAGES]
            lines.append(f"- {name}: " + ", ".join(f"{lang} {percent(short)} → {percent(whole)}" for lang, short, whole in pairs if short and whole))
        if "alone" in one:
            lines.append(f"- {name}, the same sentences: " + ", ".join(f"{lang} {percent(words)}" for lang, words in one["alone"].items()))
    return "\n".join(lines)


TEXT = """# Accuracy

Verbatim beside openai-whisper, transformers and faster-whisper: the same model (`{model}`), the same audio, float32 on a CPU. Made on {date} by
`make accuracy` on {machine}; Verbatim {commit}, {versions}.

The audio is synthesised, so the truth is exact: what was said, in which language, and when each word began and ended. It is made by
`tools/accuracy/corpus.py` from sentences that the demo model was never trained on, in voices that it was trained on (training voices) and others
(held-out voices). **These figures compare programs, not models:** what a program adds to the model's own errors or spares it shows here; how well a large
checkpoint hears people does not.

Words are compared without capitals and punctuation; a word lost, added or wrong is an error each. "Conditioned" means that each window is given the text before
it, which openai-whisper and faster-whisper do unless told otherwise; the demo model was not trained for the timestamps in such text. CTranslate2 cannot
name the language of a model this small: for faster-whisper that one step is taken by transformers, on CTranslate2's encoding. transformers was not asked for
the times of words.

## Single sentences

Word errors in 30 clips a cell.

{singles}
Spanish and German to English, word errors against the one translation that the grammar has:

{translations}
## Ten minutes

Two files a language and two that change the language from sentence to sentence; pauses of 0.3 to 8 s, stretches of 10 to 30 s of silence, noise, hum, clicks
or beeps between sentences, light noise under a quarter of them.

{longs}
Single sentences of training voices → ten minutes, and the sentences of the ten minutes each as a file of its own, noise and all:

{compared}

## Times of words

Distance of the edges of words that were heard right from the synthesiser's own.

{times}
## Times of segments

Edges of segments that hold exactly one sentence.

{sentences}
## No speech

Words written for three minutes each of what is no speech.

{quiet}"""

CUTS = """
## Cuts

Two hours of sentences with pauses of 0.25 to 0.6 s, in windows of at most 8 s: {count} cuts. Within half a second of a cut {near_said} words were said: {near_lost} were lost,
{near_added} added ({doubled} of them doubled), {near_rate} wrong in all. Elsewhere {far_said} words were said: {far_lost} lost, {far_added} added, {far_rate} wrong in all.
"""

CALL = """
## Two speakers on two channels

Turns that overlap by up to a second, each channel transcribed apart: {channels} wrong.
"""


def machine() -> str:
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        name += f", {sum(line.startswith('processor') for line in lines)} cores"
    except (OSError, StopIteration):
        pass
    return name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="answers and figures; the peers' answers are in OUT/peers")
    parser.add_argument("--document", type=Path, default=HOUSE / "docs/accuracy.md")
    parser.add_argument("--model", default=str(HOUSE / "models/demo"))
    parser.add_argument("--rows", nargs="*", choices=[*ours.ROWS], default=[*ours.ROWS])
    parser.add_argument("--kinds", nargs="*", default=["single", "long", "quiet", "cuts", "call", "alone"])
    parser.add_argument("--kept", action="store_true", help="score OUT/ours.json again instead of asking a server")
    parser.add_argument("command", nargs="*", help="how verbatim is started")
    given = parser.parse_args()
    truth = json.loads((given.corpus / "truth.json").read_text(encoding="utf-8"))
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "ours.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if not given.kept:
        kept |= ours.hear(given.command, given.corpus, given.rows, given.kinds, given.model)
        path.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    found = {row: figures.of(truth, one["answers"]) | {"refused": one["refused"]} for row, one in kept.items()}
    packages = {}
    for file in sorted((given.out / "peers").glob("*.json")):
        peer = json.loads(file.read_text(encoding="utf-8"))
        found[peer["peer"]] = figures.of(truth, peer["answers"])
        packages[peer["package"]] = peer["made_of"]["version"]
        packages["torch"] = peer["made_of"]["torch"].split("+")[0]
    packages["ctranslate2"] = importlib.metadata.version("ctranslate2")
    commit = subprocess.run(["git", "-C", HOUSE, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    how = {
        "model": Path(given.model).name, "date": datetime.date.today().isoformat(), "machine": machine(), "commit": f"at {commit}" if commit else "",
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(packages.items())),
    }  # fmt: skip
    (given.out / "figures.json").write_text(json.dumps(how | {"figures": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    given.document.write_text(document(found, how), encoding="utf-8")
    print(f"{given.document} and {given.out / 'figures.json'}")


if __name__ == "__main__":
    main()
