"""The seeds of every target, small and new. Out: files in fuzz/corpus, and fuzz/options.dict. Needs ffmpeg with libopus, libvorbis and libmp3lame.

    python3 fuzz/seeds.py
"""

import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOUSE = HERE.parent
SOUND = HOUSE / "tests/fixtures/audio/reference.wav"
FIXTURES = HOUSE / "tests/fixtures/audio"

# Target -> file -> what ffmpeg is told behind the input; a tenth to a third of a second each.
AUDIO = {
    "wav": {f"{codec}.wav": f"-t 0.03 -c:a pcm_{codec}" for codec in ("u8", "s16le", "s24le", "s32le", "f32le", "f64le", "alaw", "mulaw")}
    | {"surround.wav": "-t 0.02 -ac 6 -c:a pcm_s16le", "ms.wav": "-t 0.2 -c:a adpcm_ms", "ima.wav": "-t 0.2 -ac 2 -c:a adpcm_ima_wav", "pipe.wav": "-t 0.03 -f wav", "tagged.wav": "-t 0.03 -metadata title=x -write_id3v2 1"},
    "flac": {"16.flac": "-t 0.3 -c:a flac", "24.flac": "-t 0.1 -sample_fmt s32 -c:a flac", "stereo.flac": "-t 0.1 -ac 2 -ar 44100 -compression_level 12 -c:a flac"},
    "mp3": {"cbr.mp3": "-t 0.3 -b:a 32k", "vbr.mp3": "-t 0.3 -q:a 9", "stereo.mp3": "-t 0.2 -ac 2 -ar 44100 -joint_stereo 1 -b:a 64k",
            "bare.mp3": "-t 0.2 -write_xing 0 -id3v2_version 0 -b:a 24k", "low.mp3": "-t 0.3 -ar 11025 -b:a 16k", "layer-2.mp2": "-t 0.2 -c:a mp2 -b:a 32k"},
    "ogg": {"vorbis.ogg": "-t 0.2 -c:a libvorbis -q:a -1", "stereo.ogg": "-t 0.2 -ac 2 -ar 44100 -c:a libvorbis -q:a -1", "flac.ogg": "-t 0.2 -c:a flac"},
    "opus": {"silk.opus": "-t 0.3 -b:a 10k -application voip", "celt.opus": "-t 0.2 -ar 48000 -b:a 32k -frame_duration 5 -application lowdelay",
             "hybrid.opus": "-t 0.2 -ar 48000 -b:a 24k -application voip", "stereo.opus": "-t 0.2 -ac 2 -b:a 32k", "surround.opus": "-t 0.1 -ac 6 -b:a 64k -mapping_family 1"},
    "aac": {"mono.aac": "-t 0.3 -b:a 24k -f adts", "stereo.aac": "-t 0.2 -ac 2 -ar 44100 -b:a 48k -f adts"},
    "mp4": {"last.m4a": "-t 0.2 -c:a aac -b:a 24k", "first.m4a": "-t 0.2 -c:a aac -b:a 24k -movflags +faststart", "opus.mp4": "-t 0.2 -c:a libopus -b:a 16k",
            "parts.mp4": "-t 0.4 -c:a aac -b:a 24k -movflags +frag_keyframe+empty_moov+default_base_moof -frag_duration 100000",
            "mp3.mp4": "-t 0.2 -c:a libmp3lame -b:a 24k", "flac.mp4": "-t 0.1 -c:a flac -strict -2", "pcm.mov": "-t 0.05 -c:a pcm_s16le -f mov",
            "24.mov": "-t 0.03 -c:a pcm_s24be", "mulaw.mov": "-t 0.05 -c:a pcm_mulaw", "alac.mov": "-t 0.2 -c:a alac"},
    "aiff": {"16.aiff": "-t 0.03 -c:a pcm_s16be", "24.aiff": "-t 0.03 -ac 2 -c:a pcm_s24be", "float.aifc": "-t 0.03 -c:a pcm_f32be", "mulaw.aifc": "-t 0.03 -c:a pcm_mulaw",
             "little.aifc": "-t 0.03 -c:a pcm_s16le", "tagged.aiff": "-t 0.03 -c:a pcm_s16be -metadata title=x -write_id3v2 1"},
    "caf": {"16.caf": "-t 0.03 -c:a pcm_s16be", "float.caf": "-t 0.03 -ac 2 -c:a pcm_f32le", "alac.caf": "-t 0.2 -c:a alac", "adpcm.caf": "-t 0.2 -c:a adpcm_ima_qt",
            "alaw.caf": "-t 0.03 -c:a pcm_alaw", "layer-3.caf": "-t 0.2 -c:a libmp3lame -b:a 24k"},
    "mkv": {"opus.webm": "-t 0.2 -c:a libopus -b:a 16k", "live.webm": "-t 0.2 -c:a libopus -b:a 16k -live 1", "vorbis.webm": "-t 0.1 -c:a libvorbis -q:a -1",
            "aac.mkv": "-t 0.2 -c:a aac -b:a 24k", "flac.mkv": "-t 0.1 -c:a flac", "mp3.mkv": "-t 0.2 -c:a libmp3lame -b:a 24k", "pcm.mkv": "-t 0.05 -c:a pcm_s16le"},
}  # fmt: skip

