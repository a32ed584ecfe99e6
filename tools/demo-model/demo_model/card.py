"""The card's tables. In: the report of evaluate.py. Out: Markdown."""

import argparse
import json
from pathlib import Path


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def percent(share):
    return f"{100 * share:.1f} %"


def tables(figures):
    heard = {name: f for name, f in figures.items() if "language_right" in f}
    lines = [row("", "Windows", "Words", "Word errors", "Language right", "Number of segments right", "Edges, median", "Edges within 0.2 s"),
             row("---", *["--:"] * 7)]
    for name, f in heard.items():
        edges = (f"{f['edge_median_s']:.3f} s", f"{percent(f['edges_within_0.2_s'])} of {f['edges']}") if "edges" in f else ("", "none to compare")
        lines.append(row(name, f["windows"], f["words"], percent(f["wer"]), percent(f["language_right"]), percent(f["segment_count_right"]), *edges))
    lines += ["", row("Translation, earlier text", "Windows", "Words", "Word errors"), row("---", *["--:"] * 3)]
    for name, f in figures.items():
        if name not in heard and "wer" in f:
            lines.append(row(name, f["windows"], f["words"], percent(f["wer"])))
    quiet = figures["no speech"]
    lines += ["", f"No speech: {percent(quiet['told_apart'])} of {quiet['speech_windows']} windows with speech and {quiet['quiet_windows']} without are told "
              f"apart by the probability of\n`<|nospeech|>` after `<|startoftranscript|>` at {quiet['threshold']}; the highest on speech was "
              f"{quiet['highest_on_speech']:.3f}, the lowest on silence or noise {quiet['lowest_on_quiet']:.3f}."]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    print(tables(json.loads(parser.parse_args().report.read_text())))
