"""muonlab's training repeated in PyTorch, for training_judge.py.

Model, update rules and schedule are written from their definitions: autograd,
torch.optim.AdamW, clip_grad_norm_ and an own Muon in float32. All settings
come from a run's config.json; what this file does not know is refused.
"""

import math
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

MODEL_KEYS = {
    "vocabulary", "context", "width", "layers", "heads", "hidden",
    "activation", "positions", "rope_theta", "qk_norm", "tied_head", "norm_eps",
    "scale_attention_by_layer", "scale_embedding", "dropout", "init_gain",
    "init_output_gain", "init_embedding_std", "init_head_std"}
ADAMW_KEYS = {"rule", "lr", "weight_decay", "beta1", "beta2", "eps"}
MATRIX_KEYS = {"rule", "lr", "weight_decay", "momentum", "momentum_form",
               "nesterov", "scale", "polar_method", "polar_coefficients",
               "polar_steps", "skip_zero"}
# Options that must have these values: others are not implemented here.
FIXED = {"pre": "none", "direction": "polar", "post": "none",
         "scale_factor": 1.0, "decay": "decoupled", "qk_clip": 0.0,
         "polar_eps": 1e-7, "polar_eps_mode": "add", "polar_dtype": "auto",
         "polar_norm": "frobenius",
         "eps_placement": "outside", "blocks": "parts"}
QUINTICS = {"keller": (3.4445, -4.7750, 2.0315),
            "taylor": (15 / 8, -5 / 4, 3 / 8)}

GATED = {"swiglu": F.silu, "geglu": lambda x: F.gelu(x, approximate="tanh")}
UNGATED = {"silu": F.silu, "gelu": GATED["geglu"],
           "relu2": lambda x: F.relu(x).square()}

DEFECTS = set()  # wrong on purpose, by name; empty but in a self-check


def need(condition, what):
    if not condition:
        sys.exit(f"error: the judge does not implement {what}")


def check_config(c):
    """Refuses what is not implemented below."""
    m, o, s = c["model"], c["optim"], c["schedule"]
    keys = set(m) - {"init_matrix_std"}  # initial weights are read
    need(keys == MODEL_KEYS, f"model keys {sorted(keys ^ MODEL_KEYS)}")
    need(m["dropout"] == 0, "dropout")
    need(m["activation"] in GATED or m["activation"] in UNGATED, m["activation"])
    need(m["positions"] in ("rotary", "none"), m["positions"])
    need(set(s) == {"shape", "warmup", "decay", "floor", "length", "from_zero"},
         f"schedule {s}")
    for table in (o, o["auxiliary"]):
        for key in set(table) & set(FIXED):
            need(table[key] == FIXED[key], f"optim {key} = {table[key]}")
    keys = set(o) - {"auxiliary"} - set(FIXED)
    known = ADAMW_KEYS if o["rule"] == "adamw" else MATRIX_KEYS
    need(o["rule"] in ("adamw", "muon", "muonw"), f"rule {o['rule']}")
    need(keys == known, f"optim keys {sorted(keys ^ known)}")
    need(set(o["auxiliary"]) - set(FIXED) == ADAMW_KEYS, "optim.auxiliary")
    need(o["auxiliary"]["rule"] == "adamw", "optim.auxiliary.rule")
    if o["rule"] != "adamw":
        need(o["momentum_form"] in ("ema", "heavy-ball"), o["momentum_form"])
        need(o["polar_method"] in ("newton-schulz", "svd"), o["polar_method"])
        need(o["polar_coefficients"] in QUINTICS, o["polar_coefficients"])


# Model.

