"""Training through the curriculum. In: clips, a folder for checkpoints. Out: last.pt there, resumed from when it exists."""

import argparse
import copy
import json
import socket
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from . import tokens
from .curriculum import CURRICULUM
from .model import Whisper
from .muon import Muon
from .windows import IGNORED, Clips, Maker

# decoder layer -> the head taught where to look: the first layer finds where the last token was heard, the others where the next one is
GUIDED = {0: 0, 1: 0, 2: 0}
STAGES = [stage.name for stage in CURRICULUM]
KEEP = 0.998                 # of the running mean of the weights, which is what is exported


class Trainee(nn.Module):
    """The model and the head that names the phoneme of each 20 ms; the head is dropped in the end."""

    def __init__(self, phonemes):
        super().__init__()
        self.whisper = Whisper()
        self.phoneme_head = nn.Linear(self.whisper.shape.width, phonemes)


def token_loss(logits, targets):
    """Cross entropy; a timestamp's neighbours share its target, as 20 ms early is nearly right."""
    chosen = targets != IGNORED
    log, targets = logits[chosen].float().log_softmax(-1), targets[chosen]
    plain = -log.gather(1, targets[:, None])[:, 0]
    timed = targets >= tokens.TIMESTAMP
    if timed.any():
        steps = torch.arange(-3, 4, device=log.device)
        weights = torch.exp(-steps.float() ** 2 / 2)
        near = (targets[timed][:, None] + steps).clamp(tokens.TIMESTAMP, tokens.SIZE - 1)
        plain = plain.masked_scatter(timed, -(log[timed].gather(1, near) * weights).sum(1) / weights.sum())
    right = log.argmax(-1) == targets
    return plain.mean(), right[~timed].float().mean()


def guide_loss(kept, spans):
    """How much of the guided heads' attention misses the span in which the token is heard."""
    last = torch.cat([torch.full_like(spans[:, :1], -1), spans[:, :-1]], 1)
    losses = []
    for layer, head in GUIDED.items():
        wanted = last if layer == 0 else spans
        has = wanted[..., 1] >= 0
        if not has.any():
            return spans.new_zeros(())
        weights = kept[layer][:, head][has]  # [tokens, frames]
        frames = torch.arange(weights.shape[-1], device=weights.device)
        inside = (frames >= wanted[has][:, :1]) & (frames <= wanted[has][:, 1:])
        losses.append(-((weights * inside).sum(-1) + 1e-4).log().mean())
    return sum(losses) / len(losses)


def losses(trainee, batch, stage):
    rest = {name: batch[f"rest_{name}"] for name in ("floor", "positions", "bias")} if "rest_bias" in batch else None
    memory, bias = trainee.whisper.encoder(batch["mel"], batch["offsets"], rest)
    guided = tuple(GUIDED) if stage.guide else ()
    logits, kept = trainee.whisper.decoder(batch["ids"], memory, batch["shifts"], guided, bias)
    text, right = token_loss(logits, batch["targets"])
    frames = F.cross_entropy(trainee.phoneme_head(memory[:, :batch["phonemes"].shape[1]]).float().flatten(0, 1), batch["phonemes"].flatten()) if stage.phonemes else text * 0
    guide = guide_loss(kept, batch["spans"]) if stage.guide else text * 0
    return text + stage.phonemes * frames + stage.guide * guide, (text.item(), right.item(), frames.item(), guide.item())


def matrices(trainee):
    """The layers' matrices, which Muon moves."""
    return [p for name, p in trainee.whisper.named_parameters() if ".layers." in name and p.dim() == 2]


def groups(trainee):
    """What AdamW moves: of it, tables and filters decay, the rest does not."""
    taken = {id(p) for p in matrices(trainee)}
    left = [p for p in trainee.parameters() if p.requires_grad and id(p) not in taken]
    return [{"params": [p for p in left if p.dim() > 1], "weight_decay": 0.01}, {"params": [p for p in left if p.dim() <= 1], "weight_decay": 0.0}]


def rate(stage, step, total):
    """A line from the stage's first rate to its last, after a warm-up at the very start and a short one at each stage's."""
    warm = min(1.0, (total + 1) / 150, 0.3 + (step + 1) / 50)
    return warm * (stage.rate + (stage.until - stage.rate) * step / stage.steps)


def flat_gradients(parameters):
    """One buffer that every gradient is a view of: summed over the workers and clipped as a whole."""
    parameters = [p for p in parameters if p.requires_grad]
    flat = torch.zeros(sum(p.numel() for p in parameters), device=parameters[0].device)
    for p, part in zip(parameters, flat.split([p.numel() for p in parameters])):
        p.grad = part.view_as(p)
    return flat


