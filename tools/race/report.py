"""All figures of a race in; the page for people out. Ratios of medians are the result: milliseconds are of one machine on one day.

    python tools/race/report.py target/race/results.json > docs/benchmarks.md
"""

import json
import sys
from pathlib import Path

import quality_figures as quality

# Ours, theirs, batch (or None: each), how many times as many windows a second at least.
GOALS = [
    ("verbatim q8_0", "ctranslate2 int8", 8, 1.5),
    ("verbatim q8_0", "ctranslate2 int8", 1, 1.0),
    ("verbatim f32", "ctranslate2 float32", None, 1.3),
    ("verbatim f32", "openai-whisper float32", None, 3.0),
    ("verbatim q8_0", "openai-whisper float32", None, 3.0),
]
MEL_GOAL = 10.0
# Peak memory of ours must not be above theirs.
MEMORY = [("verbatim q8_0", "ctranslate2 int8"), ("verbatim f32", "ctranslate2 float32")]


def median(values: list[float]) -> float:
    ordered = sorted(values)
    low, high = (len(ordered) - 1) // 2, len(ordered) // 2
    return (ordered[low] + ordered[high]) / 2


def short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head: list[str], rows: list[list[str]], labels: int = 1) -> list[str]:
    rule = ["---"] * labels + ["--:"] * (len(head) - labels)
    return ["| " + " | ".join(row) + " |" for row in [head, rule, *rows]] + [""]


def lanes(cell: dict) -> dict[str, dict]:
    return {lane["name"]: lane for lane in cell["lanes"] if lane["runs"]}


def stage(lane: dict, name: str) -> float:
    return median([run[name] for run in lane["runs"]])


def ratio(cell: dict, ours: str, theirs: str) -> float | None:
    """How many times as many windows a second, encoder and tokens."""
    found = lanes(cell)
    return stage(found[theirs], "encode_tokens") / stage(found[ours], "encode_tokens") if ours in found and theirs in found else None


def markdown(results: dict) -> str:
    parts = [head(results), goals(results), *(speed(cell, results["asked"]) for cell in results["cells"])]
    parts += [mel(results["mel"]), quality.markdown(results["quality"], table), left_out(results), method(results)]
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def head(results: dict) -> list[str]:
    machine, asked, binary = results["machine"], results["asked"], results["binary"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        "# Benchmarks", "",
        "Verbatim beside other programs on a CPU: the same shapes, random weights of the same values, the same sound, the same number of tokens, the same",
        "threads, taken in turns in one run. **Read the ratios**: milliseconds are of this machine on this day. `make race` writes this page.", "",
        f"- {results['date']}; {machine['cpu']}, {machine['cores']} cores ({', '.join(machine['features'])}), {machine['memory_gib']} GiB, {machine['system']}",
        f"- {asked['threads']} threads, {asked['tokens']} tokens of each window of 30 s, {asked['rounds']} round{'' if asked['rounds'] == 1 else 's'}",
        f"- verbatim {binary['verbatim']} ({binary['build']}), Python {results['python']}, {versions}",
    ]  # fmt: skip
    return lines + [f"- {sentence}" for sentence in [*disturbance(results), *results["notes"]]] + [""]


def disturbance(results: dict) -> list[str]:
    """Whether others were at work on the machine, as the scheduler counted it."""
    every = [lane for cell in results["cells"] for lane in cell["lanes"]]
    runs = [run for lane in every for run in lane["runs"]]
    waited, ran = (sum(run.get(name, 0.0) for run in runs) for name in ("waited_s", "ran_s"))
    ours = [run for run in runs if "doubts" in run]
    doubted = sum(bool(run["doubts"]) for run in ours)
    lines = []
    if waited > (waited + ran) / 20 or doubted > len(ours) / 20:
        lines.append(
            f"**Others used the machine meanwhile**: the peers' threads waited for a core for {waited / (waited + ran or 1):.0%} of the time that they wanted one, and "
            f"{doubted} of {len(ours)} turns of Verbatim call themselves doubtful. Turns alternate, so ratios suffer less than times; they suffer all the same"
        )
    return lines


