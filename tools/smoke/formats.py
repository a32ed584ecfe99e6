"""Containers and codecs as ffmpeg makes them, and what the server is to say to each. Data alone, for smoke.py.

Each row begins with a file's name, whose ending tells ffmpeg the container, and with what ffmpeg is told beside it.
"""

# A second input with a picture that moves, as long as the clip.
VIDEO = "-f lavfi -i testsrc2=size=160x120:rate=10:duration=7.1 -map 0:a -map 1:v"
H264, MPEG4, VP8 = (f"{VIDEO} -c:v {codec}" for codec in ["libx264 -preset ultrafast", "mpeg4", "libvpx -deadline realtime -cpu-used 8"])
PICTURE = "-f lavfi -i color=c=red:s=300x300:d=0.04 -map 0:a -map 1:v -c:v mjpeg -disposition:v attached_pic"
FRAGMENTS = "-movflags frag_keyframe+empty_moov+default_base_moof -frag_duration 1000000"
# Speech in the centre of six channels, as films have it.
SURROUND = "-ar 48000 -af pan=5.1|FC=c0"

# Every word but one at most, and the right length.
READ = [
    ("pcm-u8.wav", "-c:a pcm_u8"),
    ("pcm-16-8k.wav", "-c:a pcm_s16le -ar 8000"),
    ("pcm-24.wav", "-c:a pcm_s24le -ar 48000 -ac 2"),
    ("pcm-32.wav", "-c:a pcm_s32le -ar 44100"),
    ("float.wav", "-c:a pcm_f32le -ar 44100"),
    ("double-96k.wav", "-c:a pcm_f64le -ar 96000"),
    ("a-law.wav", "-c:a pcm_alaw -ar 8000"),
    ("u-law.wav", "-c:a pcm_mulaw -ar 8000"),
    ("surround.wav", f"-c:a pcm_s16le {SURROUND}"),
    ("rf64.wav", "-c:a pcm_s16le -rf64 always"),
    ("speech.flac", "-c:a flac -ar 44100"),
    ("24-bit-96k.flac", "-c:a flac -sample_fmt s32 -ar 96000"),
    ("surround.flac", f"-c:a flac {SURROUND}"),
    ("flac.ogg", "-c:a flac"),
    ("speech.mp3", "-c:a libmp3lame -b:a 64k -ar 44100"),
    ("stereo-48k.mp3", "-c:a libmp3lame -b:a 128k -ar 48000 -ac 2"),
    ("vbr.mp3", "-c:a libmp3lame -q:a 5 -ar 44100"),
    ("22k.mp3", "-c:a libmp3lame -b:a 32k -ar 22050"),
    ("8k.mp3", "-c:a libmp3lame -b:a 16k -ar 8000"),
    ("bare.mp3", "-c:a libmp3lame -b:a 64k -write_xing 0 -id3v2_version 0"),
    ("cover.mp3", f"{PICTURE} -c:a libmp3lame -id3v2_version 3 -write_id3v1 1 -metadata title=Speech"),
    ("speech.ogg", "-c:a libvorbis -q:a 5 -ar 44100"),
    ("surround.ogg", f"-c:a libvorbis {SURROUND}"),
    ("speech.opus", "-c:a libopus -b:a 32k"),
    ("telephone.opus", "-c:a libopus -b:a 12k -application voip"),
    ("surround.opus", f"-c:a libopus {SURROUND}"),
    ("speech.webm", "-c:a libopus -b:a 48k"),
    ("live.webm", "-c:a libopus -b:a 48k -f webm -live 1"),
    ("vorbis.webm", "-c:a libvorbis"),
    ("opus.mp4", "-c:a libopus"),
    ("opus-fragments.mp4", f"-c:a libopus {FRAGMENTS}"),
    ("speech.aac", "-c:a aac -b:a 96k -f adts"),
    ("22k.aac", "-c:a aac -ar 22050 -f adts"),
    ("moov-last.m4a", "-c:a aac -b:a 96k"),
    ("moov-first.m4a", "-c:a aac -b:a 96k -movflags +faststart"),
    ("fragments.m4a", f"-c:a aac -b:a 96k {FRAGMENTS}"),
    ("stereo-48k.m4a", "-c:a aac -ar 48000 -ac 2"),
    ("aac.mov", "-c:a aac"),
    ("aac.3gp", "-c:a aac"),
    ("flac.mp4", "-c:a flac -strict -2"),
    ("mp3.mp4", "-c:a libmp3lame"),
    ("pcm-le.mov", "-c:a pcm_s16le"),
    ("pcm-be.mov", "-c:a pcm_s16be"),
    ("speech.mkv", "-c:a flac"),
    ("pcm.mkv", "-c:a pcm_s16le"),
    ("pcm-be.mkv", "-c:a pcm_s24be"),
    ("float.mkv", "-c:a pcm_f32le"),
    ("aac.mkv", "-c:a aac"),
    ("mp3.mkv", "-c:a libmp3lame"),
    ("vorbis.mkv", "-c:a libvorbis"),
    ("opus.mkv", "-c:a libopus"),
    ("h264-aac.mp4", f"{H264} -c:a aac"),
    ("mpeg4-mp3.mp4", f"{MPEG4} -c:a libmp3lame"),
    ("vp8-opus.webm", f"{VP8} -c:a libopus"),
    ("vp8-vorbis.webm", f"{VP8} -c:a libvorbis"),
    ("h264-aac.mkv", f"{H264} -c:a aac"),
    ("h264-aac.mov", f"{H264} -c:a aac"),
    ("mpeg4-pcm.mov", f"{MPEG4} -c:a pcm_s16le"),
]

