"""What Whisper may say next with timestamps on: tokens so far in, a constraint out.

Follows SuppressBlank, SuppressTokens and ApplyTimestampRules, openai/whisper decoding.py at c0d2f624, lines 415-507;
the weighing of timestamps against text (its last part) is `oracle.constrain`, which needs the logits.
"""

from dataclasses import dataclass


@dataclass
class Vocabulary:
    """The ids that the rules speak of, read from a model folder's files."""

    size: int
    end: int
    start: int
    languages: dict[str, int]
    tasks: dict[str, int]
    start_of_previous: int
    no_speech: int
    no_timestamps: int
    suppress: list[int]
    begin_suppress: list[int]
    max_initial: int | None

    @property
    def times(self) -> int:
        """<|0.00|>, the first timestamp."""
        return self.no_timestamps + 1

    @classmethod
    def read(cls, tokenizer, generation: dict) -> "Vocabulary":
        """`generation` is generation_config.json; a bound it leaves out is no bound, as transformers has it."""

        def named(*names: str) -> int:
            return next(token for name in names if (token := tokenizer.token_to_id(f"<|{name}|>")) is not None)

        end, previous = named("endoftext"), named("startofprev")
        no_speech = named("nospeech", "nocaptions")
        never = [named("startoftranscript"), named("translate"), named("transcribe"), named("startoflm"), previous, no_speech]
        blank = generation.get("begin_suppress_tokens") or [*tokenizer.encode(" ", add_special_tokens=False).ids, end]
        languages = generation.get("lang_to_id") or {}
        return cls(
            size=tokenizer.get_vocab_size(),
            end=end,
            start=named("startoftranscript"),
            languages={name.strip("<|>"): token for name, token in languages.items()},
            tasks={task: named(task) for task in ("transcribe", "translate")},
            start_of_previous=previous,
            no_speech=no_speech,
            no_timestamps=named("notimestamps"),
            suppress=sorted({*(generation.get("suppress_tokens") or []), *never}),
            begin_suppress=blank,
            max_initial=generation.get("max_initial_timestamp_index"),
        )


def constraint(vocabulary: Vocabulary, sampled: list[int]) -> dict:
    """The constraint on the token after `sampled`, in the form of `Constraint` in src/model/mod.rs."""
    times, size = vocabulary.times, vocabulary.size
    forbid = [[vocabulary.no_timestamps, times]]
    if not sampled:
        forbid += [[token, token + 1] for token in vocabulary.begin_suppress]
        forbid += [[0, times]]
        if vocabulary.max_initial is not None:
            forbid += [[times + vocabulary.max_initial + 1, size]]
    last_is_time = len(sampled) >= 1 and sampled[-1] >= times
    before_is_time = len(sampled) < 2 or sampled[-2] >= times
    if last_is_time:
        forbid += [[times, size]] if before_is_time else [[0, vocabulary.end]]
    said = [token for token in sampled if token >= times]
    if said:
        # A segment may not be empty, but the next one may start where the last ended.
        forbid += [[times, said[-1] + (0 if last_is_time and not before_is_time else 1)]]
    return {"suppress": vocabulary.suppress, "forbid": forbid, "timestamps_from": times}
