"""Starts and stops a real server, and speaks to it. In: a command line. Out: answers, logs, exit codes. Standard library only."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid


class Server:
    """`with Server(["target/release/verbatim"]) as server:` serves on a free port, or on `port`, until the block ends."""

    answer_within = 300  # seconds

    def __init__(self, command, *arguments, patience=600, port=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = port or free.getsockname()[1]
        self.log = tempfile.TemporaryFile()
        line = [*command, "serve", "--port", str(self.port), *arguments]
        # A group of its own, so that the signal reaches the server and not only the cargo that runs it.
        self.process = subprocess.Popen(line, stdout=self.log, stderr=self.log, start_new_session=True)
        self.patience = patience

    def __enter__(self):
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended with {self.process.returncode}:\n{self.said()}")
            try:
                if self.get("/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.2)
        raise SystemExit(f"the server was not ready within {self.patience} s:\n{self.said()}")

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        return self.process.wait(timeout=60)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def get(self, path):
        return self.request("GET", path)

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body)"""
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self.answer_within) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def transcribe(self, audio, name="audio", **fields):
        """Posts a form as curl -F does; (status, body), the body parsed where it is JSON; `answered` keeps the last headers."""
        boundary = uuid.uuid4().hex
        parts = b""
        for key, value in fields.items():
            parts += f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        parts += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        parts += audio + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        status, self.answered, body = self.request("POST", "/transcribe", parts, headers)
        is_json = self.answered.get("Content-Type", "").startswith("application/json")
        return status, json.loads(body) if is_json else body.decode()
