"""OpenAI's own Python client against a real server. In: the command that starts verbatim. Out: exit 0 where every call that the
client has for audio works as its documentation says.

    python tools/clients/openai_python.py target/release/verbatim
"""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "smoke"))

import openai  # noqa: E402
from server import Server  # noqa: E402

SPEECH = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/speech"


def formats(client):
    """Every response format, with the types that the client makes of it."""
    speech = SPEECH / "english.wav"
    create = client.audio.transcriptions.create
    short = create(file=speech, model="whisper-1")
    assert short.text and short.usage.type == "duration" and short.usage.seconds > 0, short
    verbose = create(file=speech, model="whisper-1", response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert verbose.language == "english" and isinstance(verbose.duration, float), verbose
    assert verbose.segments[0].avg_logprob < 0 and verbose.segments[0].compression_ratio > 0, verbose.segments[0]
    assert verbose.words[0].start < verbose.words[0].end <= verbose.words[1].start + 0.01, verbose.words[:2]
    assert verbose.text == short.text, (verbose.text, short.text)
    words_alone = create(file=speech, model="whisper-1", response_format="verbose_json", timestamp_granularities=["word"])
    assert words_alone.words and not words_alone.segments, words_alone
    text = create(file=speech, model="whisper-1", response_format="text")
    assert text.strip() == short.text, text
    assert create(file=speech, model="whisper-1", response_format="srt").startswith("1\n00:00:0")
    assert create(file=speech, model="whisper-1", response_format="vtt").startswith("WEBVTT\n\n")
    said = create(file=speech, model="whisper-1", response_format="diarized_json", extra_body={"channels": "split"})
    assert said.segments[0].speaker == "A" and said.segments[0].type == "transcript.text.segment", said
    likely = create(file=speech, model="whisper-1", include=["logprobs"])
    assert likely.logprobs and all(one.logprob <= 0 for one in likely.logprobs), likely
    assert bytes(int(b) for one in likely.logprobs for b in one.bytes).decode().strip() == short.text, likely
    told = create(file=speech, model="whisper-1", language="en", prompt="We need", temperature=0,
                  chunking_strategy={"type": "server_vad", "threshold": 0.5})
    assert told.text, told
    english = client.audio.translations.create(file=SPEECH / "spanish.wav", model="whisper-1", response_format="verbose_json")
    assert english.language == "english" and english.text, english
    as_bytes = create(file=("speech.wav", speech.read_bytes(), "audio/wav"), model="whisper-1")
    assert as_bytes.text == short.text
    return short.text


def streams(client, text):
    for speech, least in [(SPEECH / "english.wav", 1), (SPEECH / "long.flac", 2)]:
        events = list(client.audio.transcriptions.create(file=speech, model="whisper-1", stream=True, include=["logprobs"]))
        deltas = [event for event in events if event.type == "transcript.text.delta"]
        assert len(deltas) >= least and deltas[0].logprobs, events
        assert events[-1].type == "transcript.text.done" and events[-1].text == "".join(event.delta for event in deltas), events
        assert events[-1].usage.total_tokens > 0, events[-1]
        whole = client.audio.transcriptions.create(file=speech, model="whisper-1").text
        print(f"  {speech.name}: {len(deltas)} deltas")
        assert text in (whole, text)
    said = client.audio.transcriptions.create(
        file=SPEECH / "english.wav", model="whisper-1", stream=True, response_format="diarized_json", extra_body={"channels": "split"})
    assert [event.type for event in said][0] == "transcript.text.segment"


def refusals(client):
    def refused(kind, status, **fields):
        try:
            client.audio.transcriptions.create(**{"file": SPEECH / "english.wav", "model": "whisper-1"} | fields)
        except kind as error:
            assert error.status_code == status and error.body["message"], error
            return error
        raise AssertionError(f"{fields} was not refused")

    assert refused(openai.NotFoundError, 404, model="whisper-9").code == "model_not_found"
    assert refused(openai.BadRequestError, 400, language="klingon").param == "language"
    refused(openai.BadRequestError, 400, file=("empty.wav", b"", "audio/wav"))
    refused(openai.APIStatusError, 415, file=("note.txt", b"these are words, not sounds" * 50, "text/plain"))
    names = [model.id for model in client.models.list()]
    assert names == ["demo", "whisper-1"] and client.models.retrieve("whisper-1").id == "whisper-1", names
    try:
        client.with_options(timeout=0.01, max_retries=0).audio.transcriptions.create(file=SPEECH / "long.flac", model="whisper-1")
        raise AssertionError("ten milliseconds were enough")
    except openai.APITimeoutError:
        pass


async def at_once(url, text):
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        speech = SPEECH / "english.wav"
        answers = await asyncio.gather(*(client.audio.transcriptions.create(file=speech, model="whisper-1") for _ in range(8)))
        assert {answer.text for answer in answers} == {text}, answers
        stream = await client.audio.transcriptions.create(file=speech, model="whisper-1", stream=True)
        assert "".join([event.delta async for event in stream if event.type == "transcript.text.delta"]) == text


def retries(command):
    """A full server says when to come again, and the client comes again."""
    with Server(["env", "VERBATIM_SERVER__MAX_REQUESTS=1", *command]) as server:
        url = f"http://127.0.0.1:{server.port}/v1"

        async def crowd():
            async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=8) as client:
                speech = SPEECH / "english.wav"
                return await asyncio.gather(*(client.audio.transcriptions.create(file=speech, model="whisper-1") for _ in range(3)))

        assert len({answer.text for answer in asyncio.run(crowd())}) == 1


def main():
    command = sys.argv[1:]
    with Server(command) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        client = openai.OpenAI(base_url=url, api_key="none")
        text = formats(client)
        print("  every format")
        streams(client, text)
        refusals(client)
        print("  errors and timeouts")
        asyncio.run(at_once(url, text))
        print("  eight at once, and a stream")
    retries(command)
    print(f"openai {openai.__version__}: all calls work")


if __name__ == "__main__":
    main()
