#!/usr/bin/python3
"""A TLS client of Python's ssl that sends every byte in a segment of its own: tls_dribble.py PORT

Sends a line and prints what comes back."""
import socket
import ssl
import sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
session = context.wrap_bio(received, to_send)
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20)
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def flush():
    for byte in to_send.read():
        sock.sendall(bytes([byte]))


def until_done(step):
    while True:
        try:
            result = step()
        except ssl.SSLWantReadError:
            flush()
            received.write(sock.recv(65536))
            continue
        flush()
        return result


until_done(session.do_handshake)
until_done(lambda: session.write(b"hello\n"))
print(until_done(lambda: session.read(100)).decode(), end="")
