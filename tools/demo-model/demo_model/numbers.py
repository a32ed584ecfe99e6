"""Numbers, times, dates, years and digits in words. In: a random generator. Out: (English, Spanish, German) phrases of one meaning."""

EN = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
      "eighteen nineteen").split()
ES = ("cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete dieciocho "
      "diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis veintisiete veintiocho veintinueve").split()
DE = ("null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn "
      "neunzehn").split()
EN_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ES_TENS = "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa".split()
DE_TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
EN_ORDINAL = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
              "sixteenth seventeenth eighteenth nineteenth").split()
DE_ORDINAL = ("ersten zweiten dritten vierten fünften sechsten siebten achten neunten zehnten elften zwölften dreizehnten "
              "vierzehnten fünfzehnten sechzehnten siebzehnten achtzehnten neunzehnten").split()
MONTHS = list(zip("January February March April May June July August September October November December".split(),
                  "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),
                  "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()))


def cardinal(n):
    """0 to 99 in the three languages."""
    tens, ones = divmod(n, 10)
    if n < 20:
        en, de = EN[n], DE[n]
    else:
        en = EN_TENS[tens - 2] + (f" {EN[ones]}" if ones else "")
        de = (("ein" if ones == 1 else DE[ones]) + "und" if ones else "") + DE_TENS[tens - 2]
    es = ES[n] if n < 30 else ES_TENS[tens - 2] + (f" y {ES[ones]}" if ones else "")
    return en, es, de


def count(rng):
    """A number before a plural noun: never ending in one, which Spanish would inflect."""
    n = 1
    while n % 10 == 1 and n != 11:
        n = rng.choice([rng.randrange(2, 13), rng.randrange(2, 100), 10 * rng.randrange(1, 10)])
    if rng.random() < 0.08:
        hundreds = rng.randrange(2, 10)
        es = {5: "quinientos", 7: "setecientos", 9: "novecientos"}.get(hundreds, ES[hundreds] + "cientos")
        en, word, de = cardinal(n)
        return f"{EN[hundreds]} hundred and {en}", f"{es} {word}", f"{DE[hundreds]}hundert{de}"
    return cardinal(n)


def digits(rng):
    """Three to six digits, read one by one."""
    drawn = [rng.randrange(10) for _ in range(rng.randrange(3, 7))]
    return tuple(" ".join(words[d] for d in drawn) for words in (EN, ES, DE))


def times(hour, minutes):
    """The ways to name a clock time in an hour, as it follows "at", "a" and "um"; minutes is 5, 10 or 20."""
    en, es, de = cardinal(hour)
    after_en, after_es, after_de = cardinal(hour + 1)
    minute_en, minute_es, minute_de = cardinal(minutes)
    return [
        (f"{en} o'clock", f"las {es}", f"{de} Uhr"),
        (f"{en} o'clock", f"las {es}", f"{de} Uhr"),
        (f"half past {en}", f"las {es} y media", f"halb {after_de}"),
        (f"quarter past {en}", f"las {es} y cuarto", f"Viertel nach {de}"),
        (f"quarter to {after_en}", f"las {after_es} menos cuarto", f"Viertel vor {after_de}"),
        (f"{minute_en} past {en}", f"las {es} y {minute_es}", f"{minute_de} nach {de}"),
        (f"{minute_en} to {after_en}", f"las {after_es} menos {minute_es}", f"{minute_de} vor {after_de}"),
    ]


def time(rng):
    hour = rng.randrange(2, 12)
    return rng.choice(times(hour, rng.choice([5, 10, 20])))


def every_time():
    return [row for hour in range(2, 12) for minutes in (5, 10, 20) for row in times(hour, minutes)]


def day_of_month(day):
    tens, ones = divmod(day, 10)
    if day < 20:
        en, de = EN_ORDINAL[day - 1], DE_ORDINAL[day - 1]
    else:
        en = f"{EN_TENS[tens - 2]} {EN_ORDINAL[ones - 1]}" if ones else {2: "twentieth", 3: "thirtieth"}[tens]
        de = cardinal(day)[2] + "sten"
    return en, "primero" if day == 1 else cardinal(day)[1], de


def every_day():
    return [day_of_month(day) for day in range(1, 32)]


def date(rng):
    """A day and a month as they follow "on", "el" and "am"."""
    (en_day, es_day, de_day), (en, es, de) = day_of_month(rng.randrange(1, 32)), rng.choice(MONTHS)
    return f"the {en_day} of {en}", f"{es_day} de {es}", f"{de_day} {de}"


def year(rng):
    """1930 to 2029."""
    n = rng.randrange(1930, 2030)
    en, es, de = cardinal(n % 100)
    if n < 2000:
        return f"nineteen {en}", f"mil novecientos {es}", f"neunzehnhundert{de}"
    if n == 2000:
        return "two thousand", "dos mil", "zweitausend"
    return f"two thousand and {en}", f"dos mil {es}", f"zweitausend{de}"
