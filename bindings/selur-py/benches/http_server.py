"""The server that peers.py asks: a request is JSON, so is the answer. A process of its own, as a daemon is. Prints its port."""

from __future__ import annotations

import json
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers a ping with what it was given."""

    protocol_version = "HTTP/1.1"
    # An answer is one piece, and goes at once.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """A ping, or what is none."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_ping = request["command"] == "ping"
        answer = (
            {"status": "success", "data": request["payload"]} if is_ping else {"status": "invalid_request"}
        )
        body = json.dumps(answer).encode()
        self.send_response(200 if is_ping else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of each request."""


server = HTTPServer(("127.0.0.1", 0), Handler)
server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(server.server_address[1], flush=True)
server.serve_forever()