def run(worker, arguments):
    """One worker: a single thread each, as threads that wait for each other lose most of a shared processor."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if arguments.workers > 1:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{arguments.port}", rank=worker, world_size=arguments.workers)
    device, folder = torch.device(arguments.device), Path(arguments.checkpoints)
    folder.mkdir(parents=True, exist_ok=True)
    clips = Clips(arguments.clips)
    names = folder / "phonemes.json"
    if not names.exists() and worker == 0:
        names.write_text(json.dumps(clips.phoneme_names()))
    if arguments.workers > 1:
        dist.barrier()
    phonemes = json.loads(names.read_text())
    trainee = Trainee(len(phonemes) + 1).to(device)
    if arguments.start:
        trainee.whisper.load_state_dict({k: v.float() for k, v in load_file(arguments.start / "model.safetensors").items()})
    optimizer, muon = torch.optim.AdamW(groups(trainee), lr=1e-3, betas=(0.9, 0.98), fused=True), Muon(matrices(trainee))
    flat = flat_gradients(trainee.parameters())
    mean, state = copy.deepcopy(trainee).requires_grad_(False), {"stage": STAGES.index(arguments.first), "step": 0, "total": 0}
    last = folder / "last.pt"
    if last.exists():
        saved = torch.load(last, map_location=device, weights_only=True)
        trainee.load_state_dict(saved["model"])
        mean.load_state_dict(saved["mean"])
        optimizer.load_state_dict(saved["optimizer"])
        muon.load_state_dict(saved["muon"])
        state = saved["state"]
    maker = Maker(clips, Tokenizer.from_file(str(arguments.tokenizer)), phonemes, seed=1000 + 7 * state["total"] + worker)
    print(f"{sum(p.numel() for p in trainee.whisper.parameters()) / 1e6:.2f} M parameters, {len(phonemes)} phonemes, "
          f"clips { {k: len(v) for k, v in clips.by_language.items()} }, from {state}", flush=True)

    def save(path):
        if worker:
            return
        torch.save({"model": trainee.state_dict(), "mean": mean.state_dict(), "optimizer": optimizer.state_dict(),
                    "muon": muon.state_dict(), "state": state}, path)

    while state["stage"] < len(CURRICULUM):
        stage = CURRICULUM[state["stage"]]
        seen, began = [], time.time()
        for arrays in maker.batches(stage):
            if state["step"] >= min(stage.steps, arguments.at_most):
                break
            batch = {k: torch.from_numpy(v).to(device) for k, v in arrays.items()}
            muon.rate = rate(stage, state["step"], state["total"])
            for group in optimizer.param_groups:
                group["lr"] = muon.rate
            with torch.autocast(device.type, torch.bfloat16, enabled=arguments.bf16):
                loss, parts = losses(trainee, batch, stage)
            flat.zero_()
            loss.backward()
            if arguments.workers > 1:
                dist.all_reduce(flat)
                flat /= arguments.workers
            flat *= (1.0 / (flat.norm() + 1e-6)).clamp(max=1.0)
            optimizer.step()
            muon.step()
            state["step"], state["total"] = state["step"] + 1, state["total"] + 1
            with torch.no_grad():
                keep = min(KEEP, state["total"] / (state["total"] + 50))
                torch._foreach_lerp_([p for p in mean.parameters()], [p for p in trainee.parameters()], 1 - keep)
            seen.append(parts)
            if state["total"] % 20 == 0 and worker == 0:
                text, right, frames, guide = (sum(x) / len(seen) for x in zip(*seen))
                print(f"{time.strftime('%H:%M:%S')} {stage.name} {state['step']}/{stage.steps} total {state['total']} text {text:.3f} "
                      f"right {right:.3f} phonemes {frames:.3f} guide {guide:.3f} {(time.time() - began) / len(seen):.2f} s/step "
                      f"x{len(batch['ids'])}", flush=True)
                seen, began = [], time.time()
            if state["total"] % 100 == 0 and worker == 0:
                save(folder / "part.pt")
                (folder / "part.pt").rename(last)
        state["stage"], state["step"] = state["stage"] + 1, 0
        save(folder / f"after-{stage.name}.pt")
        save(last)


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="an exported folder whose weights to go on from, where there is no checkpoint")
    parser.add_argument("--first", default=STAGES[0], choices=STAGES, help="the stage to begin with, likewise")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--at-most", type=int, default=1 << 30, help="steps a stage, for a trial")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=False)
    return parser.parse_args()


if __name__ == "__main__":
    chosen = options()
    chosen.workers = 1 if chosen.device.startswith("cuda") else chosen.workers
    if chosen.workers > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            chosen.port = free.getsockname()[1]
        torch.multiprocessing.spawn(run, (chosen,), nprocs=chosen.workers)
    else:
        run(0, chosen)
