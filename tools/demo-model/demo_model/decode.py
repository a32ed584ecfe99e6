"""Greedy decoding as openai/whisper does it. In: windows [batch, 80, 3000]. Out: tokens, language, no-speech probability of each."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from . import tokens
from .model import Whisper


def load(folder):
    """The exported model in f32, its tokenizer and its generation settings."""
    folder, model = Path(folder), Whisper()
    model.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
    return model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json")), json.loads((folder / "generation_config.json").read_text())


def timestamp_rules(logits, rows, first_limit):
    """Masks what may not come next, in place; rows are the tokens sampled so far."""
    begin = tokens.TIMESTAMP
    logits[:, tokens.NO_TIMESTAMPS] = -torch.inf
    for logit, row in zip(logits, rows):
        last = len(row) >= 1 and row[-1] >= begin
        before = len(row) < 2 or row[-2] >= begin
        if last and before:
            logit[begin:] = -torch.inf
        elif last:
            logit[:tokens.EOT] = -torch.inf
        stamps = [t for t in row if t >= begin]
        if stamps:
            floor = stamps[-1] if last and not before else stamps[-1] + 1
            logit[begin:floor] = -torch.inf
        if not row:
            logit[:begin] = -torch.inf
            logit[begin + first_limit + 1:] = -torch.inf
    log = logits.log_softmax(-1)
    sure = log[:, begin:].logsumexp(-1) > log[:, :begin].max(-1).values
    logits[sure, :begin] = -torch.inf


@torch.no_grad()
def decode(model, settings, mel, languages=None, translate=False, timestamps=True, prompt=(), limit=224):
    """A dictionary a window: "tokens", "language", "no_speech"."""
    encoded, _ = model.encoder(mel)
    memory = [layer.encoder_attn.keys_values(encoded) for layer in model.decoder.layers]
    count = len(mel)
    start = model.decoder(torch.full((count, 1), tokens.SOT), memory)[0][:, 0].float()
    no_speech = start.softmax(-1)[:, tokens.NO_SPEECH]
    codes = torch.tensor(list(tokens.LANGUAGE.values()))
    found = codes[start[:, codes].argmax(-1)]
    spoken = found if languages is None else torch.tensor([tokens.LANGUAGE[code] for code in languages])
    task = torch.full((count,), tokens.TRANSLATE if translate else tokens.TRANSCRIBE)
    parts = [torch.tensor([tokens.PREV, *prompt]).expand(count, -1)] if len(prompt) else []
    parts += [torch.full((count, 1), tokens.SOT), spoken[:, None], task[:, None]]
    parts += [] if timestamps else [torch.full((count, 1), tokens.NO_TIMESTAMPS)]
    ids = torch.cat(parts, 1)
    rows, done = [[] for _ in range(count)], torch.zeros(count, dtype=torch.bool)
    for step in range(min(limit, 448 - ids.shape[1])):
        logits = model.decoder(ids, memory)[0][:, -1].float()
        logits[:, settings["suppress_tokens"]] = -torch.inf
        if step == 0:
            logits[:, settings["begin_suppress_tokens"]] = -torch.inf
        if timestamps:
            timestamp_rules(logits, rows, settings["max_initial_timestamp_index"])
        following = logits.argmax(-1).masked_fill(done, tokens.EOT)
        done |= following == tokens.EOT
        if done.all():
            break
        for row, token, finished in zip(rows, following.tolist(), done.tolist()):
            if not finished:
                row.append(token)
        ids = torch.cat([ids, following[:, None]], 1)
    names = {number: code for code, number in tokens.LANGUAGE.items()}
    return [{"tokens": row, "language": names[int(f)], "no_speech": float(p)} for row, f, p in zip(rows, found, no_speech)]


def segments(tokenizer, row, length=30.0):
    """(start, end, text) of each pair of timestamps."""
    out, start, text = [], 0.0, []
    for token in row:
        if token < tokens.TIMESTAMP:
            text.append(token)
        elif text:
            out.append((start, (token - tokens.TIMESTAMP) * 0.02, tokenizer.decode(text).strip()))
            text = []
        else:
            start = (token - tokens.TIMESTAMP) * 0.02
    return out + ([(start, length, tokenizer.decode(text).strip())] if text else [])
