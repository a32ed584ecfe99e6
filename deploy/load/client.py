"""A real server and many clients of it on the loopback interface. Standard library only; one process, so that it takes little from the server."""

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
SPEECH = HOUSE / "tests/fixtures/speech/english.wav"


def speech(seconds: float) -> bytes:
    """The sentences of a test recording over and over, as a WAV file of 16 kHz."""
    data = SPEECH.read_bytes()[44:]
    size = int(seconds * 16_000) * 2
    return wav((data * (size // len(data) + 1))[:size])


def wav(data: bytes) -> bytes:
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16, b"data", len(data))
    return head + data


def form(audio: bytes, **fields) -> tuple[str, bytes]:
    """Content type and body."""
    edge = uuid.uuid4().hex
    parts = b"".join(f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items())
    parts += f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="speech.wav"\r\n\r\n'.encode()
    return f"multipart/form-data; boundary={edge}", parts + audio + f"\r\n--{edge}--\r\n".encode()


class Server:
    """`async with Server(command, **{"server.max_requests": 256}) as server:`; settings are those of config/default.toml."""

    def __init__(self, command: list[str], environment=None, **settings):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        names = {f"VERBATIM_{key.replace('.', '__').upper()}": str(value) for key, value in settings.items()}
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*command, "serve", "--port", str(self.port)], stdout=self.log, stderr=self.log, start_new_session=True,
            env=os.environ | {"VERBATIM_LOG__LEVEL": "warn"} | names | (environment or {}),
        )  # fmt: skip

    async def __aenter__(self):
        for _ in range(600):
            try:
                if (await self.get("/readyz"))[0] == 200:
                    return self
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            await asyncio.sleep(0.1)
        raise SystemExit(f"the server is not ready:\n{self.said()}")

    async def __aexit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self.process.wait, 60)

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    async def get(self, path: str) -> tuple[int, dict, bytes]:
        return await self.request(f"GET {path} HTTP/1.1\r\nhost: load\r\nconnection: close\r\n\r\n".encode())

    async def info(self) -> dict:
        return json.loads((await self.get("/gpu-info"))[2])

    async def transcribe(self, audio: bytes, headers=None, **fields) -> tuple[int, dict, bytes]:
        return await self.request(self.upload(audio, headers, **fields))

    def upload(self, audio: bytes, headers=None, **fields) -> bytes:
        """A whole request, to be sent as often as one likes."""
        kind, body = form(audio, **fields)
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"POST /transcribe HTTP/1.1\r\nhost: load\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
        return head.encode() + body

    async def request(self, sent: bytes) -> tuple[int, dict, bytes]:
        """Status, headers, body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            try:
                await writer.drain()
            except ConnectionError:
                pass  # Refused before the upload was read; the answer is there.
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            if not head:
                raise ConnectionError("no answer")
            status, *lines = head.decode("latin-1").split("\r\n")
            return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body
        finally:
            writer.close()

    async def streamed(self, sent: bytes) -> tuple[float, float]:
        """Seconds until the first text of an answer with `stream=true`, and until its end."""
        begun, first, told = time.monotonic(), None, b""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            while more := await reader.read(65536):
                told += more
                if first is None and b'"transcript.text.delta"' in told:
                    first = time.monotonic() - begun
        finally:
            writer.close()
        assert first and b'"transcript.text.done"' in told, told
        return first, time.monotonic() - begun

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def percentile(values: list[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else float("nan")


async def timed(work) -> tuple[object, float]:
    begun = time.monotonic()
    return await work, time.monotonic() - begun
