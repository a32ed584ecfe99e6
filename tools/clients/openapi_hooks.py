"""What a document cannot say, for schemathesis: a recording where a file is wanted, a session that is open, a model that is loaded."""

import functools
import os
import pathlib
import random
import urllib.request

import schemathesis

SPEECH = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/speech"
CHANCE = random.Random(1)


@functools.cache
def clip():
    return min(SPEECH.glob("*.wav"), key=lambda path: path.stat().st_size).read_bytes()


@functools.cache
def session():
    request = urllib.request.Request(os.environ["VERBATIM_URL"] + "/v1/sessions/schemathesis", method="PUT")
    urllib.request.urlopen(request, timeout=30).close()
    return "schemathesis"


@schemathesis.hook
def before_call(context, case, kwargs):
    # Each costs a tenth of a second.
    if CHANCE.random() < 0.1:
        if isinstance(case.body, dict) and "file" in case.body:
            case.body["file"] = clip()
        elif case.media_type == "application/octet-stream":
            case.body = clip()
    # A deadline of a millisecond is answered 504, which is right, and taken for a fault here.
    if case.headers:
        case.headers.pop("X-Deadline-Ms", None)
    if case.path_parameters and CHANCE.random() < 0.5:
        if "id" in case.path_parameters and case.method.upper() != "DELETE":
            case.path_parameters["id"] = session()
        if "model" in case.path_parameters:
            case.path_parameters["model"] = "demo"
