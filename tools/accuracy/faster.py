"""faster-whisper on a transformers folder: the folder in; a converted model out, which knows that it has several languages."""

import json
import shutil
from pathlib import Path

import faster_whisper
import numpy as np
import torch
from ctranslate2.converters import TransformersConverter
from transformers import WhisperForConditionalGeneration


class Multilingual:
    """CTranslate2 takes a model of fewer than 51,865 tokens for an English one, and refuses to name its language.

    The language's one decoder step is transformers' therefore, on CTranslate2's encoding; everything else is CTranslate2's own.
    """

    is_multilingual = True

    def __init__(self, model, folder: Path):
        self.model = model
        whole = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.decoder, self.project = whole.model.decoder, whole.proj_out
        generation = json.loads((folder / "generation_config.json").read_text())
        self.start, self.languages = generation["decoder_start_token_id"], generation["lang_to_id"]

    def __getattr__(self, name):
        return getattr(self.model, name)

    @torch.inference_mode()
    def detect_language(self, encoded):
        encoding = torch.from_numpy(np.array(encoded))
        hidden = self.decoder(input_ids=torch.full((len(encoding), 1), self.start), encoder_hidden_states=encoding).last_hidden_state
        chances = self.project(hidden)[:, 0, list(self.languages.values())].softmax(-1).tolist()
        return [sorted(zip(self.languages, row), key=lambda pair: -pair[1]) for row in chances]


def load(folder: Path, converted: Path) -> faster_whisper.WhisperModel:
    """Converts once, float32; one thread, so that its time can be compared."""
    if not (converted / "model.bin").exists():
        TransformersConverter(str(folder)).convert(str(converted), quantization="float32", force=True)
        for name in ("tokenizer.json", "preprocessor_config.json"):
            shutil.copy(folder / name, converted / name)
    model = faster_whisper.WhisperModel(str(converted), device="cpu", compute_type="float32", cpu_threads=1)
    model.model = Multilingual(model.model, folder)
    return model
