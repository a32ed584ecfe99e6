"""Many connections that are half open or trickle, in a process of their own, so that who watches the server beside them is not kept waiting by them. In: the port, and how many.
Out, once all are cut off: for how many seconds the longest of each kind was kept, as JSON.

    python3 deploy/load/hostile_clients.py 8080 1000
"""

import json
import selectors
import socket
import sys
import time

HEAD = b"POST /transcribe HTTP/1.1\r\nhost: x\r\n"
KINDS = {"silent": b"", "half a request line": HEAD[:19], "a header that trickles": HEAD, "half a body": HEAD + b"content-length: 99999\r\n\r\nRIFF"}
TRICKLE_SECONDS = 0.5
MOST_SECONDS = 120


def main() -> None:
    port, many = map(int, sys.argv[1:3])
    open_ones, longest = selectors.DefaultSelector(), dict.fromkeys(KINDS, 0.0)
    for number in range(many):
        kind = list(KINDS)[number % len(KINDS)]
        one = socket.create_connection(("127.0.0.1", port))
        open_ones.register(one, selectors.EVENT_READ, (kind, time.monotonic()))
        one.sendall(KINDS[kind])
        one.setblocking(False)
    begun = drop = time.monotonic()
    while open_ones.get_map() and time.monotonic() < begun + MOST_SECONDS:
        for key, _ in open_ones.select(TRICKLE_SECONDS / 5):
            if not read(key.fileobj):
                kind, since = key.data
                longest[kind] = max(longest[kind], time.monotonic() - since)
                open_ones.unregister(key.fileobj)
                key.fileobj.close()
        if time.monotonic() > drop + TRICKLE_SECONDS:
            drop = time.monotonic()
            for key in list(open_ones.get_map().values()):
                if key.data[0] == "a header that trickles":
                    trickle(key.fileobj)
    print(json.dumps(longest if not open_ones.get_map() else dict.fromkeys(KINDS, MOST_SECONDS)))


def read(one: socket.socket) -> bytes:
    try:
        return one.recv(4096)
    except ConnectionError:
        return b""


def trickle(one: socket.socket) -> None:
    try:
        one.send(b"x")
    except OSError:
        pass  # Cut off in this moment: the next look sees it.


if __name__ == "__main__":
    main()
