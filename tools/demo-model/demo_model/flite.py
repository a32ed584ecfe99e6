"""A second English synthesiser, libflite. In: text and voice. Out: samples, their rate, and word times in seconds; no phonemes."""

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_float, c_int, c_short, c_void_p

import numpy as np

VOICES = ("slt", "rms", "awb", "kal16")


class Wave(Structure):
    _fields_ = [("type", c_char_p), ("sample_rate", c_int), ("num_samples", c_int), ("num_channels", c_int), ("samples", POINTER(c_short))]


class Flite:
    def __init__(self):
        self.library = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
        for name in ("libflite_cmulex.so.1", "libflite_usenglish.so.1"):
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        calls = {"flite_synth_text": (c_void_p, [c_char_p, c_void_p]), "utt_wave": (POINTER(Wave), [c_void_p]),
                 "utt_relation": (c_void_p, [c_void_p, c_char_p]), "relation_head": (c_void_p, [c_void_p]), "item_next": (c_void_p, [c_void_p]),
                 "item_as": (c_void_p, [c_void_p, c_char_p]), "item_parent": (c_void_p, [c_void_p]),
                 "flite_ffeature_float": (c_float, [c_void_p, c_char_p]),
                 "delete_utterance": (None, [c_void_p])}
        for name, (result, arguments) in calls.items():
            function = getattr(self.library, name)
            function.restype, function.argtypes = result, arguments
        self.library.flite_init()
        self.voices = {}
        for voice in VOICES:
            register = getattr(ctypes.CDLL(f"libflite_cmu_us_{voice}.so.1", mode=ctypes.RTLD_GLOBAL), f"register_cmu_us_{voice}")
            register.restype, register.argtypes = c_void_p, [c_char_p]
            self.voices[voice] = register(None)

    def speak(self, text, voice):
        """(samples as float32, rate, [(word, start, end)]); None for the words where its count differs from the text's."""
        utterance = self.library.flite_synth_text(text.encode(), self.voices[voice])
        wave = self.library.utt_wave(utterance).contents
        samples = np.ctypeslib.as_array(wave.samples, shape=(wave.num_samples,)).astype(np.float32) / 32768.0
        words, before, current = [], 0.0, None
        item = self.library.relation_head(self.library.utt_relation(utterance, b"Segment"))
        while item:
            end = self.library.flite_ffeature_float(item, b"end")
            inside = self.library.item_as(item, b"SylStructure")
            if inside:  # a pause belongs to no syllable
                word = self.library.item_parent(self.library.item_parent(inside))
                if word != current:
                    current = word
                    words.append([before, end])
                words[-1][1] = end
            before = end
            item = self.library.item_next(item)
        rate = wave.sample_rate
        self.library.delete_utterance(utterance)
        expected = text.split()
        return samples, rate, [(e, a, b) for e, (a, b) in zip(expected, words)] if len(expected) == len(words) else None
