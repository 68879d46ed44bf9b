"""Queues in front of a model: dynamic batching, and continuous batching for text.

Batcher holds the rule and no clock, so tests drive it by hand. BatchEngine and
TokenEngine put threads around a model; they know nothing of HTTP.
"""

import sys
import threading
import time
import traceback
from collections import deque

now_ns = time.monotonic_ns


class Item:
    """One request inside an engine. Instants are monotonic ns, lengths are tokens."""

    __slots__ = ("tokens", "output", "ignore_eos", "sink", "arrived", "free_at_arrival", "began", "left",
                 "queue_ns", "batch_ns", "prompts_before", "cancelled")

    def __init__(self, tokens, output=1, ignore_eos=False, sink=None):
        self.tokens = tokens
        self.output = output
        self.ignore_eos = ignore_eos
        self.sink = sink  # has token(id), done(result, finish, steps) and failed(text)
        self.cancelled = False
        self.arrived = self.began = self.batch_ns = self.queue_ns = 0
        self.left = output

    def steps(self, end):
        """The stay in three parts that add up: no slot free, slot free but not served, served."""
        return self.queue_ns, self.batch_ns, end - self.arrived - self.queue_ns - self.batch_ns


class Batcher:
    """Dynamic batching: a batch goes as soon as a slot is free and either max_batch
    requests wait or the oldest has waited max_delay since its arrival. Instants come
    in from outside, in any unit."""

    def __init__(self, max_batch, max_delay):
        self.max_batch = max_batch
        self.max_delay = max_delay
        self.waiting = deque()  # (arrival, item)

    def __len__(self):
        return len(self.waiting)

    def add(self, item, now):
        self.waiting.append((now, item))

    def cancel(self, item):
        """Takes a request out; the delays of the others go on."""
        for entry in self.waiting:
            if entry[1] is item:
                self.waiting.remove(entry)
                return True
        return False

    def due(self):
        """The instant from which a free slot takes a batch; None when nothing waits."""
        if not self.waiting:
            return None
        if len(self.waiting) >= self.max_batch:
            return self.waiting[self.max_batch - 1][0]
        return self.waiting[0][0] + self.max_delay

    def take(self):
        return [self.waiting.popleft()[1] for _ in range(min(len(self.waiting), self.max_batch))]


class Engine:
    """Threads around a model. deliver(events) is called from those threads; an event
    is a callable without arguments, to be called where the requests live."""

    def __init__(self, slots, deliver):
        self.slots = slots
        self.deliver = deliver
        self.lock = threading.Condition()
        self.closed = False
        self.running = 0
        self.served = 0
        self.recent_ns = 0  # moving average of the stay, for load reports
        self.threads = []

    def start(self, n):
        for _ in range(n):
            t = threading.Thread(target=self.loop, daemon=True)
            t.start()
            self.threads.append(t)

    def close(self):
        with self.lock:
            self.closed = True
            self.lock.notify_all()
        for t in self.threads:
            t.join()

    def ended(self, item, end):
        """Counts a request that was served; the lock is held."""
        self.served += 1
        stay = end - item.arrived
        self.recent_ns = stay if self.served == 1 else self.recent_ns + (stay - self.recent_ns) // 8


def broke(what):
    """Says on stderr what went wrong in a model, and returns a short text for clients."""
    traceback.print_exc(file=sys.stderr)
    return f"{what} failed: {sys.exc_info()[0].__name__}"


class BatchEngine(Engine):
    """Runs model.run(list of token lists) -> list of results, slots batches at a time."""

    def __init__(self, model, deliver, max_batch=1, max_delay_ns=0, slots=1):
        super().__init__(slots, deliver)
        self.model = model
        self.queue = Batcher(max_batch, max_delay_ns)
        self.idle_since = []  # of the slots that are free
        self.start(slots)

    def submit(self, item):
        with self.lock:
            item.arrived = now_ns()
            self.queue.add(item, item.arrived)
            self.lock.notify()

    def cancel(self, item):
        """A request in the queue leaves it; a running batch is never cut."""
        with self.lock:
            item.cancelled = True
            self.queue.cancel(item)

    def load(self):
        """(running, waiting, slots, share of the cache in use). A slot is a place in a
        batch; there is no cache."""
        with self.lock:
            return self.running, len(self.queue), self.slots * self.queue.max_batch, None

    def next_batch(self):
        with self.lock:
            idle = now_ns()
            self.idle_since.append(idle)
            while not self.closed:
                due, now = self.queue.due(), now_ns()
                if due is not None and due <= now:
                    return self.dispatch(now, idle)
                self.lock.wait(None if due is None else (due - now) / 1e9)
        return None

    def dispatch(self, now, idle):
        free = min(self.idle_since)
        self.idle_since.remove(idle)
        batch = self.queue.take()
        for item in batch:
            item.began = now
            item.batch_ns = now - max(item.arrived, free)
            item.queue_ns = now - item.arrived - item.batch_ns
        self.running += len(batch)
        if len(self.queue) > 0:
            self.lock.notify()  # another slot may be free for the rest
        return batch

    def loop(self):
        while (batch := self.next_batch()) is not None:
            try:
                results = self.model.run([i.tokens for i in batch])
            except Exception:  # a broken model must answer, not hang
                self.fail(batch, broke("the model"))
            else:
                self.finish(batch, results)

    def finish(self, batch, results):
        end = now_ns()
        with self.lock:
            self.running -= len(batch)
            for item in batch:
                self.ended(item, end)
        self.deliver([lambda i=i, r=r: i.sink.done(r, "stop", i.steps(end)) for i, r in zip(batch, results)])

    def fail(self, batch, text):
        with self.lock:
            self.running -= len(batch)
        self.deliver([lambda i=i: i.sink.failed(text) for i in batch])


