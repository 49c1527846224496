#!/usr/bin/env python3
"""Judges the published study's configuration by PyTorch.

  as_coded_judge.py --muonlab build/release/tools/muonlab/muonlab
      trains both arms of configs/seed-exp1-as-coded.toml, made small, with
      muonlab, repeats each in PyTorch from the dumped initial weights and
      windows, and compares

The PyTorch side is a model and a Muon of their own, written from what the
study's code did: its rotary embedding turns by the number of the head instead of
the token, and is here turned so, while the configuration says "none". With
--self-check the PyTorch side is made wrong in one way after another; each must
be noticed. Exit code 0: equal within the tolerances; 1: not; 77: torch, numpy
or safetensors is not installed.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import training_judge as judge  # exits with 77 where a package is missing

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

CONFIG = judge.ROOT / "configs/seed-exp1-as-coded.toml"
STEPS = 30
SMALL = {"model.width": 64, "model.hidden": 256, "model.layers": 2,
         "model.context": 64, "train.steps": STEPS, "train.batch": 8,
         "train.threads": 1, "eval.windows": 96}
# The arm, the rate, the precision of the polar factor.
CELLS = {"adamw": ("adamw", 3e-3, "float32"),
         "muon": ("muon", 1e-2, "float32"),
         "muon-bf16": ("muon", 1e-2, "bfloat16")}

# Losses, absolutely. In float32 all differences are of rounding. In bfloat16
# each of the five polar steps may round a direction by 2^-8 of itself, in either
# program: 5 * 2^-8 = 2 % of the updates, which lower the loss by 0.9 nats here.
TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}

DEFECTS = set()  # wrong on purpose, by name; empty but in a self-check
ALL_DEFECTS = {
    "rotary-by-token", "no-embedding-scale", "untied", "eps-1e-3", "gelu",
    "no-clip", "clip-separately", "no-decay", "decay-not-on-gains",
    "decay-on-matrices", "beta2-.95", "auxiliary-at-full-rate", "parts",
    "no-nesterov", "no-aspect", "four-steps"}


def has(defect):
    return defect in DEFECTS


# Model.

def rotary_table(length, head_features):
    """Angles p * f_j, with f_j = 10000^(-j / (n-1)) for j < n = D/4, end points
    included, and as many frequencies of zero."""
    n = head_features // 4
    frequency = 10000.0 ** (-torch.arange(n) / (n - 1))
    frequency = torch.cat([frequency, torch.zeros(n)])
    return torch.outer(torch.arange(length).float(), frequency)


def rotate(x, table):
    """By -theta, halves paired, theta by the third dimension from the end."""
    theta = table[:x.shape[-3], None, :]
    first, second = x.chunk(2, dim=-1)
    cosine, sine = theta.cos(), theta.sin()
    return torch.cat([first * cosine + second * sine,
                      second * cosine - first * sine], dim=-1)


def attention(x, qkv, output, heads):
    batch, length, width = x.shape
    q, k, v = F.linear(x, qkv).view(batch, length, 3, heads, -1).permute(
        2, 0, 3, 1, 4)  # each (batch, heads, length, D)
    table = rotary_table(max(length, heads), width // heads)
    if has("rotary-by-token"):
        q, k = (rotate(h.transpose(1, 2), table).transpose(1, 2)
                for h in (q, k))
    else:
        q, k = rotate(q, table), rotate(k, table)  # the study's mistake
    scores = q @ k.mT / math.sqrt(width // heads)
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    y = scores.masked_fill(later, -math.inf).softmax(-1) @ v
    return F.linear(y.transpose(1, 2).reshape(batch, length, width), output)


class Study(torch.nn.Module):
    """As coded, without the dropout of Experiment 2."""

    def __init__(self, weights, layers, heads):
        super().__init__()
        self.names = list(weights)
        self.layers, self.heads = layers, heads
        self.weights = torch.nn.ParameterDict(
            {name.replace(".", "/"): value for name, value in weights.items()})
        self.head = (torch.nn.Parameter(weights["embedding"].clone())
                     if has("untied") else None)

    def weight(self, name):
        return self.weights[name.replace(".", "/")]

    def norm(self, x, name):
        gain = self.weight(name + ".weight")
        eps = 1e-3 if has("eps-1e-3") else torch.finfo(torch.float32).eps
        return F.rms_norm(x, gain.shape, gain, eps)

    def forward(self, tokens):
        embedding = self.weight("embedding")
        x = F.embedding(tokens, embedding)
        if not has("no-embedding-scale"):
            x = x * math.sqrt(embedding.shape[1])
        for layer in range(self.layers):
            at = f"blocks.{layer}."
            x = x + attention(self.norm(x, at + "attention_norm"),
                              self.weight(at + "attention.qkv"),
                              self.weight(at + "attention.output"), self.heads)
            inner = F.linear(self.norm(x, at + "feed_forward_norm"),
                             self.weight(at + "feed_forward.up"))
            inner = F.gelu(inner) if has("gelu") else F.silu(inner)
            x = x + F.linear(inner, self.weight(at + "feed_forward.down"))
        return F.linear(self.norm(x, "norm"),
                        embedding if self.head is None else self.head)


# Optimizers.

def newton_schulz(g, dtype):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.to(dtype)
    if g.shape[0] > g.shape[1]:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(4 if has("four-steps") else 5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if g.shape[0] > g.shape[1] else x


class Muon:
    def __init__(self, matrices, lr, dtype):
        self.matrices, self.lr, self.dtype = matrices, lr, dtype
        self.buffers = [torch.zeros_like(w) for w in matrices]

    @torch.no_grad()
    def step(self):
        for w, m in zip(self.matrices, self.buffers):
            m.mul_(0.95).add_(w.grad, alpha=0.05)
            u = m if has("no-nesterov") else 0.05 * w.grad + 0.95 * m
            rows, columns = w.shape
            if has("decay-on-matrices"):
                w.mul_(1 - self.lr * 0.1)
            blocks = 3 if has("parts") and rows == 3 * columns else 1
            for part, direction in zip(w.chunk(blocks), u.chunk(blocks)):
                scale = math.sqrt(max(1, part.shape[0] / part.shape[1]))
                part.add_(newton_schulz(direction, self.dtype),
                          alpha=-self.lr * (1 if has("no-aspect") else scale))


def optimizers(model, arm, lr, dtype):
    def is_matrix(name):
        return model.weight(name).ndim == 2 and "embedding" not in name

    def adamw(parameters, rate):
        decay = 0.0 if has("no-decay") else 0.01
        groups = [{"params": [p for p in parameters if p.ndim == 2]},
                  {"params": [p for p in parameters if p.ndim == 1]}]
        if has("decay-not-on-gains"):
            groups[1]["weight_decay"] = 0.0
        return torch.optim.AdamW(
            groups, lr=rate, eps=1e-8, weight_decay=decay,
            betas=(0.9, 0.95 if has("beta2-.95") else 0.999))

    if arm == "adamw":
        return [adamw(list(model.parameters()), lr)]
    rest = [model.weight(n) for n in model.names if not is_matrix(n)]
    matrices = [model.weight(n) for n in model.names if is_matrix(n)]
    share = 1.0 if has("auxiliary-at-full-rate") else 0.1
    return [Muon(matrices, lr, dtype), adamw(rest, share * lr)]


def replay(run, cell, tokens):
    """Losses and gradient norms of all steps."""
    arm, lr, dtype = CELLS[cell]
    torch.manual_seed(0)
    model = Study(load_file(run / "initial.safetensors"),
                  SMALL["model.layers"], 8)
    rules = optimizers(model, arm, lr, getattr(torch, dtype))
    starts = load_file(run / "windows.safetensors")["starts"]
    at = torch.arange(SMALL["model.context"])
    seen = {"loss": [], "gnorm": []}
    for step in range(STEPS):
        where = starts[step][:, None] + at
        logits = model(tokens[where])
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[where + 1].flatten())
        model.zero_grad()
        loss.backward()
        bound = math.inf if has("no-clip") else 1.0
        parts = ([[p] for p in model.parameters()] if has("clip-separately")
                 else [list(model.parameters())])
        norms = [torch.nn.utils.clip_grad_norm_(p, bound) for p in parts]
        for rule in rules:
            rule.step()
        seen["loss"].append(loss.item())
        seen["gnorm"].append(torch.stack(norms).norm().item())
    return seen


# muonlab's side.

def settings_of(cell):
    """What the study gives an arm's cell, as settings of `train`."""
    arm, lr, dtype = CELLS[cell]
    study = tomllib.loads(CONFIG.read_text("utf-8"))["study"]
    plan = next(a for a in study["arms"] if a["name"] == arm)
    assert lr in plan["joint"], f"{lr} is none of {arm}'s rates"
    found = {f"optim.{k}": v for k, v in plan["set"]["optim"].items()}
    found |= {"optim.rule": plan["rule"], "optim.lr": lr,
              "optim.auxiliary.lr": lr * plan.get("auxiliary_ratio", 1),
              "train.seed": study["search_seed"], "train.precision": "float32"}
    if arm == "muon":
        found["optim.polar_dtype"] = dtype
    return found


