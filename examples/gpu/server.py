#!/usr/bin/env python3
"""A small GPU server to point taillab at: PyTorch behind HTTP, nothing downloaded.

It speaks OpenAI (chat completions and completions, streamed or not) for a small
decoder and KServe v2 for a BERT-shaped encoder and the decoder, reports its load as
vLLM does, and tells in headers how long a request was inside. It is made for
experiments on a trusted network: there is no TLS, no key and no rate limit.

Start reading at ROUTES. http1.py speaks HTTP, answers.py the interfaces, batching.py
holds the queues and models.py the models.
"""

import argparse
import asyncio
import os
import signal
import sys

import batching
import models
from answers import Completion, Infer, load_report
from http1 import Connection, Refusal


class Served:
    """A model with its engine."""

    def __init__(self, name, model, engine, longest, generates):
        self.name, self.model, self.engine = name, model, engine
        self.longest = longest  # tokens: of the input, or of prompt and answer together
        self.generates = generates

    def load(self):
        running, waiting, slots, kv = self.engine.load()
        out = {"rif": running + waiting, "num_requests_running": running, "num_requests_waiting": waiting,
               "slots": slots, "idle_slots": max(0, slots - running - waiting), "latency": round(self.engine.recent_ns / 1e9, 6)}
        if kv is not None:
            out["kv_cache_usage_perc"] = round(kv, 4)
        return out


class App:
    """The routes over the models that are served."""

    def __init__(self, served):
        self.served = {s.name: s for s in served}
        self.connections = set()

    def serve(self, conn, q):
        parts = q.path.strip("/").split("/")
        for method, pattern, handler in ROUTES:
            want = pattern.strip("/").split("/")
            if len(want) == len(parts) and all(w in ("*", p) for w, p in zip(want, parts)):
                if q.method != method:
                    continue
                handler(self, conn, q, *(p for w, p in zip(want, parts) if w == "*"))
                return
        raise Refusal(404, f"there is no {q.method} {q.path}")

    def find(self, name, generates=False):
        s = self.served.get(name) if name else next((s for s in self.served.values() if s.generates or not generates), None)
        if s is None or generates and not s.generates:
            raise Refusal(404, f"there is no model {name or 'that writes text'}: this server has {', '.join(self.served)}")
        return s

    def health(self, conn, _q, name=None):
        if name is not None:
            self.find(name)
        conn.reply({"ready": True})

    def chat(self, conn, q):
        self.complete(conn, q, True)

    def completions(self, conn, q):
        self.complete(conn, q, False)

    def complete(self, conn, q, chat):
        doc = q.json()
        name = doc.get("model")
        if name is not None and not isinstance(name, str):
            raise Refusal(400, "model must be a text")
        Completion(conn, q, self.find(name, generates=True), doc, chat).go()

    def infer(self, conn, q, name):
        served = self.find(name)
        Infer(conn, q, served, q.json()).go()

    def server(self, conn, _q):
        conn.reply({"name": "taillab-example", "version": "1", "extensions": []})

    def models(self, conn, _q):
        conn.reply({"object": "list", "data": [{"id": n, "object": "model", "created": 0, "owned_by": "taillab"} for n in self.served]})

    def model(self, conn, _q, name):
        s = self.find(name)
        inputs = [{"name": "text_input", "datatype": "BYTES", "shape": [1]}]
        if s.generates:
            inputs.append({"name": "max_tokens", "datatype": "INT32", "shape": [1]})
        out = {"name": "text_output", "datatype": "BYTES", "shape": [1]} if s.generates else \
            {"name": "scores", "datatype": "FP32", "shape": [1, 2]}
        conn.reply({"name": name, "versions": ["1"], "platform": f"{s.model.name} on {s.model.device}", "inputs": inputs, "outputs": [out]})

    def probe(self, conn, q):
        """How many requests are here: of one model with ?model=NAME, else of all."""
        chosen = [self.find(q.query["model"])] if "model" in q.query else list(self.served.values())
        loads = [s.load() for s in chosen]
        load = {k: sum(x[k] for x in loads) for k in ("rif", "num_requests_waiting", "idle_slots", "slots")}
        load["latency"] = max(x["latency"] for x in loads)
        form = "json" if q.headers.get("endpoint-load-metrics-format", "").lower() == "json" else "text"
        conn.reply(load, extra={"Endpoint-Load-Metrics": load_report(load, form)})

    def metrics(self, conn, _q):
        lines = []
        for metric, about, kind, of in METRICS:
            lines += [f"# HELP {metric} {about}", f"# TYPE {metric} {kind}"]
            lines += [f'{metric}{{model_name="{s.name}"}} {v}' for s in self.served.values() if (v := of(s)) is not None]
        conn.reply("\n".join(lines) + "\n", kind="text/plain; version=0.0.4; charset=utf-8")


METRICS = [
    ("vllm:num_requests_running", "Requests being worked on.", "gauge", lambda s: s.load()["num_requests_running"]),
    ("vllm:num_requests_waiting", "Requests in the queue.", "gauge", lambda s: s.load()["num_requests_waiting"]),
    ("vllm:kv_cache_usage_perc", "Share of the cache that holds tokens, 0 to 1.", "gauge", lambda s: s.load().get("kv_cache_usage_perc")),
    ("vllm:request_success_total", "Requests that were served.", "counter", lambda s: s.engine.served),
]

