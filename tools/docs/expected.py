"""What a document says that a command prints, and what it printed, in; the first difference out, or None.

JSON is compared by its meaning: a key "..." stands for keys that are not shown, a last entry "..." for further ones, and `…` or `...` inside a
string for anything. Times of work, ids and dates differ each time: of those the kind is compared. In text `…` and `...` are anything in a line, and
a line of nothing else is any number of lines.
"""

import json
import re

# Numbers that are never the same twice.
FLEETING = re.compile(r"(_ms|_at|_bytes|^rtf|^created|^expires|eta_seconds|^seconds_expected|uptime.*|_seconds_ahead|age_seconds)$")
ANY = re.compile(r"…|\.\.\.")
# What other kernels or another processor may move: seconds and probabilities.
NEAR = 0.05


def values(text):
    """All JSON values of a text, one after the other; None where it is something else."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            return None
        found.append(value)
    return found


def json_differs(expected, printed):
    """Texts of one or more JSON values each; those expected are the last ones that were printed."""
    wanted, came = values(expected), values(printed)
    if not wanted:
        return "what is expected is no JSON"
    if came is None or len(came) < len(wanted):
        return f"JSON was expected, and this came: {printed[:400]!r}"
    for one, other in zip(wanted, came[-len(wanted) :]):
        if difference := _differs(one, other, "", ""):
            return f"{difference}; all of it: {json.dumps(other)[:1500]}"
    return None


def _differs(wanted, came, where, key):
    if isinstance(wanted, dict):
        if not isinstance(came, dict):
            return f"{where or 'it'} is no object"
        shown = {name for name in wanted if name != "..."}
        if missing := shown - set(came):
            return f"{where or 'it'} has no {sorted(missing)}"
        if "..." not in wanted and (more := set(came) - shown):
            return f"{where or 'it'} has {sorted(more)} too"
        found = (_differs(wanted[name], came[name], f"{where}.{name}", name) for name in shown)
        return next((difference for difference in found if difference), None)
    if isinstance(wanted, list):
        is_open = bool(wanted) and wanted[-1] == "..."
        shown = wanted[:-1] if is_open else wanted
        if not isinstance(came, list) or len(came) < len(shown) or (len(came) > len(shown) and not is_open):
            return f"{where or 'it'} is not a list of {len(shown)}"
        found = (_differs(one, other, f"{where}[{at}]", key) for at, (one, other) in enumerate(zip(shown, came)))
        return next((difference for difference in found if difference), None)
    if isinstance(wanted, str):
        if isinstance(came, str) and re.fullmatch(_pattern(wanted), came, re.DOTALL):
            return None
        return f"{where} is {came!r}, not {wanted!r}"
    if isinstance(wanted, bool) or wanted is None or not isinstance(came, (int, float)) or isinstance(came, bool):
        return None if wanted is came else f"{where} is {came!r}, not {wanted!r}"
    if FLEETING.search(key):
        return None
    exact = isinstance(wanted, int) and isinstance(came, int)
    if wanted != came if exact else abs(wanted - came) > NEAR + NEAR * abs(wanted):
        return f"{where} is {came}, not {wanted}"
    return None


def _pattern(text):
    return ".*?".join(re.escape(part) for part in ANY.split(text))


def text_differs(expected, printed):
    printed = printed.replace("\r\n", "\n")
    lines = [line.rstrip() for line in expected.strip("\n").splitlines()]
    parts = [r"(?:[^\n]*\n)*?" if ANY.fullmatch(line.strip()) else _pattern(line).replace(".*?", r"[^\n]*?") + r"[ \t]*\n" for line in lines]
    if re.fullmatch("".join(parts), printed.strip("\n") + "\n"):
        return None
    return f"this was expected:\n{expected.rstrip()}\nand this came:\n{printed.rstrip()[:3000]}"
