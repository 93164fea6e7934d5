#!/usr/bin/python3
"""A TLS server of Python's ssl that shakes hands and then only reads: tls_server.py CERT KEY CLIENT_CA|- [ALPN]

Prints {"port": N}; lives until its standard input closes."""
import json
import socket
import ssl
import sys
import threading

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
if sys.argv[3] != "-":
    context.load_verify_locations(sys.argv[3])
    context.verify_mode = ssl.CERT_REQUIRED
if len(sys.argv) > 4:
    context.set_alpn_protocols([sys.argv[4]])


def serve(listener):
    while True:
        sock, _ = listener.accept()
        try:
            with context.wrap_socket(sock, server_side=True) as tls:
                while tls.recv(4096):
                    pass
        except OSError:
            sock.close()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
sys.stdin.read()