ROUTES = [
    ("POST", "/v1/chat/completions", App.chat),
    ("POST", "/v1/completions", App.completions),
    ("POST", "/v2/models/*/infer", App.infer),
    ("GET", "/", App.health),
    ("GET", "/health", App.health),
    ("GET", "/v2/health/live", App.health),
    ("GET", "/v2/health/ready", App.health),
    ("GET", "/v2/models/*/ready", App.health),
    ("GET", "/v2/models/*", App.model),
    ("GET", "/v2", App.server),
    ("GET", "/v1/models", App.models),
    ("GET", "/probe", App.probe),
    ("GET", "/metrics", App.metrics),
]


def build(args):
    """The models that were asked for, by name."""
    if args.fake:
        all_models = {"encoder": models.StandInEncoder(), "chat": models.StandInDecoder(args.sequences)}
        return {k: m for k, m in all_models.items() if k in args.models}
    device = models.pick_device(args.device)
    size = args.size if args.size != "auto" else "base" if device.startswith("cuda") else "tiny"
    return models.torch_models(size, args.sequences, device, args.models)


def warm(built):
    """The first calls of a model load its kernels: nobody should wait for that."""
    for m in built.values():
        if hasattr(m, "prefill"):
            m.prefill(0, [1] * 16)
            m.step([0], [1], [16])
        else:
            m.run([[1] * 16])


def write_profiles(args, built):
    """Times every model and writes what was found."""
    os.makedirs(args.profiles, exist_ok=True)
    for name, m in built.items():
        text = models.chat_profile(m, args.repeats) if name == "chat" else \
            models.encoder_profile(m, args.max_batch, args.max_delay_ms, args.slots, args.repeats)
        with open(os.path.join(args.profiles, name + ".yaml"), "w", encoding="utf-8") as f:
            f.write(text)


def engines(args, built, deliver):
    out = []
    for name, m in built.items():
        if name == "chat":
            out.append(Served(name, m, batching.TokenEngine(m, deliver, args.sequences), m.max_len, True))
        else:
            e = batching.BatchEngine(m, deliver, args.max_batch, int(args.max_delay_ms * 1e6), args.slots)
            out.append(Served(name, m, e, m.length, False))
    return out


def run_events(events):
    for e in events:
        e()


async def serve(args, built):
    loop = asyncio.get_running_loop()
    stop = loop.create_future()
    for sig in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sig, lambda: stop.done() or stop.set_result(None))
    app = App(engines(args, built, lambda events: loop.call_soon_threadsafe(run_events, events)))
    server = await loop.create_server(lambda: Connection(app), args.host, args.port, backlog=1024)
    host, port = server.sockets[0].getsockname()[:2]
    where = next(iter(built.values())).device
    print(f"listening on http://{host}:{port} ({', '.join(m.name for m in built.values())}; {where})", flush=True)
    await stop
    server.close()
    for c in list(app.connections):
        if c.transport is not None:
            c.transport.abort()
    for s in app.served.values():
        s.engine.close()


def whole(lo, hi):
    def read(text):
        n = int(text)
        if not lo <= n <= hi:
            raise argparse.ArgumentTypeError(f"{n} is out of range: from {lo} to {hi}")
        return n
    return read


def names(text):
    out = text.split(",")
    for n in out:
        if n not in ("encoder", "chat"):
            raise argparse.ArgumentTypeError(f"there is no model {n!r}: encoder, chat or encoder,chat")
    return out


def parse(argv):
    p = argparse.ArgumentParser(description="A small GPU server to point taillab at.")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    p.add_argument("--port", type=whole(0, 65535), default=8101, help="0 = any free one (%(default)s)")
    p.add_argument("--models", type=names, default="encoder,chat", help="encoder, chat or both (%(default)s)")
    p.add_argument("--fake", action="store_true", help="stand-ins that only sleep: no PyTorch is needed")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 …")
    p.add_argument("--size", choices=["auto", "tiny", "base"], default="auto", help="auto: base on a GPU, else tiny")
    p.add_argument("--max-batch", type=whole(1, 4096), default=8, help="encoder: most requests of a batch (%(default)s)")
    p.add_argument("--max-delay-ms", type=float, default=2.0, help="encoder: longest wait for a fuller batch (%(default)s)")
    p.add_argument("--slots", type=whole(1, 64), default=1, help="encoder: batches at a time (%(default)s)")
    p.add_argument("--sequences", type=whole(1, 4096), default=8, help="chat: sequences at a time (%(default)s)")
    p.add_argument("--profiles", metavar="DIR", help="time the models first and write encoder.yaml and chat.yaml there")
    p.add_argument("--repeats", type=whole(1, 1000), default=20, help="timings per point of a profile (%(default)s)")
    args = p.parse_args(argv)
    if not 0 <= args.max_delay_ms <= 10_000:
        p.error(f"--max-delay-ms is {args.max_delay_ms:g}: it must lie in [0, 10000]")
    return args


def main(argv):
    args = parse(argv)
    built = build(args)
    warm(built)
    if args.profiles:
        write_profiles(args, built)
    asyncio.run(serve(args, built))


if __name__ == "__main__":
    main(sys.argv[1:])
