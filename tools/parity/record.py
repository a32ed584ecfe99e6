"""Records the fixtures of `tests/parity.rs`: what transformers' Whisper answers, for seeded weights or a model folder."""

import argparse
import json
import platform
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

import folder
import oracle
import seeded
import shapes

HOUSE = Path(__file__).resolve().parents[2]
# Below this a rounding elsewhere could turn the choice: the seed or the prompt must change, not the test.
LEAST_MARGIN = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=[*shapes.SHAPES], action="append", help="only this shape; may be repeated")
    parser.add_argument("--model", type=Path, help="record this model folder instead, on the --audio files")
    parser.add_argument("--audio", type=Path, nargs="*", help="16 kHz mono WAV files (default: tests/fixtures/speech)")
    parser.add_argument("--out", type=Path, default=HOUSE / "tests/fixtures/parity")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.model:
        audio = asked.audio or sorted((HOUSE / "tests/fixtures/speech").glob("*.wav"))
        write(asked.out, asked.model.resolve().name, folder.record(asked.model, audio))
        return
    for name in asked.shape or shapes.SHAPES:
        write(asked.out, name, record(name, shapes.SHAPES[name]))


def write(out: Path, name: str, recorded: tuple[dict, dict]) -> None:
    facts, arrays = recorded
    (out / f"{name}.json").write_text(readable({"made_with": versions(), "shape": name} | facts))
    save_file({key: np.ascontiguousarray(value, dtype=np.float32) for key, value in arrays.items()}, out / f"{name}.safetensors")
    print(f"{name}: recorded", flush=True)


def record(name: str, shape: dict) -> tuple[dict, dict]:
    """Facts for the JSON file and arrays for the safetensors file of one shape."""
    model = oracle.build(shape)
    mels = [seeded.log_mel(shape["n_mels"], window) for window in range(shapes.WINDOWS)]
    encodings = [oracle.encode(model, mel) for mel in mels]
    cases = shapes.cases(shape)
    decodes = [
        oracle.greedy(model, encodings[case["window"]], case["prompt"], shape["steps"], lambda _, case=case: case["constraint"])
        for case in cases
    ]  # fmt: skip
    for case, found in zip(cases, decodes):
        if min(found.margins) < LEAST_MARGIN:
            raise SystemExit(f"{name}, {case['name']}: margins {found.margins}; change the case in shapes.py")
    aligned = cases[0]["prompt"] + decodes[0].tokens
    elsewhere, _ = oracle.decode(model, encodings[1], aligned[:-1])
    if (elsewhere - decodes[0].logits).abs().mean() < 0.3:
        raise SystemExit(f"{name}: the audio hardly matters, so a test could not tell windows apart")

    watched = shapes.watched(shape)
    positions = [*range(0, 1500, 63), 1, 749, 1498, 1499]
    channels = [*range(0, shape["d_model"], shape["d_model"] // 24)]
    rows = [1, 3, 9]
    _, attention = oracle.decode(model, encodings[0], aligned, attention=True)
    arrays = {
        f"encoder.{window}": encoding[0][positions][:, channels].numpy() for window, encoding in enumerate(encodings)
    }
    arrays["align"] = torch.stack([attention[layer, head, rows] for layer, head in shape["alignment_heads"]]).numpy()
    for place, found in enumerate(decodes):
        arrays[f"case.{place}.logits"] = found.logits[:, watched].numpy()
        arrays[f"case.{place}.logsumexp"] = found.logits.logsumexp(dim=-1).numpy()
        cases[place] |= {"tokens": found.tokens, "top5": found.top5}
        cases[place] |= {"margins": [round(value, 4) for value in found.margins]}
        cases[place] |= {"logprobs": [round(value, 6) for value in found.logprobs]}
        cases[place] |= {"argmax": found.logits.argmax(dim=-1).tolist()}
    facts = {
        "config": shapes.config(shape),
        "generation_config": shapes.generation_config(shape),
        "preprocessor_config": shapes.preprocessor_config(shape),
        "storage": {"dtype": shape["dtype"], "shards": shape["shards"]},
        "nospeech": shapes.special(shape)["nospeech"],
        "encoder": {
            "positions": positions,
            "channels": channels,
            "mean": [float(encoding.double().mean()) for encoding in encodings],
            "std": [float(encoding.double().std(correction=0)) for encoding in encodings],
        },
        "watched": watched,
        "align": {"case": 0, "rows": rows},
        "cases": cases,
        "float32_noise": noise(model, mels, encodings, cases, decodes),
    }
    return facts, arrays


def noise(model, mels, encodings, cases, decodes) -> dict:
    """How far transformers' float32 answers lie from float64's: no tolerance below this would mean anything."""
    model.double()
    exact = [oracle.encode(model, mel) for mel in mels]
    logits = [
        oracle.decode(model, exact[case["window"]], (case["prompt"] + found.tokens)[:-1])[0]
        for case, found in zip(cases, decodes)
    ]
    return {
        "encoder": max(float((a - b).abs().max()) for a, b in zip(exact, encodings)),
        "logits": max(float((a - b.logits).abs().max()) for a, b in zip(logits, decodes)),
    }


def versions() -> dict:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def readable(facts: dict) -> str:
    """JSON with one line for each list of numbers, so that a change of a fixture can be read in a diff."""
    lists = {}

    def hold(value):
        if isinstance(value, dict):
            return {key: hold(inner) for key, inner in value.items()}
        if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
            return [hold(inner) for inner in value]
        if isinstance(value, list):
            lists[f"@{len(lists)}@"] = json.dumps(value)
            return f"@{len(lists) - 1}@"
        return value

    text = json.dumps(hold(facts), indent=2, ensure_ascii=False)
    for mark, line in lists.items():
        text = text.replace(f'"{mark}"', line)
    return text + "\n"


if __name__ == "__main__":
    main()