def goals(results: dict) -> list[str]:
    rows = []

    def row(what: str, goal: str, found: str, met: bool | None) -> None:
        rows.append([what, goal, found, "not measured" if met is None else "yes" if met else "**no**"])

    for ours, theirs, batch, least in GOALS:
        for cell in results["cells"]:
            if batch in (None, cell["batch"]):
                times = ratio(cell, ours, theirs)
                what = f"{cell['model']}, batch {cell['batch']}: {ours} against {theirs}, windows a second"
                row(what, f"at least {least} times", "-" if times is None else f"{times:.2f} times", None if times is None else times >= least)
    if results["mel"]:
        times = median(results["mel"]["openai-whisper"]) / median(results["mel"]["verbatim"])
        row("log-mel of one window against openai-whisper's", f"at least {MEL_GOAL:.0f} times", f"{times:.1f} times", times >= MEL_GOAL)
    for ours, theirs in MEMORY:
        for cell in results["cells"]:
            found = lanes(cell)
            if ours in found and theirs in found:
                share = found[ours]["peak_bytes"] / found[theirs]["peak_bytes"]
                row(f"{cell['model']}, batch {cell['batch']}: peak memory of {ours} against {theirs}", "at most 1.00 times", f"{share:.2f} times", share <= 1)
    for what, goal, found, met in quality.goals(results["quality"]):
        row(what, goal, found, met)
    return ["## Goals", "", "Against CTranslate2 (what faster-whisper runs on) and openai-whisper; encoder and tokens, log-mel apart.", "",
            *table(["", "Goal", "Found", "Met"], rows)]  # fmt: skip


def speed(cell: dict, asked: dict) -> list[str]:
    found, batch = lanes(cell), cell["batch"]
    ours = [name for name in found if name.startswith("verbatim")]
    heading = ["", "Windows/s", "ms a window", "least to most", "encoder, ms", "log-mel, ms", "Peak memory, MiB", *(f"{name} is faster by" for name in ours)]
    rows = []
    for name in sorted(found, key=lambda name: stage(found[name], "encode_tokens")):
        lane = found[name]
        spent = [run["encode_tokens"] / batch for run in lane["runs"]]
        times = ["" if name == our else f"{ratio(cell, our, name):.2f}" for our in ours]
        rows.append([
            f"**{name}**" if name in ours else name, short(1e3 / median(spent)), short(median(spent)), f"{short(min(spent))} to {short(max(spent))}",
            short(stage(lane, "encode") / batch), short(stage(lane, "mel") / batch), f"{lane['peak_bytes'] / 2**20:,.0f}", *times,
        ])  # fmt: skip
    together = "one window at a time" if batch == 1 else f"{batch} windows together"
    return [f"## {cell['model']}, {together}", "", f"Encoder and {asked['tokens']} tokens; medians, for each window.{agreement(found)}", "", *table(heading, rows)]


def agreement(found: dict[str, dict]) -> str:
    """Whether the peers that choose their tokens chose the same from the same weights: that they did the same work."""
    said = {name: lane["said"] for name, lane in found.items() if lane.get("said")}
    first = next((name for name in said if name.endswith("float32")), None)
    if first is None or len(said) < 2:
        return ""

    def same(name: str) -> int:
        return next((at for at, (one, other) in enumerate(zip(said[name], said[first])) if one != other), len(said[first]))

    others = [f"{name} {same(name)}" for name in said if name != first]
    return f" Of the first window's {len(said[first])} tokens these are as {first}'s until they first differ: {', '.join(others)}."


def mel(found: dict | None) -> list[str]:
    if not found:
        return []
    rows = [[name, short(median(spent)), f"{short(min(spent))} to {short(max(spent))}"] for name, spent in found.items()]
    return ["## Log-mel alone", "", "30 s of samples to 80 bins, one window, medians of rounds.", "", *table(["", "ms", "least to most"], rows)]


def left_out(results: dict) -> list[str]:
    failed = {f"{lane['name']}, {cell['model']}, batch {cell['batch']}": lane["failed"]
              for cell in results["cells"] for lane in cell["lanes"] if lane["failed"]}  # fmt: skip
    rows = [f"- {name}: {reason}" for name, reason in (results["left_out"] | failed).items()]
    return ["## Not run", "", *(rows or ["Nothing was left out."]), ""]


def method(results: dict) -> list[str]:
    return [
        "## How", "",
        "- A round gives each peer a turn, and Verbatim one before each, in the dtype nearest to the peer's; who begins changes. A peer's process lives",
        "  through all rounds and warms up once. Verbatim's is `verbatim bench --repeat 1`, begun for every turn, which loads and warms up before the run that counts.",
        "- Every program reads the prompt (start, English, transcribe, no timestamps) and gives exactly as many tokens: the end of text cannot be chosen.",
        "- CTranslate2 is called as faster-whisper calls it (`models.Whisper`, encode, then generate without beams), with faster-whisper's log-mel; faster-whisper's own Python",
        "  around it is left out, in time and in memory. openai-whisper and transformers encode inside their `decode` and `generate`; their encoder is timed once more alone.",
        "- whisper.cpp has no batch of windows: they go through one after the other, and its next token is given, not searched for. It is built on this machine.",
        "- Peak memory is of the whole process, interpreter and libraries included. Verbatim's includes the random weights as they are drawn.",
        "", "tools/race/README.md has the commands.", "",
    ]  # fmt: skip


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), end="")
