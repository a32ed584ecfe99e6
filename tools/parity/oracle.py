"""transformers' Whisper asked plainly: windows in, encodings, logits, greedy tokens and attention out."""

from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

import seeded
import shapes


@dataclass
class Decode:
    """One greedy decode: the tokens after the prompt, and what each step looked like."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    top5: list[list[int]] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)  # Best allowed logit less the next allowed one.
    logits: torch.Tensor | None = None  # [prompt + tokens - 1, vocab], before any constraint.


def build(shape: dict) -> WhisperForConditionalGeneration:
    """A float32 model whose every weight comes from `seeded.weight`, rounded as the stored file would round it."""
    model = WhisperForConditionalGeneration(WhisperConfig(**shapes.config(shape), attn_implementation="eager"))
    stored = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[shape["dtype"]]
    with torch.no_grad():
        for name, parameter in model.state_dict().items():
            if name != "proj_out.weight":  # Tied to the token embedding.
                values = torch.from_numpy(seeded.weight(name, tuple(parameter.shape)))
                parameter.copy_(values.to(stored))
    if model.proj_out.weight.data_ptr() != model.model.decoder.embed_tokens.weight.data_ptr():
        raise SystemExit("the output matrix is not tied to the embedding: the fixtures would not match the files")
    return model.eval()


@torch.inference_mode()
def encode(model, log_mel: np.ndarray) -> torch.Tensor:
    """`[n_mels, 3000]` to `[1, 1500, d]`."""
    features = torch.from_numpy(log_mel)[None].to(model.dtype)
    return model.model.encoder(features).last_hidden_state


@torch.inference_mode()
def decode(model, encoding: torch.Tensor, tokens: list[int], attention: bool = False):
    """Teacher-forced from position 0, without a cache: `[tokens, vocab]`, and `[layers, heads, tokens, 1500]` if asked."""
    out = model.model.decoder(
        input_ids=torch.tensor([tokens]), encoder_hidden_states=encoding, use_cache=False, output_attentions=attention
    )
    logits = model.proj_out(out.last_hidden_state)[0]
    return (logits, torch.stack(out.cross_attentions)[:, 0]) if attention else (logits, None)


def constrain(logits: torch.Tensor, constraint: dict) -> torch.Tensor:
    """One row of logits with all that `constraint` rules out at minus infinity (openai/whisper's decoding.py, lines 415-507)."""
    allowed = logits.clone()
    allowed[constraint["suppress"]] = -torch.inf
    for start, end in constraint["forbid"]:
        allowed[start:end] = -torch.inf
    times = constraint["timestamps_from"]
    if times is not None:
        logprobs = torch.log_softmax(allowed, dim=-1)
        if logprobs[times:].logsumexp(dim=-1) > logprobs[:times].max():
            allowed[:times] = -torch.inf
    return allowed


def greedy(model, encoding: torch.Tensor, prompt: list[int], steps: int, rule, end: int | None = None) -> Decode:
    """At most `steps` tokens, up to and with `end`. `rule(sampled)` gives the constraint of the next token."""
    found = Decode()
    while len(found.tokens) < steps and (end is None or end not in found.tokens):
        found.logits, _ = decode(model, encoding, prompt + found.tokens)
        allowed = constrain(found.logits[-1], rule(found.tokens))
        best = allowed.topk(5)
        found.tokens.append(int(best.indices[0]))
        found.logprobs.append(float(torch.log_softmax(allowed, dim=-1)[best.indices[0]]))
        found.top5.append([int(token) for token, value in zip(*best[::-1]) if value > -torch.inf])
        found.margins.append(float(best.values[0] - best.values[1]))
    return found
