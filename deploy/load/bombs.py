"""Uploads made to cost far more than they weigh, sent to a real server. In: its command line. Out: a row for each: status, time, growth of the server and the most that a decoding process took.

    python3 deploy/load/bombs.py target/release/verbatim
"""

import asyncio
import json
import os
import struct
import sys
import threading
import time
from pathlib import Path

from client import Server, speech, wav

HOUSE = Path(__file__).parents[2]
MIB = 1 << 20


def crc(data: bytes, width: int, polynomial: int) -> int:
    value, top, mask = 0, 1 << width - 1, (1 << width) - 1
    for byte in data:
        value ^= byte << width - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
    return value


def flac(size: int, rate: int = 16_000, channels: int = 1) -> bytes:
    """Frames of 65,535 equal samples in some 14 bytes each, with no length in the header."""
    info = struct.pack(">HH6sQ16s", 65535, 65535, bytes(6), rate << 44 | channels - 1 << 41 | 15 << 36, bytes(16))
    frames = [b"fLaC\x80\0\0\x22" + info]
    total, number = len(frames[0]), 0
    while total < size:
        code = number if number < 0xD800 else number + 0x800
        frame = b"\xff\xf8" + bytes([0x70, channels - 1 << 4 | 8]) + chr(code).encode() + b"\xff\xfe"
        frame += bytes([crc(frame, 8, 0x07)]) + b"\0\0\1" * channels
        frame += struct.pack(">H", crc(frame, 16, 0x8005))
        frames.append(frame)
        total, number = total + len(frame), number + 1
    return b"".join(frames)


def ogg(packets_of_pages, serial=1) -> bytes:
    """Pages of (granule, packets)."""
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 1 << 31 else value << 1) & 0xFFFFFFFF
        table.append(value)
    out = []
    for number, (granule, packets) in enumerate(packets_of_pages):
        lacing = bytes(length for packet in packets for length in [255] * (len(packet) // 255) + [len(packet) % 255])
        kind = 2 if number == 0 else 0
        head = struct.pack("<4sBBqIIIB", b"OggS", 0, kind, granule, serial, number, 0, len(lacing)) + lacing
        page = bytearray(head + b"".join(packets))
        value = 0
        for byte in page:
            value = (value << 8 & 0xFFFFFFFF) ^ table[value >> 24 ^ byte]
        page[22:26] = struct.pack("<I", value)
        out.append(bytes(page))
    return b"".join(out)


def opus(size: int) -> bytes:
    """Packets of two bytes that each stand for 120 ms of nothing."""
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    pages = [(0, [head]), (0, [tags])]
    # SILK of 60 ms twice, both empty.
    packet = bytes([0x18 | 3, 2])
    for number in range(size // (27 + 255 + 510)):
        pages.append(((number + 1) * 255 * 5760, [packet] * 255))
    return ogg(pages)


def mp4(tables: bytes) -> bytes:
    def box(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(data), name) + data

    entry = struct.pack(">6xH8xHHIxxxx", 1, 2, 16, 44_100 << 16)[:28]
    esds = box(b"esds", bytes.fromhex("00000000031900010004114015000000000000000000000005021210060102"))
    stsd = box(b"stsd", struct.pack(">II", 0, 1) + box(b"mp4a", entry + esds))
    stbl = box(b"stbl", stsd + tables)
    minf = box(b"minf", box(b"smhd", bytes(8)) + box(b"dinf", box(b"dref", struct.pack(">II", 0, 0))) + stbl)
    mdhd = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 44_100, 1 << 31, 0, 0))
    hdlr = box(b"hdlr", struct.pack(">II4s12xB", 0, 0, b"soun", 0))
    tkhd = box(b"tkhd", struct.pack(">IIIIII60x", 7, 0, 0, 1, 0, 1 << 31))
    mvhd = box(b"mvhd", struct.pack(">IIIII80x", 0, 0, 0, 1000, 1 << 31))
    return box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", mvhd + box(b"trak", tkhd + box(b"mdia", mdhd + hdlr + minf))) + box(b"mdat", bytes(64))


def table(name: bytes, *words: int) -> bytes:
    """A table that promises more entries than it has."""
    return struct.pack(f">I4s{len(words)}I", 8 + 4 * len(words), name, *words)


def caf() -> bytes:
    desc = struct.pack(">d4sIIIII", 44_100.0, b"lpcm", 0, 0x7FFFFFFF * 2 & 0xFFFFFFFF, 0x7FFFFFFF, 1, 16)
    return b"caff\0\1\0\0desc" + struct.pack(">q", len(desc)) + desc + b"data" + struct.pack(">q", 8) + bytes(8)


def header(rate: int, channels: int, bits: int, announced: int, data: bytes) -> bytes:
    frame = channels * bits // 8
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", announced + 36 & 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, channels & 0xFFFF, rate,
                       rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits, b"data", announced) + data  # fmt: skip


