"""Tests of the example server without PyTorch: python3 -m unittest server_test

The batching rule runs in virtual time against hand-derived instants; the interfaces
run over real connections to stand-in models whose times are a few ms. No test looks
at a clock.
"""

import asyncio
import json
import re
import unittest

import answers
import batching
import models
import server


def simulate(arrivals, max_batch, max_delay, a, b):
    """End of each request under the Batcher with one slot and t(B) = a + b·B, all in ms.
    At equal instants completions come first, then arrivals, then delays."""
    q, todo, ends = batching.Batcher(max_batch, max_delay), list(enumerate(arrivals)), [None] * len(arrivals)
    free_at = 0.0
    while todo or len(q):
        due = q.due()
        start = None if due is None else max(due, free_at)
        if todo and (start is None or todo[0][1] <= start):
            i, at = todo.pop(0)
            q.add(i, at)
            continue
        batch = q.take()
        free_at = start + a + b * len(batch)
        for i in batch:
            ends[i] = free_at
    return ends


class BatcherTest(unittest.TestCase):
    def test_instants_derived_by_hand(self):
        for arrivals, delay, ends in [
            ([0, 1, 1, 1, 1, 1], 0, [3, 9, 9, 9, 9, 12]),
            ([0, 1, 1, 1, 1, 1], 5, [7, 7, 7, 7, 11, 11]),
            ([0], 5, [8]),
            ([0, 5], 5, [9, 9]),
        ]:
            self.assertEqual(ends, simulate(arrivals, 4, delay, 2, 1), (arrivals, delay))

    def test_cancel_restarts_no_delay(self):
        q = batching.Batcher(4, 5)
        q.add("a", 0)
        q.add("b", 3)
        self.assertTrue(q.cancel("a"))
        self.assertFalse(q.cancel("a"))
        self.assertEqual(8, q.due())
        self.assertEqual(["b"], q.take())
        self.assertIsNone(q.due())

    def test_full_batch_is_due_when_its_last_request_came(self):
        q = batching.Batcher(2, 100)
        for i, at in enumerate([0, 7, 9]):
            q.add(i, at)
        self.assertEqual(7, q.due())
        self.assertEqual([0, 1], q.take())
        self.assertEqual(109, q.due())


class Sink:
    """Collects what an engine says about one request."""

    def __init__(self):
        self.tokens, self.finish, self.steps, self.error = [], None, None, None

    def token(self, t):
        self.tokens.append(t)

    def done(self, _result, finish, steps):
        self.finish, self.steps = finish, steps

    def failed(self, text):
        self.error = text


class Script:
    """A decoder that notes what is asked of it, and ends an answer after a token of 9."""

    max_len = 100

    def __init__(self, broken=False):
        self.calls, self.broken = [], broken

    def prefill(self, slot, tokens):
        self.calls.append(("prompt", slot, len(tokens)))

    def step(self, slots, tokens, positions):
        if self.broken:
            raise ValueError("no")
        self.calls.append(("step", list(slots), list(positions)))
        return [0 if t == 9 else t + 1 for t in tokens]


class ByHand(batching.TokenEngine):
    """The engine without its thread."""

    def start(self, n):
        pass

    def work(self):
        """Does what there is; the next wait ends it."""
        self.lock = NoWait(self)
        self.closed = False
        self.loop()


class NoWait:
    """A lock for one thread, whose wait closes the engine."""

    def __init__(self, engine):
        self.engine = engine

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def notify(self):
        pass

    def wait(self):
        self.engine.closed = True


class TokenEngineTest(unittest.TestCase):
    def engine(self, slots, **kw):
        model = Script(**kw)
        return ByHand(model, lambda events: [e() for e in events], slots), model

    def submit(self, engine, tokens, output, **kw):
        item = batching.Item(tokens, output, sink=Sink(), **kw)
        engine.submit(item)
        return item

    def test_prompts_one_by_one_then_steps_together(self):
        e, model = self.engine(2)
        a, b, c = self.submit(e, [5, 5, 5], 2), self.submit(e, [7], 1), self.submit(e, [1, 1], 1)
        e.work()
        self.assertEqual([("prompt", 0, 2), ("step", [0, 1], [2, 0]), ("prompt", 1, 1), ("step", [0, 1], [3, 1])], model.calls)
        self.assertEqual(([6, 7], "length"), (a.sink.tokens, a.sink.finish))
        self.assertEqual(([8], [2]), (b.sink.tokens, c.sink.tokens))
        self.assertEqual((0, 0, 2), e.load()[:3])
        self.assertEqual(0.0, e.load()[3])
        self.assertTrue(all(part >= 0 for part in a.sink.steps + b.sink.steps + c.sink.steps))

    def test_end_of_text(self):
        e, model = self.engine(1)
        a, b = self.submit(e, [8], 9), self.submit(e, [8], 4, ignore_eos=True)
        e.work()
        self.assertEqual(([9, 0], "stop"), (a.sink.tokens, a.sink.finish))
        self.assertEqual(([9, 0, 1, 2], "length"), (b.sink.tokens, b.sink.finish))

    def test_cancelled_requests_leave(self):
        e, model = self.engine(1)
        a, b = self.submit(e, [1], 3), self.submit(e, [2], 1)
        e.cancel(b)
        a.sink.token = lambda t: e.cancel(a)
        e.work()
        self.assertEqual(1, len(model.calls))
        self.assertIsNone(a.sink.finish)
        self.assertIsNone(b.sink.finish)
        self.assertEqual((0, 0, 1, 0.0), e.load())

    def test_broken_model_answers(self):
        e, _ = self.engine(1, broken=True)
        a = self.submit(e, [1], 3)
        with quiet():
            e.work()
        self.assertEqual("the model failed: ValueError", a.sink.error)
        self.assertEqual((0, 0, 1, 0.0), e.load())


