"""Whisper in PyTorch, parameter names as in transformers. In: log-mel windows and tokens. Out: logits, and what training guides."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from . import tokens


@dataclass
class Shape:
    width: int = 192
    heads: int = 3
    encoder_layers: int = 4
    decoder_layers: int = 3
    mels: int = 80
    source_positions: int = 1500
    target_positions: int = 448
    vocabulary: int = tokens.SIZE


def sinusoids(length, channels):
    """The reference's fixed positions: sines, then cosines."""
    scale = math.log(10000) / (channels // 2 - 1)
    angles = torch.arange(length)[:, None] * torch.exp(-scale * torch.arange(channels // 2))[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(3))
        self.k_proj = nn.Linear(width, width, bias=False)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, memory):
        return self.split(self.k_proj(memory)), self.split(self.v_proj(memory))

    def forward(self, x, memory=None, causal=False, keep_weights=False, bias=None):
        """Attends to memory (itself when none is given), which may come as the keys and values made from it before; bias is a row a key."""
        q = self.split(self.q_proj(x))
        k, v = memory if isinstance(memory, tuple) else self.keys_values(x if memory is None else memory)
        weights = None
        # written out, it also takes half the time of the fused form on a processor, unless the rows are long
        if keep_weights or bias is not None or (not causal and self.training and k.shape[2] < 800):
            scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2)
            weights = (scores if bias is None else scores + bias[:, None, None].to(scores.dtype)).softmax(-1)
            mixed = weights @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), weights


class EncoderLayer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, bias):
        x = x + self.self_attn(self.self_attn_layer_norm(x), bias=bias)[0]
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class DecoderLayer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.self_attn, self.encoder_attn = Attention(width, heads), Attention(width, heads)
        self.self_attn_layer_norm, self.encoder_attn_layer_norm, self.final_layer_norm = (nn.LayerNorm(width) for _ in range(3))
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, memory, keep_weights, bias):
        x = x + self.self_attn(self.self_attn_layer_norm(x), causal=True)[0]
        crossed, weights = self.encoder_attn(self.encoder_attn_layer_norm(x), memory, keep_weights=keep_weights, bias=bias)
        x = x + crossed
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))), weights


class Encoder(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.conv1 = nn.Conv1d(shape.mels, shape.width, 3, padding=1)
        self.conv2 = nn.Conv1d(shape.width, shape.width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(shape.source_positions, shape.width)
        self.embed_positions.weight = nn.Parameter(sinusoids(shape.source_positions, shape.width), requires_grad=False)
        self.layers = nn.ModuleList(EncoderLayer(shape.width, shape.heads) for _ in range(shape.encoder_layers))
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(self, mel, offsets=None, rest=None):
        """Encodes mel [batch, 80, frames], a cut of the 30-s window that begins at 20-ms position offsets[batch].

        rest stands in for the silent remainder of the frame: "floor" [batch], its mel value, "positions" [batch, some], a sample of its
        positions, and "bias" [batch], the logarithm of how many positions each of these stands for. Then the second result is the
        attention bias of every position, else None.
        """
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        positions, bias = torch.arange(x.shape[1], device=x.device)[None, :], None
        if offsets is not None:
            positions = positions + offsets[:, None]
        x = x + self.embed_positions.weight[positions].to(x.dtype)
        if rest is not None:
            silent = rest["floor"][:, None, None].to(mel.dtype).expand(-1, mel.shape[1], 10)
            silent = F.gelu(self.conv2(F.gelu(self.conv1(silent)))).transpose(1, 2)[:, 2:3]
            bias = torch.cat([torch.zeros_like(x[:, :, 0], dtype=torch.float32), rest["bias"][:, None].expand_as(rest["positions"])], 1)
            x = torch.cat([x, silent + self.embed_positions.weight[rest["positions"]].to(x.dtype)], 1)
        for layer in self.layers:
            x = layer(x, bias)
        return self.layer_norm(x), bias


class Decoder(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.embed_positions = nn.Embedding(shape.target_positions, shape.width)
        self.layers = nn.ModuleList(DecoderLayer(shape.width, shape.heads) for _ in range(shape.decoder_layers))
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(self, ids, memory, shifts=None, keep_weights=(), bias=None):
        """Logits, and the cross-attention weights of the layers named in keep_weights."""
        positions = torch.arange(ids.shape[1], device=ids.device)[None, :]
        if shifts is not None:
            positions = positions + shifts[:, None]
        x = self.embed_tokens(ids) + self.embed_positions(positions)
        kept = {}
        for number, layer in enumerate(self.layers):
            x, kept[number] = layer(x, memory[number] if isinstance(memory, list) else memory, number in keep_weights, bias)
        return F.linear(self.layer_norm(x), self.embed_tokens.weight), kept


class Whisper(nn.Module):
    """The keys of its state are those of transformers' WhisperForConditionalGeneration."""

    def __init__(self, shape=Shape()):
        super().__init__()
        self.shape = shape
        self.model = nn.ModuleDict({"encoder": Encoder(shape), "decoder": Decoder(shape)})
        self.apply(self._start)
        with torch.no_grad():
            decoder = self.model["decoder"]
            decoder.embed_positions.weight.copy_(0.02 * sinusoids(shape.target_positions, shape.width))
            # a timestamp's row starts as the encoder position it names, so that neighbours in time are neighbours here
            times = sinusoids(1501, shape.width)
            decoder.embed_tokens.weight[tokens.TIMESTAMP:] += 0.05 * (times - times.mean(0))

    @staticmethod
    def _start(module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.03)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding) and module.weight.requires_grad:
            nn.init.normal_(module.weight, std=0.03)

    @property
    def encoder(self):
        return self.model["encoder"]

    @property
    def decoder(self):
        return self.model["decoder"]
