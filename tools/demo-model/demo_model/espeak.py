"""Speech from libespeak-ng. In: text, voice, rate, pitch. Out: samples at 22,050 Hz, word times and phoneme times in seconds."""

import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, Union, byref, c_char, c_char_p, c_int, c_short, c_size_t, c_uint, c_void_p

import numpy as np

RATE_PARAMETER, PITCH_PARAMETER, RANGE_PARAMETER = 1, 3, 4
WORD, END, PHONEME = 1, 5, 7
PAUSES = ("_", "_:", "_!", "_|", "_^_", "|", "")


class Identity(Union):
    _fields_ = [("number", c_int), ("name", c_char_p), ("string", c_char * 8)]


class Event(Structure):
    _fields_ = [("type", c_int), ("unique_identifier", c_uint), ("text_position", c_int), ("length", c_int),
                ("audio_position", c_int), ("sample", c_int), ("user_data", c_void_p), ("id", Identity)]


Callback = CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(Event))


class Espeak:
    """One synthesiser a process: the library keeps global state."""

    def __init__(self):
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        synchronous, phoneme_events = 2, 1
        self.sample_rate = self.library.espeak_Initialize(synchronous, 500, None, phoneme_events)
        if self.sample_rate <= 0:
            raise RuntimeError("espeak-ng could not start: is its data installed?")
        self.callback = Callback(self._collect)
        self.library.espeak_SetSynthCallback(self.callback)
        self.library.espeak_Synth.argtypes = [c_char_p, c_size_t, c_uint, c_int, c_uint, c_uint, POINTER(c_uint), c_void_p]
        self.voice = None

    def _collect(self, samples, count, events):
        if samples and count > 0:
            self.chunks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        at = 0
        while events[at].type:
            event = events[at]
            if event.type in (WORD, END, PHONEME):
                # .string is the eight bytes in place; a phoneme's name is at most seven of them
                name = event.id.string.decode("utf-8", "replace") if event.type == PHONEME else ""
                self.events.append((event.type, event.sample, event.text_position, name))
            at += 1
        return 0

    def speak(self, text, voice, rate=175, pitch=50, pitch_range=50):
        """(samples as float32, [(word, start, end)], [(phoneme, start, end)]); words are the text split at spaces."""
        if voice != self.voice:
            if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ValueError(f"espeak-ng has no voice {voice}")
            self.voice = voice
        for parameter, value in ((RATE_PARAMETER, rate), (PITCH_PARAMETER, pitch), (RANGE_PARAMETER, pitch_range)):
            self.library.espeak_SetParameter(parameter, int(value), 0)
        self.chunks, self.events = [], []
        encoded, identifier = text.encode() + b"\0", c_uint(0)
        self.library.espeak_Synth(encoded, len(encoded), 0, 1, 0, 1, byref(identifier), None)
        samples = np.concatenate(self.chunks).astype(np.float32) / 32768.0
        return samples, *self._times(text, len(samples))

    def _times(self, text, length):
        scale = 1.0 / self.sample_rate
        marks = [(kind, sample, position, name) for kind, sample, position, name in self.events if kind != END]
        phonemes = []
        spoken = sorted(((sample, name) for kind, sample, _, name in marks if kind == PHONEME), key=lambda p: p[0])
        for (sample, name), following in zip(spoken, spoken[1:] + [(length, "")]):
            if following[0] > sample:
                phonemes.append((name, sample * scale, following[0] * scale))
        sounding = [p for p in phonemes if p[0] not in PAUSES]
        starts, at = [], 0
        for word in text.split():
            at = text.index(word, at)
            inside = [s for kind, s, position, _ in marks if kind == WORD and at < position <= at + len(word)]
            starts.append(min(inside) * scale if inside else None)
            at += len(word)
        words = []
        for i, word in enumerate(text.split()):
            start = starts[i]
            later = next((s for s in starts[i + 1:] if s is not None), length * scale)
            if start is None:  # the library joined this word to the one before
                words.append([word, None, later])
                continue
            inside = [p for p in sounding if start - 0.005 <= p[1] < later - 0.002]
            words.append([word, inside[0][1] if inside else start, inside[-1][2] if inside else later])
        return self._shared(words), phonemes

    @staticmethod
    def _shared(words):
        """Gives joined words an equal part of the time of the group they were spoken in."""
        i = 0
        while i < len(words):
            j = i + 1
            while j < len(words) and words[j][1] is None:
                j += 1
            if words[i][1] is None:
                words[i][1] = 0.0
            if j > i + 1:
                start, end = words[i][1], words[i][2]
                step = (end - start) / (j - i)
                for k in range(i, j):
                    words[k][1:] = [start + (k - i) * step, start + (k - i + 1) * step]
            i = j
        return [tuple(w) for w in words]