# Not read: 415, and what the sentence says. A row that is read one day goes to READ.
NO_CONTAINER = "not audio in a supported format (wav, flac, mp3, ogg, opus, m4a/mp4, webm/mkv)"
REFUSED = [
    ("ms-adpcm.wav", "-c:a adpcm_ms", "the audio is ADPCM"),
    ("ima-adpcm.wav", "-c:a adpcm_ima_wav", "the audio is ADPCM"),
    ("gsm.wav", "-c:a libgsm_ms -ar 8000", "unsupported wave format"),
    ("mp3.wav", "-c:a libmp3lame", "unsupported wave format"),
    ("speech.mp2", "-c:a mp2", "the audio is MPEG layer 2"),
    ("mp2.mkv", "-c:a mp2", "the audio is MPEG layer 2"),
    ("alac.m4a", "-c:a alac", "the audio is ALAC"),
    ("alac.mkv", "-c:a alac", "the audio is ALAC"),
    ("alac.mov", "-c:a alac", "the audio track's codec cannot be decoded"),
    ("u-law.mov", "-c:a pcm_mulaw -ar 8000", "the audio track's codec cannot be decoded"),
    ("surround.m4a", f"-c:a aac {SURROUND}", "AAC-LC and HE-AAC, mono or stereo, can"),
    ("ac3.mkv", "-c:a ac3", "the audio is AC-3"),
    ("eac3.mkv", "-c:a eac3", "the audio is E-AC-3"),
    ("dts.mkv", "-c:a dca -strict -2 -ar 48000", "the audio is DTS"),
    ("mpeg4-ac3.mp4", f"{MPEG4} -c:a ac3", "the audio is AC-3"),
    ("speech.ac3", "-c:a ac3", NO_CONTAINER),
    ("speech.caf", "-c:a pcm_s16be", NO_CONTAINER),
    ("u-law.au", "-c:a pcm_mulaw -ar 8000", NO_CONTAINER),
    ("speech.w64", "-c:a pcm_s16le", NO_CONTAINER),
    ("speech.wma", "-c:a wmav2", NO_CONTAINER),
    ("speech.wv", "-c:a wavpack", NO_CONTAINER),
    ("mpeg4-mp3.avi", f"{MPEG4} -c:a libmp3lame", NO_CONTAINER),
    ("h264-aac.ts", f"{H264} -c:a aac -f mpegts", NO_CONTAINER),
    ("h264-aac.flv", f"{H264} -c:a aac -ar 44100", NO_CONTAINER),
]

# Known faults: what is said now (None: words that nobody spoke), and why that is wrong. A row that changes goes elsewhere.
FAULTS = [
    ("pcm-24-be.mov", "-c:a pcm_s24be", None, "big-endian PCM of 24 and 32 bits in QuickTime is read as little-endian"),
    ("speech.aiff", "-c:a pcm_s16be -ar 44100 -ac 2", "the audio is AAC", "an AIFF file is taken for AAC"),
    ("speex.ogg", "-c:a libspeex", "it ends in the middle of its headers", "a whole file with Speex is called damaged"),
]
