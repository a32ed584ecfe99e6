"""LangChain's Whisper parser, which is built on OpenAI's client, against a real server. In: the command that starts verbatim. Out: exit 0
where a folder of recordings and one in memory become documents with the words that were spoken. Needs ffmpeg.

    python -m venv .venv && .venv/bin/pip install -r tools/clients/requirements.txt
    .venv/bin/python tools/clients/langchain_loader.py target/release/verbatim
"""

import json
import pathlib
import sys
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "smoke"))

from server import Server  # noqa: E402
from smoke import SPEECH, word_errors, words  # noqa: E402

# The package is no longer developed, and says so on import; it is what people have.
warnings.simplefilter("ignore", DeprecationWarning)

from langchain_community.document_loaders.blob_loaders import Blob  # noqa: E402
from langchain_community.document_loaders.generic import GenericLoader  # noqa: E402
from langchain_community.document_loaders.parsers.audio import OpenAIWhisperParser  # noqa: E402


def heard(document, clip):
    truth = words(clip["text"])
    errors = word_errors(truth, words(document.page_content))
    assert errors <= 0.1 * len(truth), (clip["file"], document.page_content)
    print(f"  {clip['file']}: {errors} of {len(truth)} words wrong")


def main():
    clips = {clip["file"]: clip for clip in json.loads((SPEECH / "truth.json").read_text())}
    with Server(sys.argv[1:]) as server:
        address = {"api_key": "none", "base_url": f"http://127.0.0.1:{server.port}/v1"}

        # The parser decodes each file itself and sends parts of up to twenty minutes as MP3.
        folder = GenericLoader.from_filesystem(str(SPEECH), glob="*.wav", parser=OpenAIWhisperParser(**address)).load()
        assert len(folder) == len(list(SPEECH.glob("*.wav"))), folder
        for document in folder:
            assert document.metadata["chunk"] == 0, document.metadata
            heard(document, clips[pathlib.Path(document.metadata["source"]).name])

        spoken = clips["english.wav"]
        in_memory = Blob.from_data((SPEECH / spoken["file"]).read_bytes(), mime_type="audio/wav")
        told = OpenAIWhisperParser(**address, language="en", prompt="We need", response_format="text", temperature=0)
        (document,) = told.lazy_parse(in_memory)
        heard(document, spoken)
        subtitles = OpenAIWhisperParser(**address, response_format="srt").parse(Blob.from_path(str(SPEECH / spoken["file"])))
        assert subtitles[0].page_content.startswith("1\n00:00:0") and " --> " in subtitles[0].page_content, subtitles
    print("LangChain's OpenAIWhisperParser: a folder, a blob in memory, subtitles")


if __name__ == "__main__":
    main()
