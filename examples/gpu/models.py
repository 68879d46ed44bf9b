"""The models: a BERT-shaped encoder and a small decoder with random weights, so that
nothing is downloaded, and stand-ins that only take time. Also how a model is timed
and written down as a profile that taillab reads.
"""

import random
import statistics
import time


class Size:
    """The shape of a pair of models."""

    def __init__(self, layers, width, heads, vocabulary, length, context):
        self.layers = layers
        self.width = width
        self.heads = heads
        self.vocabulary = vocabulary
        self.length = length  # the encoder's fixed input: shorter ones are padded
        self.context = context  # the decoder's longest prompt and answer together


SIZES = {
    "base": Size(12, 768, 12, 30522, 384, 1024),  # BERT-base on a paragraph; the decoder is GPT-2
    "tiny": Size(2, 128, 4, 1000, 64, 256),
}


def pause_ms(t):
    time.sleep(t / 1e3)


class StandInEncoder:
    """Takes a + b·batch ms and answers nonsense."""

    name, device = "stand-in", "none"

    def __init__(self, a=20.0, b=2.0):
        self.a, self.b, self.length = a, b, 512

    def run(self, batch):
        pause_ms(self.a + self.b * len(batch))
        return [[0.0, float(len(tokens))] for tokens in batch]


class StandInDecoder:
    """Takes floor + per_token·prompt ms for a prompt and base + per_seq·n ms for a step."""

    name, device = "stand-in", "none"

    def __init__(self, slots, floor=1.0, per_token=0.025, base=4.0, per_seq=0.5):
        self.slots, self.max_len, self.vocabulary = slots, 4096, 1000
        self.floor, self.per_token, self.base, self.per_seq = floor, per_token, base, per_seq

    def prefill(self, _slot, tokens):
        pause_ms(self.floor + self.per_token * len(tokens))

    def step(self, slots, tokens, positions):
        pause_ms(self.base + self.per_seq * len(slots))
        return [1 + (t * 31 + p) % (self.vocabulary - 1) for t, p in zip(tokens, positions)]


