"""What the interfaces are: KServe v2 inference, and OpenAI completions and chat
completions. An answer reads its request, enters an engine and writes what comes out.
"""

import json
import os
import time
import zlib

import batching
from http1 import Refusal


def tokenize(text):
    """Words are tokens: their checksums stand for a vocabulary."""
    return [zlib.crc32(w.encode()) & 0x7FFFFFFF for w in text.split()]


def spell(token):
    return f"w{token} "


class Answer:
    """What becomes of a request inside an engine: the sink of its item."""

    def __init__(self, conn, request, served, tokens, output=1, ignore_eos=False):
        self.conn, self.request, self.served = conn, request, served
        self.given = []  # tokens of the answer
        self.prompt = len(tokens)
        self.check(tokens, output)
        self.item = batching.Item(tokens, output, ignore_eos, sink=self)

    def check(self, tokens, output):
        need = len(tokens) + output if self.served.generates else len(tokens)
        if not tokens:
            raise Refusal(400, "the input is empty")
        if need > self.served.longest:
            raise Refusal(400, f"{need} tokens, and {self.served.name} takes {self.served.longest}", "too_long")

    def go(self):
        self.conn.cancel = lambda: self.served.engine.cancel(self.item)
        self.served.engine.submit(self.item)

    def gone(self):
        return self.conn.transport is None or self.item.cancelled

    def told(self, steps):
        """The headers that say how long the request was inside, and with what load it left."""
        total = batching.now_ns() - self.request.arrived
        queue, batch, _ = steps
        out = {"X-Taillab-Server-Ns": total, "X-Taillab-Steps-Ns": f"{queue} {batch} {total - queue - batch}"}
        wanted = self.request.headers.get("endpoint-load-metrics-format", "").lower()
        if wanted in ("text", "json"):
            out["Endpoint-Load-Metrics"] = load_report(self.served.load(), wanted)
        return out

    def token(self, token):
        self.given.append(token)

    def failed(self, text):
        if not self.gone():
            self.conn.refuse(Refusal(500, text))

    def usage(self):
        n = len(self.given)
        return {"prompt_tokens": self.prompt, "completion_tokens": n, "total_tokens": self.prompt + n}


def load_report(load, form):
    """The value of endpoint-load-metrics: what vLLM tells, and the names of probes."""
    if form == "json":
        return "JSON " + json.dumps({"named_metrics": load})
    return "TEXT " + ", ".join(f"named_metrics.{k}={v}" for k, v in load.items())


class Infer(Answer):
    """KServe v2: one input, one answer in one piece."""

    def __init__(self, conn, request, served, doc):
        inputs = {i.get("name"): i for i in doc.get("inputs", []) if isinstance(i, dict)} \
            if isinstance(doc.get("inputs"), list) else {}
        self.id = doc.get("id", "")
        output = 1
        if served.generates:
            output = positive("max_tokens", one("max_tokens", inputs["max_tokens"]) if "max_tokens" in inputs else 16)
        super().__init__(conn, request, served, self.read(inputs), output, ignore_eos=True)

    @staticmethod
    def read(inputs):
        if "text_input" in inputs:
            text = one("text_input", inputs["text_input"])
            if not isinstance(text, str):
                raise Refusal(400, "text_input must hold a text")
            return tokenize(text)
        if "input_ids" in inputs:
            return ids("input_ids", flat(inputs["input_ids"].get("data")))
        raise Refusal(400, "inputs must hold text_input (BYTES) or input_ids (INT64)")

    def done(self, result, _finish, steps):
        if self.gone():
            return
        if self.served.generates:
            out = [{"name": "text_output", "datatype": "BYTES", "shape": [1], "data": ["".join(map(spell, self.given))]}]
        else:
            out = [{"name": "scores", "datatype": "FP32", "shape": [1, len(result)], "data": result}]
        self.conn.reply({"model_name": self.served.name, "id": self.id, "outputs": out}, extra=self.told(steps))


def flat(data):
    """The numbers or texts of KServe data, which may be nested once per dimension."""
    if not isinstance(data, list):
        raise Refusal(400, "an input has no list called data")
    while data and isinstance(data[0], list):
        if len(data) != 1:
            raise Refusal(400, "one input per request: the server makes the batches")
        data = data[0]
    return data


def one(name, part):
    data = flat(part.get("data"))
    if len(data) != 1:
        raise Refusal(400, f"{name} must hold one value: the server makes the batches")
    return data[0]