FORM = {
    "plain": "form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF",
    "named": "form-data; name=\"audio_file\"\r\n\r\nabc\r\n--x\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nde",
    "list": "form-data; name=\"keywords[]\"\r\n\r\nJena\r\n--x\r\nContent-Disposition: form-data; name=file; filename*=UTF-8''%e4\r\n\r\n\0\1",
}
OPTIONS = [
    "language=en\ntask=translate\nprompt=Names: Jena.\ntemperature=0.2\nresponse_format=verbose_json\ntimestamp_granularities[]=word",
    "temperature=0,0.2,0.4\nbeam_size=5\npatience=1.5\nlength_penalty=0.6\nbest_of=3\nseed=7",
    "vad=true\nchunking_strategy={\"type\":\"server_vad\",\"silence_duration_ms\":300}\nvad_filter=1\nchannels=split",
    "suppress_tokens=-1,220\nsuppress_blank=false\nwithout_timestamps=1\nmax_initial_timestamp=1.0\nlanguages=[\"en\",\"de\"]\nmultilingual=on",
    "keywords=Jena, Saale\nprefix=One\nlong_form=sequential\ncondition_on_previous_text=false\nprompt_reset_on_temperature=0.5\nstream=true",
    "response_format=srt\nsubtitles=tidy\nmax_line_width=20\nmax_line_count=2\nmax_cps=17\nhighlight_words=true\nno_speech_threshold=none",
]
STORED = [
    ("response_format=vtt\nmax_line_width=20", '{"text":"Hi you.","segments":[{"start":0,"end":1.5,"text":" Hi"},{"start":1.5,"end":2,"text":" you.","words":[{"word":" you.","start":1.5,"end":2,"probability":0.9}]}]}'),
    ("format=tsv", '[{"start":0,"end":1.5,"text":" Hello"}]'),
    ("subtitles=tidy\nmax_cps=15\nhighlight_words=1", '{"text":"Yes. I know.","language":"english","duration":1.0,"words":[{"word":"Yes","start":0,"end":0.4},{"word":"I","start":0.5,"end":0.6},{"word":"know","start":0.6,"end":0.9}]}'),
    ("format=verbose_json", '{"segments":[{"id":0,"seek":0,"start":0.0,"end":2.0,"text":" The beach.","tokens":[1],"temperature":0,"avg_logprob":-0.2,"speaker":"A","channel":1,"risk":["omission"]}],"dropped":[{"start":1,"end":2,"reason":"no_speech"}],"languages":[{"code":"en","probability":1}],"incomplete":{"at":1,"reason":"x"}}'),
    ("format=srt", '{"systeminfo":"AVX","result":{"language":"en"},"transcription":[{"timestamps":{"from":"00:00:00,000","to":"00:00:01,500"},"offsets":{"from":0,"to":1500},"text":" Hello","tokens":[{"text":" Hello","timestamps":{"from":"00:00:00,000","to":"00:00:01,500"},"p":0.9}]}]}'),
]  # fmt: skip
# What ffmpeg does not make: covers, edits, a film.
KEPT = {"mp3": ["cover.mp3"], "mp4": ["silent-film.mp4"], "wav": ["pipe.wav"], "mkv": ["ac3.mkv"]}


def write(target: str, name: str, data: bytes) -> None:
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def main() -> None:
    for target, files in AUDIO.items():
        for name, told in files.items():
            folder = HERE / "corpus" / target
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-bitexact", "-i", SOUND, *told.split(), folder / name], check=True)
        for name in KEPT.get(target, []):
            write(target, name, (FIXTURES / name).read_bytes())
    for name, part in FORM.items():
        write("form", name, f"\x20multipart/form-data; boundary=x\n--x\r\nContent-Disposition: {part}\r\n--x--\r\n".encode())
    write("form", "raw", b"\xffaudio/wav\nRIFF")
    for number, fields in enumerate(OPTIONS):
        write("options", str(number), fields.encode())
    for number, (fields, json) in enumerate(STORED):
        write("subtitles", str(number), f"{fields}\n\n{json}".encode())
    sources = "".join(path.read_text() for path in (HOUSE / "src/http/options").glob("*.rs")) + (HOUSE / "src/format/layout.rs").read_text()
    names = sorted({name for names in re.findall(r"names: &\[(.*?)\]", sources, re.S) for name in re.findall(r'"(\w+)"', names)})
    (HERE / "options.dict").write_text("".join(f'"{name}="\n' for name in names))


if __name__ == "__main__":
    main()
