"""Who speaks. Out: for a language, the espeak-ng voices trained on, and those kept for evaluation alone."""

ACCENTS = {
    "en": ("en-us", "en", "en-us", "en-gb-x-rp", "en-us-nyc", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029"),
    "es": ("es", "es-419"),
    "de": ("de",),
}
TRAINING = ("", "f1", "f2", "f3", "f5", "m1", "m2", "m3", "m4", "m6", "m8", "klatt", "klatt2", "klatt3", "klatt5", "klatt6", "adam",
            "Alex", "Alicia", "Andy", "Annie", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "Denis", "Diogo",
            "ed", "edward", "Gene", "Gene2", "grandma", "grandpa", "gustave", "Henrique", "Hugo", "iven", "iven2", "john", "Lee",
            "Linda", "marcelo", "Marco", "Mario", "max", "Michael", "michel", "miguel", "mike", "Mr", "Nguyen", "norbert", "pablo",
            "paul", "pedro", "quincy", "rob", "robert", "shelby", "steph", "steph2", "victor", "Zac", "anika")
FLITE_TRAINING, FLITE_HELD_OUT = ("slt", "rms", "kal16"), ("awb",)  # of the second synthesiser, English alone
HELD_OUT = ("f4", "m5", "m7", "klatt4", "Andrea", "sandro", "travis", "Jacky")


def pick(rng, language, for_evaluation):
    """A voice name such as "en-us+f2"."""
    variant = rng.choice(HELD_OUT if for_evaluation else TRAINING)
    accent = rng.choice(ACCENTS[language])
    return f"{accent}+{variant}" if variant else accent
