#!/usr/bin/env python3
"""PyTorch's side of lm_versus.py: the same model with the same names, autograd
and fused AdamW; the requests are those of lm_worker.cpp.

usage: lm_peer.py THREADS eager|compile
"""

import json
import os
import sys
import time

# Compiling happens once, before anything is timed; no processes stay behind.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from torch import nn  # noqa: E402


def matrix(rows, columns):
    return nn.Parameter(torch.zeros(rows, columns))


def rotate(x, cosine, sine):
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat(
        (first * cosine - second * sine, second * cosine + first * sine), -1
    )
    return turned.to(x.dtype)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads = c["heads"]
        self.qkv = matrix(3 * c["width"], c["width"])
        self.output = matrix(c["width"], c["width"])

    def forward(self, x, table):
        batch, length, width = x.shape
        split = (batch, length, 3, self.heads, width // self.heads)
        q, k, v = F.linear(x, self.qkv).view(split).permute(2, 0, 3, 1, 4)
        if table is not None:
            q, k = rotate(q, *table), rotate(k, *table)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return F.linear(y.transpose(1, 2).reshape(x.shape), self.output)


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gated = c["activation"] == "swiglu"
        if self.gated:
            self.gate_up = matrix(2 * c["hidden"], c["width"])
        else:
            self.up = matrix(c["hidden"], c["width"])
        self.down = matrix(c["width"], c["hidden"])

    def forward(self, x):
        if self.gated:
            gate, up = F.linear(x, self.gate_up).chunk(2, -1)
            return F.linear(F.silu(gate) * up, self.down)
        return F.linear(F.silu(F.linear(x, self.up)), self.down)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention_norm = nn.RMSNorm(c["width"], c["norm_eps"])
        self.attention = Attention(c)
        self.feed_forward_norm = nn.RMSNorm(c["width"], c["norm_eps"])
        self.feed_forward = FeedForward(c)

    def forward(self, x, table):
        x = x + self.attention(self.attention_norm(x), table)
        return x + self.feed_forward(self.feed_forward_norm(x))


class LanguageModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embedding = matrix(c["vocabulary"], c["width"])
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.norm = nn.RMSNorm(c["width"], c["norm_eps"])
        self.head = None if c["tied_head"] else matrix(c["vocabulary"], c["width"])
        features = c["width"] // c["heads"]
        rates = c["rope_theta"] ** (-torch.arange(0, features, 2) / features)
        angles = torch.arange(c["length"])[:, None] * rates
        self.rotary = c["positions"] == "rotary"
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, tokens, targets):
        x = F.embedding(tokens, self.embedding)
        table = (self.cosine, self.sine) if self.rotary else None
        for block in self.blocks:
            x = block(x, table)
        head = self.embedding if self.head is None else self.head
        logits = F.linear(self.norm(x), head).float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


class Training:
    def __init__(self, settings, mode):
        a = settings["adamw"]
        self.half = settings["precision"] == "bfloat16"
        self.clip = settings["clip"]
        self.model = LanguageModel(settings["model"])
        self.model.load_state_dict(load_file(settings["weights"]))
        self.forward = torch.compile(self.model) if mode == "compile" else self.model
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=a["lr"],
            betas=(a["beta1"], a["beta2"]),
            eps=a["eps"],
            weight_decay=a["weight_decay"],
            fused=True,
        )
        self.batches = [
            (batch[:, :-1].contiguous(), batch[:, 1:].contiguous())
            for batch in load_file(settings["batches"])["batches"]
        ]
        self.taken = 0

    def norm(self):
        """Of the gradients, in float64: float32's sum of ten million squares, with
        which clip_grad_norm_ goes on, is off by up to a thousandth."""
        squares = [p.grad.double().square().sum() for p in self.model.parameters()]
        return sum(squares).sqrt().item()

    def step(self, index, check=False):
        """Loss before the update and, of a check, the norm before clipping."""
        tokens, targets = self.batches[index % len(self.batches)]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            loss = self.forward(tokens, targets)
        loss.backward()
        norm = self.norm() if check else None
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item(), norm

    def facts(self):
        return {"parameters": sum(p.numel() for p in self.model.parameters())}

    def check(self, steps):
        seen = [self.step(0, check=True) for _ in range(steps)]
        return {
            "losses": [loss for loss, _ in seen],
            "norms": [norm for _, norm in seen],
        }

    def go(self, steps):
        seconds, loss = [], None
        for _ in range(steps):
            begin = time.perf_counter()
            loss, _ = self.step(self.taken)
            seconds.append(time.perf_counter() - begin)
            self.taken += 1
        return {"seconds": seconds, "loss": loss}


def memory():
    for line in open("/proc/self/status", encoding="utf-8"):
        if line.startswith("VmHWM:"):
            return {"bytes": 1024 * int(line.split()[1])}
    raise OSError("/proc/self/status has no VmHWM")


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in ("eager", "compile"):
        print(__doc__, file=sys.stderr)
        return 2
    torch.set_num_threads(int(sys.argv[1]))
    training = None
    for line in sys.stdin:
        request = json.loads(line)
        if "set" in request:
            training = Training(request["set"], sys.argv[2])
            answer = training.facts()
        elif "memory" in request:
            answer = memory()
        elif "check" in request:
            answer = training.check(request["check"])
        else:
            answer = training.go(request["go"])
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