def prepare(program, folder):
    """A small stream as the study makes one."""
    subprocess.run(
        [program, "data", "prepare", judge.ROOT / "data/sotu", "--out", folder,
         "--tokenizer", "bpe", "--vocabulary", "1024", "--split", "windows",
         "--documents", "20", "--characters", "1500", "--tokens", "5000",
         "--no-separator"], check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)


def train(program, cell, data, folder):
    settings = SMALL | settings_of(cell) | {"data.path": data}
    command = [program, "train", CONFIG, "--out", folder, "--dump", "--quiet"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def rows_of(run, cell, seen):
    metrics = judge.read_metrics(run)
    losses = [line["loss"] for line in metrics]
    norms = [line["gnorm"] for line in metrics]
    tolerance = TOLERANCE[CELLS[cell][2]]
    return [(f"training loss, all {len(losses)} steps",
             judge.largest(seen["loss"], losses), tolerance),
            ("gradient norm, first 5 steps, relative",
             judge.largest(seen["gnorm"][:5], norms[:5], True), 10 * tolerance)]


def judge_cell(run, cell, tokens):
    seen = replay(run, cell, tokens)
    rows = rows_of(run, cell, seen)
    print(f"{cell}: loss {seen['loss'][0]:.4f} to {seen['loss'][-1]:.4f}")
    for what, difference, tolerance in rows:
        verdict = "ok" if difference <= tolerance else "TOO LARGE"
        print(f"  {what:45s} {difference:9.2e} {tolerance:9.0e}  {verdict}")
    return judge.passed(rows)


def self_check(run, cell, tokens):
    missed = []
    for defect in sorted(ALL_DEFECTS):
        DEFECTS.add(defect)
        rows = rows_of(run, cell, replay(run, cell, tokens))
        DEFECTS.clear()
        found = [f"{what} {difference:.1e}"
                 for what, difference, tolerance in rows
                 if not difference <= tolerance]
        print(f"  {cell} {defect:24s} {'; '.join(found) or 'not noticed'}")
        if not found:
            missed.append(defect)
    return set(missed)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--muonlab", type=pathlib.Path, required=True)
    parser.add_argument("--self-check", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        prepare(args.muonlab, folder / "data")
        tokens = judge.read_tokens(folder / "data", "train")
        good, missed = True, set(ALL_DEFECTS)
        for cell in CELLS:
            run = folder / cell
            train(args.muonlab, cell, folder / "data", run)
            config = json.loads((run / "config.json").read_text("utf-8"))
            assert config["data"]["split"] == "windows", config["data"]
            good &= judge_cell(run, cell, tokens)
            if args.self_check and CELLS[cell][2] == "float32":
                missed &= self_check(run, cell, tokens)
    if args.self_check:
        print("noticed by neither arm:", ", ".join(sorted(missed)) or "none")
        good &= not missed
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