def rotary(x, base):
    """x (batch, heads, tokens, D): the pair (j, j + D/2) of features turns by
    position * base^(-2j/D)."""
    tokens, features = x.shape[-2:]
    j = torch.arange(features // 2, dtype=torch.float64)
    position = torch.arange(tokens, dtype=torch.float64)
    angle = position[:, None] * base ** (-2 * j / features)
    if "rotary-sign" in DEFECTS:
        angle = -angle
    turn = torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
    if "rotary-neighbours" in DEFECTS:
        first, second = x[..., 0::2], x[..., 1::2]
    else:
        first, second = x.chunk(2, dim=-1)
    y = torch.complex(first, second) * turn
    return torch.cat([y.real, y.imag], dim=-1)


def attention(x, w, m, layer):
    batch, tokens, width = x.shape
    q, k, v = (part.view(batch, tokens, m["heads"], -1).transpose(1, 2)
               for part in (x @ w["qkv"].T).split(width, dim=-1))
    if m["qk_norm"]:
        q, k = (F.rms_norm(h, h.shape[-1:], eps=m["norm_eps"]) for h in (q, k))
    if m["positions"] == "rotary":
        q, k = rotary(q, m["rope_theta"]), rotary(k, m["rope_theta"])
    scale = 1 / math.sqrt(width / m["heads"])
    if m["scale_attention_by_layer"]:
        scale /= layer + 1
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    return y.transpose(1, 2).reshape(batch, tokens, width) @ w["output"].T


def feed_forward(x, w, m):
    if m["activation"] in UNGATED:
        return UNGATED[m["activation"]](x @ w["up"].T) @ w["down"].T
    gate, up = (x @ w["gate_up"].T).chunk(2, dim=-1)
    if "swap-gate" in DEFECTS:
        gate, up = up, gate
    return (GATED[m["activation"]](gate) * up) @ w["down"].T


def logits(weights, tokens, m):
    def below(prefix):
        return {name.removeprefix(prefix): value
                for name, value in weights.items() if name.startswith(prefix)}

    def norm(x, name):
        return F.rms_norm(x, (m["width"],), weights[name], m["norm_eps"])

    x = F.embedding(tokens, weights["embedding"])
    if m["scale_embedding"]:
        x = x * math.sqrt(m["width"])
    for layer in range(m["layers"]):
        at = f"blocks.{layer}."
        x = x + attention(norm(x, at + "attention_norm.weight"),
                          below(at + "attention."), m, layer)
        x = x + feed_forward(norm(x, at + "feed_forward_norm.weight"),
                             below(at + "feed_forward."), m)
    head = weights["embedding" if m["tied_head"] else "head"]
    return norm(x, "norm.weight") @ head.T


def window_loss(weights, tokens, starts, m, reduction="mean"):
    """Of the windows tokens[s .. s+T-1], each predicting its next token."""
    at = starts[:, None] + torch.arange(m["context"])
    x = logits(weights, tokens[at], m)
    return F.cross_entropy(x.flatten(0, 1), tokens[at + 1].flatten(),
                           reduction=reduction)


# Update rules and schedule.

def polar(matrix, o):
    """U V^T of the SVD, or its Newton-Schulz stand-in."""
    if o["polar_method"] == "svd":
        u, s, v = torch.linalg.svd(matrix, full_matrices=False)
        tiny = max(matrix.shape) * torch.finfo(s.dtype).eps * s.max()
        return u @ torch.diag((s > tiny).to(s.dtype)) @ v
    a, b, c = QUINTICS[o["polar_coefficients"]]
    if matrix.shape[0] > matrix.shape[1]:  # the shorter side is cheaper
        return polar(matrix.T, o).T
    x = matrix / (matrix.norm() + 1e-7)
    for _ in range(o["polar_steps"]):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def scale_factor(name, rows, columns):
    return {"s1": 1.0,
            "s2": math.sqrt(max(1.0, rows / columns)),
            "s3": math.sqrt(rows / columns),
            "s4": 0.2 * math.sqrt(max(rows, columns))}[name]


def logical_matrices(name):
    """How many matrices are stacked in a parameter, one above the other."""
    if "fused" in DEFECTS:
        return 1
    return {"qkv": 3, "gate_up": 2}.get(name.split(".")[-1], 1)


class Muon(torch.optim.Optimizer):
    """For each logical matrix: momentum B, W <- (1 - lr*decay) W - lr*s*O
    with O the polar factor of B, or of G + bB (Nesterov)."""

    def __init__(self, named, o):
        self.o = o
        self.parts = {p: logical_matrices(name) for name, p in named}
        super().__init__([p for _, p in named], {"lr": o["lr"]})

    @torch.no_grad()
    def step(self):
        o, (group,) = self.o, self.param_groups
        b = o["momentum"]
        weight = 1 - b if o["momentum_form"] == "ema" else 1.0
        for p in group["params"]:
            if "buffer" not in self.state[p]:
                self.state[p]["buffer"] = torch.zeros_like(p)
            for w, g, buffer in zip(*(
                    x.chunk(self.parts[p])
                    for x in (p, p.grad, self.state[p]["buffer"]))):
                if o["skip_zero"] and not g.any():
                    continue  # this matrix rests, momentum and all
                buffer.copy_(b * buffer + weight * g)
                new = weight * g + b * buffer if o["nesterov"] else buffer
                update = scale_factor(o["scale"], *w.shape) * polar(new, o)
                w.mul_(1 - group["lr"] * o["weight_decay"])
                w.sub_(group["lr"] * update)


def optimizers(weights, o):
    hidden = [(name, p) for name, p in weights.items()
              if name.startswith("blocks.") and p.ndim == 2]
    taken = {name for name, _ in hidden}
    rest = [p for name, p in weights.items() if name not in taken]

    def adamw(parameters, s):
        return torch.optim.AdamW(
            parameters, lr=s["lr"], betas=(s["beta1"], s["beta2"]),
            eps=s["eps"], weight_decay=s["weight_decay"])
    first = (adamw([p for _, p in hidden], o) if o["rule"] == "adamw"
             else Muon(hidden, o))
    return {"hidden": first, "auxiliary": adamw(rest, o["auxiliary"])}


def lr_factor(step, c):
    s = c["schedule"]
    total = math.floor(s["length"] * c["train"]["steps"] + 0.5)
    warmup = math.floor(s["warmup"] * total + 0.5)
    step += "schedule-shift" in DEFECTS
    if step < warmup:
        return (step + (0 if s["from_zero"] else 1)) / warmup
    floor, left = s["floor"], total - step
    if s["shape"] == "trapezoid":
        decay = math.floor(s["decay"] * total + 0.5)
        return floor + (1 - floor) * left / decay if left < decay else 1.0
    share = left / (total - warmup)  # 1 at the end of the warm-up
    half_wave = (1 - math.cos(math.pi * share)) / 2
    return {"constant": 1.0,
            "linear": floor + (1 - floor) * share,
            "cosine": floor + (1 - floor) * half_wave}[s["shape"]]


class TorchMuon:
    """torch.optim.Muon beside the own one: the same gradients, its bf16
    iteration. Its updates should point the same way."""

    def __init__(self, muon):
        self.muon, self.worst, o = muon, 0.0, muon.o
        self.blocks = [(p, i, torch.nn.Parameter(block.detach().clone()))
                       for p, n in muon.parts.items()
                       for i, block in enumerate(p.chunk(n))]
        self.torch = torch.optim.Muon(
            [block for *_, block in self.blocks], momentum=o["momentum"],
            nesterov=o["nesterov"], weight_decay=o["weight_decay"],
            ns_steps=o["polar_steps"], adjust_lr_fn={
                "s2": "original", "s4": "match_rms_adamw"}[o["scale"]])

    @staticmethod
    def comparable(o):
        return (o["rule"] != "adamw" and o["scale"] in ("s2", "s4") and
                o["polar_method"] == "newton-schulz" and
                o["polar_coefficients"] == "keller")

    @torch.no_grad()
    def step_both(self):
        self.torch.param_groups[0]["lr"] = self.muon.param_groups[0]["lr"]
        before = []
        for p, i, block in self.blocks:
            part = self.muon.parts[p]
            block.copy_(p.chunk(part)[i])
            block.grad = p.grad.chunk(part)[i].clone()
            before.append(block.clone())
        self.torch.step()
        self.muon.step()
        for (p, i, block), old in zip(self.blocks, before):
            own, theirs = p.chunk(self.muon.parts[p])[i] - old, block - old
            if block.grad.norm() > 0:
                self.worst = max(self.worst, float(
                    (own - theirs).norm() / theirs.norm()))


def replay(run, c, tokens, steps):
    """Trains in PyTorch as the run did: final weights and what it saw."""
    weights = {name: value.requires_grad_() for name, value in
               load_file(run / "initial.safetensors").items()}
    windows = load_file(run / "windows.safetensors")["starts"]
    rules = optimizers(weights, c["optim"])
    beside = (TorchMuon(rules["hidden"])
              if TorchMuon.comparable(c["optim"]) and not DEFECTS else None)
    seen = {"loss": [], "gnorm": [], "beside": beside}
    peak = {"hidden": c["optim"]["lr"],
            "auxiliary": c["optim"]["auxiliary"]["lr"]}
    for step in range(steps):
        loss = window_loss(weights, tokens, windows[step], c["model"])
        for rule in rules.values():
            rule.zero_grad()
        loss.backward()  # micro-batches of equal size: the mean is the same
        norm = torch.nn.utils.clip_grad_norm_(
            weights.values(), c["train"]["clip"] or math.inf)
        for name, rule in rules.items():
            rule.param_groups[0]["lr"] = peak[name] * lr_factor(step, c)
        rules["auxiliary"].step()
        beside.step_both() if beside and step < 5 else rules["hidden"].step()
        seen["loss"].append(loss.item())
        seen["gnorm"].append(norm.item())
    return weights, seen
