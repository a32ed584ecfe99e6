"""The tokenizer: byte-level BPE as Whisper's, special tokens in Whisper's order. In: the grammar. Out: tokenizer.json and token ids."""

import random

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from . import grammar

TEXT_TOKENS = 768
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|es|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
           "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
EOT, SOT, EN, ES, DE, TRANSLATE, TRANSCRIBE, START_OF_LM, PREV, NO_SPEECH, NO_TIMESTAMPS = range(TEXT_TOKENS, TEXT_TOKENS + len(SPECIAL))
LANGUAGE = {"en": EN, "es": ES, "de": DE}
TIMESTAMP = NO_TIMESTAMPS + 1
SIZE = TIMESTAMP + 1501


def build(seed=0, meanings=60000):
    """Trains the merges on a fixed draw of sentences and adds the special tokens after the text tokens."""
    rng = random.Random(seed)
    texts = [" " + text for _ in range(meanings) for text in grammar.sentence(rng).values()]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=TEXT_TOKENS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(f"<|{i * 0.02:.2f}|>", special=False, normalized=False) for i in range(1501)])
    assert tokenizer.get_vocab_size() == SIZE and tokenizer.token_to_id("<|30.00|>") == SIZE - 1
    assert tokenizer.token_to_id("<|endoftext|>") == EOT
    return tokenizer


def words_to_tokens(tokenizer, text):
    """The token ids of " text" and, for each, the number of the word it belongs to."""
    ids, owners = [], []
    for number, word in enumerate(text.split()):
        pieces = tokenizer.encode(" " + word, add_special_tokens=False).ids
        ids += pieces
        owners += [number] * len(pieces)
    return ids, owners
