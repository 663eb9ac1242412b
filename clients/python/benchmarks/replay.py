"""Serves one recorded answer over and over, as fast as loopback carries it.

It stands in for a server that costs nothing: what is measured against it is the client alone.
"""

from __future__ import annotations

import socket
import sys
import threading


def serve(path: str, chunk_bytes: int) -> None:
    """Answer every request with the bytes of a file, in HTTP chunks; the port is printed first."""
    with open(path, "rb") as file:
        content = memoryview(file.read())
    samples = int(sys.argv[3])
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.varve.columns\r\n"
        f"Varve-Samples: {samples}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection, head, content, chunk_bytes), daemon=True).start()


def _answer(connection: socket.socket, head: bytes, content: memoryview, chunk_bytes: int) -> None:
    with connection:
        while _request(connection):
            try:
                connection.sendall(head)
                for at in range(0, len(content), chunk_bytes):
                    part = content[at : at + chunk_bytes]
                    connection.sendmsg([b"%x\r\n" % len(part)])
                    connection.sendall(part)
                    connection.sendall(b"\r\n")
                connection.sendall(b"0\r\n\r\n")
            except OSError:
                return


def _request(connection: socket.socket) -> bool:
    """Read one request with its body; False at the end."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return False
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return True


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