def torch_models(size, slots, device, want):
    """Builds the models that are wanted: a dictionary with encoder, chat or both."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    shape = SIZES[size]
    torch.manual_seed(1)
    cuda = device.startswith("cuda")
    kind = torch.float32
    if cuda:
        # Asked by capability: torch also calls bfloat16 supported where it is emulated, slowly.
        kind = torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16
    where = torch.cuda.get_device_name(torch.device(device)) if cuda else "CPU"

    def wait():
        if cuda:
            torch.cuda.synchronize(device)

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(shape.vocabulary, shape.width)
            self.places = nn.Embedding(shape.length, shape.width)
            layer = nn.TransformerEncoderLayer(shape.width, shape.heads, 4 * shape.width, dropout=0.0,
                                               activation="gelu", batch_first=True)
            self.layers = nn.TransformerEncoder(layer, shape.layers, enable_nested_tensor=False)
            self.head = nn.Linear(shape.width, 2)

        def forward(self, ids):
            x = self.words(ids) + self.places.weight
            return self.head(self.layers(x)[:, 0])

    class EncoderModel:
        """Pads every input to one length, so that the time depends on the batch alone."""

        def __init__(self):
            self.name, self.device, self.length = f"encoder, {size}", where, shape.length
            self.net = Encoder().to(device=device, dtype=kind).eval()

        @torch.inference_mode()
        def run(self, batch):
            rows = [[1 + t % (shape.vocabulary - 1) for t in tokens] + [0] * (shape.length - len(tokens)) for tokens in batch]
            out = self.net(torch.tensor(rows, device=device)).float().cpu()  # the copy waits for the device
            return out.tolist()

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.after = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
            self.qkv, self.out = nn.Linear(shape.width, 3 * shape.width), nn.Linear(shape.width, shape.width)
            self.up, self.down = nn.Linear(shape.width, 4 * shape.width), nn.Linear(4 * shape.width, shape.width)

        def heads(self, x):
            """Queries, keys and values, each [batch, head, place, part]."""
            b, t, _ = x.shape
            q, k, v = self.qkv(self.before(x)).split(shape.width, dim=2)
            return [y.view(b, t, shape.heads, -1).transpose(1, 2) for y in (q, k, v)]

        def finish(self, x, y):
            b, _, t, _ = y.shape
            x = x + self.out(y.transpose(1, 2).reshape(b, t, shape.width))
            return x + self.down(F.gelu(self.up(self.after(x))))

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(shape.vocabulary, shape.width)
            self.places = nn.Embedding(shape.context, shape.width)
            self.blocks = nn.ModuleList(Block() for _ in range(shape.layers))
            self.norm, self.head = nn.LayerNorm(shape.width), nn.Linear(shape.width, shape.vocabulary, bias=False)

    class DecoderModel:
        """Greedy decoding over one cache of keys and values for all slots. A step looks at
        the whole length of the cache, so its time depends on the sequences alone."""

        def __init__(self):
            self.name, self.device = f"decoder, {size}", where
            self.slots, self.max_len, self.vocabulary = slots, shape.context, shape.vocabulary
            self.net = Decoder().to(device=device, dtype=kind).eval()
            cache = (shape.layers, 2, slots, shape.heads, shape.context, shape.width // shape.heads)
            self.cache = torch.zeros(cache, device=device, dtype=kind)
            self.places = torch.arange(shape.context, device=device)

        @torch.inference_mode()
        def prefill(self, slot, tokens):
            ids = torch.tensor([tokens], device=device) % shape.vocabulary
            n = len(tokens)
            x = self.net.words(ids) + self.net.places.weight[:n]
            for block, cache in zip(self.net.blocks, self.cache):
                q, k, v = block.heads(x)
                cache[0, slot, :, :n], cache[1, slot, :, :n] = k[0], v[0]
                x = block.finish(x, F.scaled_dot_product_attention(q, k, v, is_causal=True))
            wait()

        @torch.inference_mode()
        def step(self, used, tokens, positions):
            ids = torch.tensor(tokens, device=device).unsqueeze(1) % shape.vocabulary
            slot, at = torch.tensor(used, device=device), torch.tensor(positions, device=device)
            seen = (self.places <= at.unsqueeze(1))[:, None, None, :]
            x = self.net.words(ids) + self.net.places(at).unsqueeze(1)
            for block, cache in zip(self.net.blocks, self.cache):
                q, k, v = block.heads(x)
                cache[0, slot, :, at], cache[1, slot, :, at] = k[:, :, 0], v[:, :, 0]
                y = F.scaled_dot_product_attention(q, cache[0, slot], cache[1, slot], attn_mask=seen)
                x = block.finish(x, y)
            return self.net.head(self.net.norm(x))[:, 0].argmax(dim=1).tolist()  # the copy waits for the device

    out = {}
    if "encoder" in want:
        out["encoder"] = EncoderModel()
    if "chat" in want:
        out["chat"] = DecoderModel()
    return out


def pick_device(device):
    """cuda or cpu for auto; SystemExit with advice where PyTorch is missing."""
    try:
        import torch
    except ImportError:
        raise SystemExit("server.py: PyTorch is not installed: install torch 2 or newer, or use --fake") from None
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def timed(call, repeats):
    """Median time of a call in ms, after three that do not count."""
    for _ in range(3):
        call()
    out = []
    for _ in range(repeats):
        begin = time.perf_counter_ns()
        call()
        out.append((time.perf_counter_ns() - begin) / 1e6)
    return statistics.median(out)


def fit(points):
    """a, b ≥ 0 of y = a + b·x with the least squared relative error, and the mean
    absolute relative error in percent. Points are (x, y), y above 0."""
    w = [1 / (y * y) for _, y in points]
    s, sx, sxx = sum(w), sum(v * x for v, (x, _) in zip(w, points)), sum(v * x * x for v, (x, _) in zip(w, points))
    sy, sxy = sum(v * y for v, (_, y) in zip(w, points)), sum(v * x * y for v, (x, y) in zip(w, points))
    det = s * sxx - sx * sx
    a, b = ((sy * sxx - sxy * sx) / det, (s * sxy - sx * sy) / det) if det > 0 else (sy / s, 0.0)
    if a < 0:
        a, b = 0.0, sxy / sxx
    if b < 0:
        a, b = sy / s, 0.0
    return a, b, 100 * sum(abs(a + b * x - y) / y for x, y in points) / len(points)


def doubling(most):
    """1, 2, 4 … and most."""
    out, n = [], 1
    while n < most:
        out.append(n)
        n *= 2
    return out + [most]


def encoder_profile(model, max_batch, max_delay_ms, slots, repeats):
    dice = random.Random(1)
    points = []
    for n in doubling(max_batch):
        batch = [[dice.randrange(1, 1000) for _ in range(min(64, model.length))] for _ in range(n)]
        points.append((n, timed(lambda batch=batch: model.run(batch), repeats)))
    a, b, error = fit(points)
    return profile("encoder", model, len(points), error, "a + b·batch", [
        "kind: affine", f"a: {a:.4f}ms", f"b: {max(b, 1e-4):.4f}ms", f"slots: {slots}",
        f"max_batch: {max_batch}", f"max_delay: {max_delay_ms:g}ms"])


def chat_profile(model, repeats):
    prompts = [(n, timed(lambda n=n: model.prefill(0, [1] * n), repeats)) for n in (16, 32, 64, 128, model.max_len // 2)]
    steps = []
    for n in doubling(model.slots):
        args = list(range(n)), [1] * n, [model.max_len // 4] * n
        steps.append((n, timed(lambda args=args: model.step(*args), repeats)))
    floor, per_token, e1 = fit(prompts)
    base, per_seq, e2 = fit(steps)
    return profile("chat", model, len(prompts) + len(steps), max(e1, e2), "prompts and steps", [
        "kind: tokens", f"prefill: {{floor: {floor:.4f}ms, per_token: {per_token:.6f}ms}}",
        f"step: {{base: {max(base, 1e-4):.4f}ms, per_seq: {per_seq:.5f}ms}}", "prompts: inline",
        f"slots: {model.slots}", f"max_model_len: {model.max_len}"])


def profile(name, model, n, error, what, lines):
    """The text of a profile as taillab reads it."""
    head = [f"name: {name}-measured", f'model: "{model.name}"', f'gpu: "{model.device}"',
            'source: "timed by examples/gpu/server.py before it served"',
            f'fitted_from: "{what}, medians; mean error {error:.1f}%"', f"n: {n}"]
    return "\n".join(head + lines + ["noise: {sigma: 0.015, per: request}"]) + "\n"
