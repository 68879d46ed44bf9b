"""Just enough HTTP/1 for the example server: requests with a Content-Length, answers in
one piece or written bit by bit, connections that are kept.
"""

import asyncio
import json
import urllib.parse

import batching

MAX_HEADER = 64 << 10
MAX_BODY = 8 << 20
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 411: "Length Required",
           413: "Content Too Large", 431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented"}


class Refusal(Exception):
    """A request that is answered by a status of its own; cls names the outcome class."""

    def __init__(self, status, text, cls=""):
        super().__init__(text)
        self.status, self.text, self.cls = status, text, cls


class Request:
    """One HTTP request, read whole."""

    def __init__(self, method, target, version, headers, body, arrived):
        split = urllib.parse.urlsplit(target)
        self.method, self.path, self.version = method, urllib.parse.unquote(split.path), version
        self.query = dict(urllib.parse.parse_qsl(split.query))
        self.headers, self.body, self.arrived = headers, body, arrived

    def keeps(self):
        asked = self.headers.get("connection", "").lower()
        return asked != "close" and (self.version == "HTTP/1.1" or asked == "keep-alive")

    def json(self):
        try:
            out = json.loads(self.body or b"{}")
        except (ValueError, RecursionError) as e:
            raise Refusal(400, f"the body is not JSON: {e}") from None
        if not isinstance(out, dict):
            raise Refusal(400, "the body must be a JSON object")
        return out


class Connection(asyncio.Protocol):
    """One client: requests are read and answered one after another. Callbacks instead
    of a task per request: the server shares its processors with what measures it."""

    def __init__(self, app):
        self.app, self.buffer, self.transport = app, bytearray(), None
        self.request = self.cancel = None
        self.continued = False

    def connection_made(self, transport):
        self.transport = transport
        self.app.connections.add(self)

    def connection_lost(self, _why):
        self.app.connections.discard(self)
        if self.cancel:
            self.cancel()
        self.cancel = self.transport = None

    def data_received(self, data):
        self.buffer += data
        if self.request is None:
            self.next()

    def next(self):
        """Serves the next request that is there in full."""
        try:
            self.request = self.parse()
        except Refusal as r:
            self.request = Request("GET", "/", "HTTP/1.0", {}, b"", batching.now_ns())  # closes afterwards
            self.refuse(r)
            return
        if self.request is None:
            return
        try:
            self.app.serve(self, self.request)
        except Refusal as r:
            self.refuse(r)

    def parse(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0 and len(self.buffer) <= MAX_HEADER:
            return None
        if end < 0 or end > MAX_HEADER:
            raise Refusal(431, f"the header is longer than {MAX_HEADER} bytes")
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        first = lines[0].split(" ")
        if len(first) != 3 or first[2] not in ("HTTP/1.0", "HTTP/1.1"):
            raise Refusal(400, "this is no HTTP/1 request")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise Refusal(400, "a header line has no colon")
            headers[name.strip().lower()] = value.strip()
        size = self.size(headers)
        if len(self.buffer) < end + 4 + size:
            if headers.get("expect", "").lower() == "100-continue" and not self.continued:
                self.continued = True
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body = bytes(self.buffer[end + 4:end + 4 + size])
        del self.buffer[:end + 4 + size]
        self.continued = False
        try:
            return Request(*first, headers, body, batching.now_ns())
        except ValueError:
            raise Refusal(400, "the path cannot be read") from None

    @staticmethod
    def size(headers):
        if "transfer-encoding" in headers:
            raise Refusal(411, "send the body with a Content-Length")
        text = headers.get("content-length", "0")
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise Refusal(400, "Content-Length is no number")
        if int(text) > MAX_BODY:
            raise Refusal(413, f"the body is longer than {MAX_BODY} bytes")
        return int(text)

    def write(self, data):
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def head(self, status, headers):
        lines = [f"HTTP/1.1 {status} {REASONS[status]}"] + [f"{k}: {v}" for k, v in headers.items()]
        if not self.request.keeps():
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def refuse(self, r):
        extra = {"X-Taillab-Class": r.cls} if r.cls else {}
        kind = "invalid_request_error" if r.status < 500 else "server_error"
        self.reply({"error": {"message": r.text, "type": kind, "code": r.status}}, r.status, extra)

    def reply(self, value, status=200, extra=None, kind="application/json"):
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        head = {"Content-Type": kind, "Content-Length": len(body)} | (extra or {})
        self.write(self.head(status, head) + body)
        self.ended()

    def ended(self):
        """The answer is complete: on to the next request."""
        keep, self.request, self.cancel = self.request.keeps(), None, None
        if self.transport is None:
            return
        if not keep:
            self.transport.close()
        elif self.buffer:
            asyncio.get_running_loop().call_soon(self.resume)

    def resume(self):
        if self.request is None and self.transport is not None:
            self.next()
