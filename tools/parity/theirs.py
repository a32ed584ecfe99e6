"""transformers' generate beside the reference: samples and options in; tokens out, and where they differ from the reference's."""

from pathlib import Path

import numpy as np
import torch
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration


class Transformers:
    def __init__(self, folder: Path):
        self.model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.extractor = WhisperFeatureExtractor.from_pretrained(folder)
        generation = self.model.generation_config
        self.end, self.no_timestamps = generation.eos_token_id, generation.no_timestamps_token_id

    def plain(self, tokens: list[int]) -> list[int]:
        """Without prompts and ends: some versions give them and some do not."""
        return [token for token in tokens if token < self.end or token > self.no_timestamps]

    @torch.no_grad()
    def window(self, samples: np.ndarray, options: dict, case: dict) -> dict | None:
        """One window with beams; its length penalty is another formula (sum / length ** penalty), and it has no patience."""
        if options["patience"] or options["length_penalty"]:
            return None
        features = self.extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
        found = self.model.generate(
            features,
            return_timestamps=not options["without_timestamps"],
            language=case["language"],
            task=options["task"],
            num_beams=options["beam_size"] or 1,
        )
        tokens = self.plain(found[0].tolist())
        return {"same": True} if tokens == case["tokens"] else {"same": False, "tokens": tokens}

    @torch.no_grad()
    def whole(self, samples: np.ndarray, options: dict) -> list[dict]:
        """Segments with their times: of one padded window up to 30 s, by sequential long form beyond."""
        short = len(samples) <= 480_000
        shape = {"padding": "max_length"} if short else {"padding": "longest", "truncation": False, "return_attention_mask": True}
        made = self.extractor(samples, sampling_rate=16_000, return_tensors="pt", **shape)
        if not short:
            options = options | {"attention_mask": made.attention_mask}
        found = self.model.generate(made.input_features, return_timestamps=True, return_segments=True, **options)
        return [
            {"start": round(float(s["start"]), 2), "end": round(float(s["end"]), 2), "tokens": self.plain(s["tokens"].tolist())}
            for s in found["segments"][0]
        ]