class TokenEngine(Engine):
    """Continuous batching: requests enter a free slot in order of arrival, one prompt
    is worked on at a time and no sequence steps meanwhile; then all running sequences
    step together. The last token of a prompt goes in with the first step, so the first
    token comes one step after the prompt."""

    EOS = 0  # the token that ends an answer
    ALL = -1

    def __init__(self, model, deliver, slots):
        super().__init__(slots, deliver)
        self.model = model
        self.queue = deque()
        self.seqs = [None] * slots
        self.context = [0] * slots  # tokens in the cache, by slot
        self.last = [0] * slots  # token that goes in next, by slot
        self.freed = 0  # when a slot last became free
        self.prompts_ns = 0  # spent on prompts so far
        self.start(1)

    def submit(self, item):
        with self.lock:
            item.arrived = now_ns()
            item.free_at_arrival = self.running + len(self.queue) < self.slots
            self.queue.append(item)
            self.lock.notify()

    def cancel(self, item):
        """Frees the slot before the next step."""
        with self.lock:
            item.cancelled = True
            if item in self.queue:
                self.queue.remove(item)

    def load(self):
        with self.lock:
            return self.running, len(self.queue), self.slots, sum(self.context) / (self.slots * self.model.max_len)

    def leave(self, slot):
        """Empties a slot; the lock is held."""
        self.seqs[slot] = None
        self.context[slot] = 0
        self.running -= 1
        self.freed = now_ns()

    def next_work(self):
        """Waits for work: a slot whose prompt is to be worked on, or ALL for a step of
        all; None at the end."""
        with self.lock:
            while not self.closed:
                for slot, item in enumerate(self.seqs):
                    if item is not None and item.cancelled:
                        self.leave(slot)
                if self.queue and self.running < self.slots:
                    return self.enter()
                if self.running:
                    return self.ALL
                self.lock.wait()
        return None

    def enter(self):
        item, slot = self.queue.popleft(), self.seqs.index(None)
        self.seqs[slot] = item
        self.running += 1
        item.began = now_ns()
        free = item.arrived if item.free_at_arrival else max(item.arrived, self.freed)
        item.queue_ns = free - item.arrived
        item.batch_ns = item.began - free
        self.context[slot] = len(item.tokens) - 1
        self.last[slot] = item.tokens[-1]
        return slot

    def loop(self):
        while (slot := self.next_work()) is not None:
            try:
                if slot == self.ALL:
                    self.step()
                else:
                    self.prompt(slot)
            except Exception:  # a broken model must answer, not hang
                self.fail(broke("the model"))

    def prompt(self, slot):
        item = self.seqs[slot]
        if len(item.tokens) > 1:
            begin = now_ns()
            self.model.prefill(slot, item.tokens[:-1])
            self.prompts_ns += now_ns() - begin
        item.prompts_before = self.prompts_ns

    def step(self):
        slots = [s for s, item in enumerate(self.seqs) if item is not None]
        out = self.model.step(slots, [self.last[s] for s in slots], [self.context[s] for s in slots])
        end = now_ns()
        events = []
        with self.lock:
            for slot, token in zip(slots, out):
                item = self.seqs[slot]
                if item.cancelled:
                    continue
                self.context[slot] += 1
                self.last[slot] = token
                item.left -= 1
                events.append(lambda i=item, t=token: i.sink.token(t))
                stopped = token == self.EOS and not item.ignore_eos
                if stopped or item.left == 0:
                    item.batch_ns += self.prompts_ns - item.prompts_before
                    self.leave(slot)
                    self.ended(item, end)
                    steps, finish = item.steps(end), "stop" if stopped else "length"
                    events.append(lambda i=item, f=finish, s=steps: i.sink.done(None, f, s))
        self.deliver(events)

    def fail(self, text):
        with self.lock:
            broken = [i for i in self.seqs if i is not None]
            for slot, item in enumerate(self.seqs):
                if item is not None:
                    self.leave(slot)
        self.deliver([lambda i=i: i.sink.failed(text) for i in broken])