def mkv() -> bytes:
    """An element of 2^56 - 2 bytes, and a track whose private data says it has 1 GiB."""
    ebml = bytes.fromhex("1a45dfa3 8b 4282 88") + b"matroska"
    segment = bytes.fromhex("18538067 01fffffffffffffe 1654ae6b 01fffffffffffffe ae 01fffffffffffffe d7 81 01 83 81 02 86 86") + b"A_OPUS"
    return ebml + segment + bytes.fromhex("63a2 0840000000") + bytes(64)


def bombs():
    yield "FLAC, 1 MiB, 79 hours, no length in its header", flac(MIB)
    yield "FLAC, 655,350 Hz with 8 channels, 1 MiB", flac(MIB, 655_350, 8)
    yield "Opus in Ogg, 1 MiB, 11 hours of nothing", opus(MIB)
    yield "WAV that announces 4 GiB and holds 8 bytes", header(16_000, 1, 16, 0xFFFFFFF0, bytes(8))
    yield "WAV of 65,535 channels", header(48_000, 65_535, 16, 0xFFFFFFF0, bytes(65_536))
    yield "WAV of 4.3 GHz", header(0xFFFFFFFF, 1, 16, 64, bytes(64))
    yield "WAV of 1 kHz in 8 bits, 17 MiB, 5 hours", header(1000, 1, 8, 17 * MIB, bytes(17 * MIB))
    yield "WAV of 8 kHz, 1 channel, 99 MiB, 3.6 hours: within every limit but one of an hour", header(8000, 1, 8, 99 * MIB, bytes(99 * MIB))
    yield "MP4 whose sizes are 2^31 entries", mp4(table(b"stsz", 0, 0, 0x7FFFFFFF, 1))
    yield "MP4 whose times are 2^32 entries", mp4(table(b"stts", 0, 0xFFFFFFFF, 0xFFFFFFFF, 1) + table(b"stsz", 0, 1, 0xFFFFFFFF))
    yield "MP4 whose chunks are 2^32 entries", mp4(table(b"stco", 0, 0xFFFFFFFF, 1) + table(b"stsc", 0, 0xFFFFFFFF, 1, 1, 1))
    # Found by fuzzing.
    yield "MP4 of 2.8 KB whose fragments announce 2^32 samples", (HOUSE / "fuzz/corpus/mp4/abc86da476dad15e").read_bytes()
    yield "Matroska of elements of 2^56 bytes", mkv()
    yield "CAF of 76 bytes that made symphonia's reader allocate 4 GiB", caf()
    yield "ID3 tag that announces 256 MiB", b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(1000)
    yield "zeros, 32 MiB", bytes(32 * MIB)


class Watch(threading.Thread):
    """The most that the server, and any one of its processes, has been resident since `reset`."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.pid, self.server, self.child = pid, 0, 0
        self.start()

    def reset(self) -> int:
        self.server = self.child = 0
        return self.resident(self.pid)

    @staticmethod
    def resident(pid) -> int:
        try:
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0

    def children(self):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if int((entry / "stat").read_text().rpartition(") ")[2].split()[1]) == self.pid:
                        yield entry.name
                except OSError:
                    pass

    def run(self):
        while True:
            self.server = max(self.server, self.resident(self.pid))
            self.child = max([self.child, *map(self.resident, self.children())])
            time.sleep(0.005)


async def main() -> int:
    settings = {"audio.decode_isolation": "process"}
    broken = False
    print("| upload | answer | ms | growth of the server beyond the upload, MiB | most of a process, MiB |\n|---|---|--:|--:|--:|")
    async with Server(sys.argv[1:], **settings) as server:
        watch = Watch(server.process.pid)
        await server.transcribe(speech(3))
        for name, upload in bombs():
            before = watch.reset()
            begun = time.monotonic()
            status, _, body = await server.transcribe(upload)
            took = time.monotonic() - begun
            code = json.loads(body)["error"]["code"] if status != 200 else ""
            growth = max(0, watch.server - before - len(upload))
            print(f"| {name} | {status} {code} | {took * 1000:.0f} | {growth / MIB:.0f} | {watch.child / MIB:.0f} |", flush=True)
            broken |= status >= 500
        alive = (await server.transcribe(speech(3)))[0] == 200
    return int(broken or not alive)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