class quiet:
    """Keeps expected traces off stderr."""

    def __enter__(self):
        self.print, batching.traceback.print_exc = batching.traceback.print_exc, lambda **_: None

    def __exit__(self, *_):
        batching.traceback.print_exc = self.print


class FitTest(unittest.TestCase):
    def test_exact_lines(self):
        a, b, error = models.fit([(x, 3 + 0.5 * x) for x in (1, 2, 4, 8)])
        self.assertAlmostEqual(3, a)
        self.assertAlmostEqual(0.5, b)
        self.assertAlmostEqual(0, error)

    def test_neither_below_zero(self):
        self.assertEqual(0.0, models.fit([(1, 0.5), (2, 2), (4, 5)])[0])
        self.assertEqual(0.0, models.fit([(1, 5), (2, 4), (4, 3)])[1])

    def test_doubling(self):
        self.assertEqual([[1], [1, 2, 3], [1, 2, 4, 8]], [models.doubling(n) for n in (1, 3, 8)])

    def test_profiles_name_their_parameters(self):
        text = models.encoder_profile(models.StandInEncoder(0.2, 0.1), 4, 2.0, 1, 1)
        self.assertRegex(text, r"(?m)^kind: affine$")
        self.assertRegex(text, r"(?m)^max_batch: 4$")
        self.assertRegex(text, r"(?m)^max_delay: 2ms$")
        text = models.chat_profile(models.StandInDecoder(2, 0.1, 0.0001, 0.1, 0.1), 1)
        self.assertRegex(text, r"(?m)^prefill: \{floor: [\d.]+ms, per_token: [\d.]+ms\}$")
        self.assertRegex(text, r"(?m)^slots: 2$")


class Lines(models.StandInEncoder):
    """An encoder that fails on a batch with the token of "break"."""

    BAD = answers.tokenize("break")[0]

    def run(self, batch):
        if any(self.BAD in tokens for tokens in batch):
            raise RuntimeError("broken")
        return super().run(batch)


class ServerTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        loop = asyncio.get_running_loop()
        args = server.parse(["--fake", "--max-delay-ms", "0", "--sequences", "2"])
        built = {"encoder": Lines(0.5, 0.1), "chat": models.StandInDecoder(2, 0.1, 0.001, 0.5, 0.1)}
        self.app = server.App(server.engines(args, built, lambda ev: loop.call_soon_threadsafe(server.run_events, ev)))
        self.listener = await loop.create_server(lambda: server.Connection(self.app), "127.0.0.1", 0)
        self.address = self.listener.sockets[0].getsockname()[:2]
        self.writers = []

    async def asyncTearDown(self):
        for w in self.writers:
            w.close()
        self.listener.close()
        for s in self.app.served.values():
            s.engine.close()

    async def dial(self):
        r, w = await asyncio.open_connection(*self.address)
        self.writers.append(w)
        return r, w

    async def read(self, r):
        """One answer: status, headers and trailers, body."""
        head = (await r.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
        if "content-length" in headers:
            return int(head[0].split()[1]), headers, await r.readexactly(int(headers["content-length"]))
        body = b""
        while (size := int(await r.readline(), 16)) > 0:
            body += (await r.readexactly(size + 2))[:-2]
        while (line := (await r.readline()).decode().strip()):
            name, value = line.split(": ", 1)
            headers[name.lower()] = value
        return int(head[0].split()[1]), headers, body

    @staticmethod
    def wire(method, path, value=None, headers=""):
        body = b"" if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
        return f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body

    async def ask(self, method, path, value=None, headers=""):
        r, w = await self.dial()
        w.write(self.wire(method, path, value, headers))
        return await self.read(r)

    @staticmethod
    def events(body):
        text = body.decode()
        assert text.endswith("data: [DONE]\n\n"), text
        return [json.loads(e.removeprefix("data: ")) for e in text.split("\n\n")[:-2]]

    async def test_chat_streams(self):
        code, head, body = await self.ask("POST", "/v1/chat/completions", {
            "model": "chat", "messages": [{"role": "user", "content": "one two three"}], "stream": True,
            "stream_options": {"include_usage": True}, "max_tokens": 3, "ignore_eos": True},
            "endpoint-load-metrics-format: text\r\n")
        self.assertEqual(200, code)
        self.assertTrue(head["content-type"].startswith("text/event-stream"))
        ev = self.events(body)
        self.assertEqual({"content": "", "role": "assistant"}, ev[0]["choices"][0]["delta"])
        self.assertEqual(3, sum(1 for e in ev if e["choices"] and e["choices"][0]["delta"].get("content")))
        self.assertEqual("length", ev[-2]["choices"][0]["finish_reason"])
        self.assertEqual({"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}, ev[-1]["usage"])
        self.assertGreater(int(head["x-taillab-server-ns"]), 0)
        self.assertEqual(int(head["x-taillab-server-ns"]), sum(map(int, head["x-taillab-steps-ns"].split())))
        self.assertIn("named_metrics.num_requests_running=0", head["endpoint-load-metrics"])
        self.assertIn("named_metrics.kv_cache_usage_perc=0.0", head["endpoint-load-metrics"])

    async def test_completions_in_one_piece(self):
        for prompt, n in [("a b", 2), (["a b c"], 3), ([1, 2, 3, 4], 4), ([[7]], 1)]:
            code, head, body = await self.ask("POST", "/v1/completions", {"prompt": prompt, "max_tokens": 2, "ignore_eos": True})
            self.assertEqual(200, code, body)
            doc = json.loads(body)
            self.assertEqual((n, 2), (doc["usage"]["prompt_tokens"], doc["usage"]["completion_tokens"]))
            self.assertEqual(2, len(doc["choices"][0]["text"].split()))
            self.assertNotIn("endpoint-load-metrics", head)  # nobody asked

    async def test_kserve(self):
        text = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["one two"]}
        code, head, body = await self.ask("POST", "/v2/models/encoder/infer", {"id": "42", "inputs": [text]},
                                          "Endpoint-Load-Metrics-Format: json\r\n")
        doc = json.loads(body)
        self.assertEqual((200, "42", [0.0, 2.0]), (code, doc["id"], doc["outputs"][0]["data"]))
        load = json.loads(head["endpoint-load-metrics"].removeprefix("JSON "))["named_metrics"]
        self.assertEqual((0, 8, 8), (load["rif"], load["slots"], load["idle_slots"]))
        self.assertNotIn("kv_cache_usage_perc", load)  # no cache is unknown, not empty
        code, _, body = await self.ask("POST", "/v2/models/chat/infer", {"inputs": [text, {"name": "max_tokens", "data": [[2]]}]})
        self.assertEqual((200, 2), (code, len(json.loads(body)["outputs"][0]["data"][0].split())))
        code, _, body = await self.ask("POST", "/v2/models/encoder/infer", {"inputs": [{"name": "input_ids", "data": [[1, 2, 3]]}]})
        self.assertEqual((200, [0.0, 3.0]), (code, json.loads(body)["outputs"][0]["data"]))

    async def test_what_is_there(self):
        for path in ("/", "/health", "/v2/health/ready", "/v2/health/live", "/v2/models/chat/ready", "/v2/models/encoder",
                     "/v2/models/chat", "/v2", "/v1/models"):
            self.assertEqual(200, (await self.ask("GET", path))[0], path)
        _, _, body = await self.ask("GET", "/metrics")
        for name in ("num_requests_running", "num_requests_waiting", "request_success_total"):
            self.assertRegex(body.decode(), rf'(?m)^vllm:{name}\{{model_name="encoder"\}} 0$')
        self.assertEqual(1, len(re.findall(r"(?m)^vllm:kv_cache_usage_perc\{", body.decode())))
        _, head, body = await self.ask("GET", "/probe?model=chat")
        self.assertEqual((0, 2), (json.loads(body)["rif"], json.loads(body)["idle_slots"]))
        self.assertTrue(head["endpoint-load-metrics"].startswith("TEXT named_metrics.rif=0"))
        self.assertEqual(10, json.loads((await self.ask("GET", "/probe"))[2])["idle_slots"])

    async def test_refusals(self):
        chat, text = "/v1/chat/completions", [{"role": "user", "content": "a"}]
        for method, path, value, code in [
            ("GET", "/nothing", None, 404), ("DELETE", "/health", None, 404), ("GET", "/v2/models/x", None, 404),
            ("POST", chat, b"{", 400), ("POST", chat, b"[" * 100_000, 400), ("POST", chat, [], 400), ("POST", chat, {}, 400),
            ("POST", chat, {"messages": ["a"]}, 400), ("POST", chat, {"messages": [{"content": 3}]}, 400),
            ("POST", chat, {"messages": [{"content": " "}]}, 400), ("POST", chat, {"messages": text, "model": "x"}, 404),
            ("POST", chat, {"messages": text, "model": ["x"]}, 400), ("POST", chat, {"messages": text, "model": "encoder"}, 404),
            ("POST", chat, {"messages": text, "max_tokens": 0}, 400), ("POST", chat, {"messages": text, "max_tokens": True}, 400),
            ("POST", chat, {"messages": text, "max_tokens": 1 << 18}, 400), ("POST", chat, {"messages": text, "n": 2}, 400),
            ("POST", "/v1/completions", {"prompt": {}}, 400), ("POST", "/v1/completions", {"prompt": [-1]}, 400),
            ("POST", "/v2/models/encoder/infer", {}, 400), ("POST", "/v2/models/encoder/infer", {"inputs": {}}, 400),
            ("POST", "/v2/models/encoder/infer", {"inputs": [{"name": "text_input", "data": ["a", "b"]}]}, 400),
            ("POST", "/v2/models/encoder/infer", {"inputs": [{"name": "text_input", "data": [1]}]}, 400),
            ("POST", "/v2/models/encoder/infer", {"inputs": [{"name": "input_ids", "data": [[1], [2]]}]}, 400),
            ("POST", "/v2/models/encoder/infer", {"inputs": [{"name": "input_ids", "data": [1] * 513}]}, 400),
        ]:
            got, head, body = await self.ask(method, path, value)
            self.assertEqual(code, got, (path, value if not isinstance(value, bytes) else value[:9], body))
            self.assertTrue(json.loads(body)["error"]["message"])
        self.assertEqual("too_long", head["x-taillab-class"])  # of the last one

    async def test_broken_http(self):
        for raw, code in [
            (b"hello\r\n\r\n", 400), (b"GET / HTTP/2.0\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411), (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413), (b"GET //[ HTTP/1.1\r\n\r\n", 400),
            (b"x" * (70 << 10), 431),
        ]:
            r, w = await self.dial()
            w.write(raw)
            self.assertEqual(code, (await self.read(r))[0], raw[:40])
            self.assertEqual(b"", await r.read())  # and the connection ends

    async def test_connection_is_kept_byte_by_byte(self):
        r, w = await self.dial()
        text = {"name": "text_input", "data": ["one"]}
        both = self.wire("POST", "/v2/models/encoder/infer", {"id": "1", "inputs": [text]}) + \
            self.wire("POST", "/v2/models/encoder/infer", {"id": "2", "inputs": [text]})
        for i in range(len(both)):
            w.write(both[i:i + 1])
            await asyncio.sleep(0)
        self.assertEqual(["1", "2"], [json.loads((await self.read(r))[2])["id"] for _ in range(2)])
        w.write(self.wire("GET", "/health", headers="Connection: close\r\n"))
        self.assertEqual("close", (await self.read(r))[1]["connection"])
        self.assertEqual(b"", await r.read())

    async def test_http_1_0_stream_ends_with_its_connection(self):
        r, w = await self.dial()
        body = json.dumps({"prompt": "a", "max_tokens": 2, "stream": True, "ignore_eos": True}).encode()
        w.write(f"POST /v1/completions HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        head, _, events = (await r.read()).partition(b"\r\n\r\n")
        self.assertNotIn(b"chunked", head)
        self.assertEqual(1, head.lower().count(b"connection: close"))
        self.assertEqual("length", self.events(events)[-1]["choices"][0]["finish_reason"])

    async def test_broken_model_answers(self):
        with quiet():
            code, _, body = await self.ask("POST", "/v2/models/encoder/infer", {"inputs": [{"name": "text_input", "data": ["break"]}]})
        self.assertEqual((500, "the model failed: RuntimeError"), (code, json.loads(body)["error"]["message"]))
        code, _, _ = await self.ask("POST", "/v2/models/encoder/infer", {"inputs": [{"name": "text_input", "data": ["whole"]}]})
        self.assertEqual(200, code)

    async def test_client_that_leaves_frees_its_slot(self):
        r, w = await self.dial()
        w.write(self.wire("POST", "/v1/completions", {"prompt": "a", "max_tokens": 4000, "stream": True, "ignore_eos": True}))
        await r.readuntil(b"\r\n\r\n")
        self.assertEqual(1, self.app.served["chat"].engine.load()[0])
        w.close()
        for _ in range(1000):
            if self.app.served["chat"].engine.load()[0] == 0:
                break
            await asyncio.sleep(0.002)
        self.assertEqual((0, 0), self.app.served["chat"].engine.load()[:2])


if __name__ == "__main__":
    unittest.main()