def ids(name, data):
    if not all(type(t) is int and 0 <= t < 1 << 31 for t in data):
        raise Refusal(400, f"{name} must hold token numbers")
    return data


def positive(name, n):
    if type(n) is not int or not 1 <= n <= 1 << 20:
        raise Refusal(400, f"{name} is {json.dumps(n)[:40]}: it must be a whole number from 1 to {1 << 20}")
    return n


class Completion(Answer):
    """OpenAI: chat completions and completions, in one piece or as server-sent events."""

    def __init__(self, conn, request, served, doc, chat):
        self.chat, self.stream = chat, doc.get("stream") is True
        options = doc.get("stream_options")
        self.counts = isinstance(options, dict) and options.get("include_usage") is True
        self.stem = {"id": "cmpl-" + os.urandom(6).hex(), "created": int(time.time()), "model": served.name}
        self.begun = False
        if doc.get("n", 1) != 1:
            raise Refusal(400, "n must be 1")
        most = next((doc[k] for k in ("max_completion_tokens", "max_tokens") if doc.get(k) is not None), 16)
        super().__init__(conn, request, served, self.read(doc), positive("max_tokens", most), doc.get("ignore_eos") is True)

    def read(self, doc):
        if not self.chat:
            prompt = doc.get("prompt")
            if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], (str, list)):
                prompt = prompt[0]
            if isinstance(prompt, list):
                return ids("prompt", prompt)
            if not isinstance(prompt, str):
                raise Refusal(400, "prompt must be a text or a list of token numbers")
            return tokenize(prompt)
        messages = doc.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Refusal(400, "messages must be a list with at least one message")
        return [t for m in messages for t in tokenize(content(m))]

    def frame(self, text=None, finish=None, **more):
        """One event of a stream."""
        if self.chat:
            choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
        else:
            choice = {"index": 0, "text": text or "", "finish_reason": finish}
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return self.stem | {"object": kind, "choices": [choice]} | more

    def event(self, value):
        text = value if isinstance(value, str) else json.dumps(value)
        return self.piece(f"data: {text}\n\n".encode())

    def piece(self, data):
        """A chunk of the body; HTTP/1.0 knows none, there the end of the connection ends it."""
        if self.request.version == "HTTP/1.0":
            return data
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    def begin(self):
        """The header, and the frame that carries the role."""
        head = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
        if self.request.version == "HTTP/1.0":
            self.request.headers["connection"] = "close"  # that is how the client knows the end
        else:
            head |= {"Transfer-Encoding": "chunked", "Trailer": "X-Taillab-Server-Ns, X-Taillab-Steps-Ns, Endpoint-Load-Metrics"}
        self.begun = True
        out = self.conn.head(200, head)
        if self.chat:
            first = self.frame("")
            first["choices"][0]["delta"]["role"] = "assistant"
            out += self.event(first)
        return out

    def token(self, token):
        super().token(token)
        if self.stream and not self.gone():
            head = b"" if self.begun else self.begin()
            self.conn.write(head + self.event(self.frame(spell(token))))

    def done(self, _result, finish, steps):
        if self.gone():
            return
        if not self.stream:
            self.conn.reply(self.whole(finish), extra=self.told(steps))
            return
        out = self.event(self.frame(finish=finish))
        if self.counts:
            out += self.event(self.stem | {"object": self.frame()["object"], "choices": [], "usage": self.usage()})
        out += self.event("[DONE]")
        if self.request.version != "HTTP/1.0":
            out += b"0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in self.told(steps).items()).encode() + b"\r\n"
        self.conn.write(out)
        self.conn.ended()

    def whole(self, finish):
        text = "".join(map(spell, self.given))
        choice = {"index": 0, "finish_reason": finish}
        choice |= {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        kind = "chat.completion" if self.chat else "text_completion"
        return self.stem | {"object": kind, "choices": [choice], "usage": self.usage()}

    def failed(self, text):
        if self.gone() or not self.begun:
            super().failed(text)
            return
        self.conn.write(self.event({"error": {"message": text, "type": "server_error", "code": 500}}))
        self.conn.transport.close()  # the stream is broken: an end would look whole


def content(message):
    """The text of a chat message: a text, or parts of which some are text."""
    body = message.get("content") if isinstance(message, dict) else None
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        return " ".join(p["text"] for p in body if isinstance(p, dict) and isinstance(p.get("text"), str))
    raise Refusal(400, "a message has no content")
