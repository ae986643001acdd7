"""A proxy before an MLflow server that can be away, slow, broken, or lose what it is answered."""

from __future__ import annotations

import http.client
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Mode = Literal["well", "away", "slow", "broken", "lossy"]
# Seconds that a slow one takes longer for each call, and the share of answers that a lossy one loses.
SLOW_S, LOST = 2.0, 0.3
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Proxy:
    """Stands before a server.

    Args:
        url: Of the server.
        seed: Which answers are lost.

    Attributes:
        mode: What it does at the moment; may be changed at any time.
        url: Its own address.
        lost: Answers to requests that change something, which were lost.
        hang_up: End of a path: the next request to it is hung up on, as a server does that has just ended a connection.
    """

    def __init__(self, url: str, seed: int = 0) -> None:
        self.mode: Mode = "well"
        self.lost = 0
        self.hang_up = ""
        self._server = _Server(("127.0.0.1", 0), _handler(self, urlsplit(url).netloc, random.Random(seed)))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that give up are what this is for."""


def _handler(proxy: Proxy, server: str, draw: random.Random) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            body = self._body()
            mode = proxy.mode
            if proxy.hang_up and self.path.endswith(proxy.hang_up):
                proxy.hang_up = ""
                return
            if mode == "away":
                return
            if mode == "broken":
                self.send_error(500)
                return
            if mode == "slow":
                time.sleep(SLOW_S)
            connection = http.client.HTTPConnection(server, timeout=60)
            headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP_BY_HOP}
            connection.request(self.command, self.path, body, headers | {"Host": server})
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if mode == "lossy" and draw.random() < LOST:
                proxy.lost += self.command != "GET"
                return
            self.send_response_only(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in _HOP_BY_HOP:
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _forward  # noqa: N815 (as http.server calls them)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler
