#!/usr/bin/env python3
"""Judges muonlab's training by PyTorch.

  training_judge.py --muonlab build/release/tools/muonlab/muonlab
      trains cells of the quick study with muonlab, repeats each in PyTorch
      from the dumped initial weights and windows, and compares
  training_judge.py --run DIR...
      judges runs that exist, made with `muonlab train --dump`

With --self-check the PyTorch side is made wrong in one way after another; each
must be noticed. Exit code 0: equal within the tolerances; 1: not; 77: torch,
numpy or safetensors is not installed.
"""

import argparse
import copy
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

try:
    import numpy
    import torch
    from safetensors.torch import load_file

    import torch_training as reference
except ImportError as missing:
    print(f"skipped: the Python package {missing.name} is not installed")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]

CELLS = {
    "adamw": {"rule": "adamw", "lr": 4e-3, "auxiliary.lr": 8e-3},
    "adamw-joint": {"rule": "adamw", "lr": 4e-3, "auxiliary.lr": 4e-3},
    "muon": {"rule": "muon", "lr": 2e-2, "auxiliary.lr": 8e-3},
    "muonw": {"rule": "muonw", "lr": 8e-3, "auxiliary.lr": 8e-3,
              "momentum_form": "ema"},
}

# For --self-check: a dotted key of the configuration and its wrong value, or
# the name of a defect of the reference.
MUTATIONS = {
    "no rotary": ("model.positions", "none"),
    "rotary -theta": ("defect", "rotary-sign"),
    "rotary pairs neighbours": ("defect", "rotary-neighbours"),
    "rope base 1000": ("model.rope_theta", 1000.0),
    "norm eps 1e-3": ("model.norm_eps", 1e-3),
    "gate and up swapped": ("defect", "swap-gate"),
    "clip at 0.5": ("train.clip", 0.5),
    "no clip": ("train.clip", 0.0),
    "schedule a step early": ("defect", "schedule-shift"),
    "floor 0.1": ("schedule.floor", 0.1),
    "no hidden decay": ("optim.weight_decay", 0.0),
    "aux beta1 .95": ("optim.auxiliary.beta1", 0.95),
    "aux beta2 .99": ("optim.auxiliary.beta2", 0.99),
    "aux eps 1e-6": ("optim.auxiliary.eps", 1e-6),
    "aux decay .1": ("optim.auxiliary.weight_decay", 0.1),
    "hidden beta2 .99": ("optim.beta2", 0.99),
    "hidden eps 1e-6": ("optim.eps", 1e-6),
    "scale s1": ("optim.scale", "s1"),
    "scale s3": ("optim.scale", "s3"),
    "momentum .9": ("optim.momentum", 0.9),
    "no nesterov": ("optim.nesterov", False),
    "four polar steps": ("optim.polar_steps", 4),
    "taylor polar": ("optim.polar_coefficients", "taylor"),
    "fused matrices": ("defect", "fused"),
}

LOSSES, NORMS = 20, 5  # steps compared one by one
WARMUP = 24            # steps, kept under --steps: a shorter one amplifies the
                       # rounding of gradients near AdamW's eps
BATCH = 64             # windows at a time in evaluation


def train(program, cell, args, folder):
    settings = {f"optim.{key}": value for key, value in CELLS[cell].items()}
    settings |= {"data.path": args.data, "train.steps": args.steps,
                 "train.threads": 1,
                 "schedule.warmup": WARMUP / args.steps}
    command = [program, "train", ROOT / "configs/quick.toml", "--out", folder,
               "--dump", "--quiet"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


# What muonlab wrote, read without it.

def read_tokens(data, split):
    """All shards of a split: 256 int32 of header, then the ids."""
    shards = []
    for path in sorted(data.glob(f"{split}_*.bin")):
        header = numpy.fromfile(path, "<i4", 256)
        kind = {(20240520, 1): "<u2", (20240801, 7): "<u4"}[
            int(header[0]), int(header[1])]
        ids = numpy.fromfile(path, kind, offset=1024)
        assert len(ids) == header[2], f"{path}: {len(ids)} ids"
        shards.append(ids.astype("int64"))
    return torch.from_numpy(numpy.concatenate(shards))


def bytes_of_tokens(data):
    """By id. In the byte-level alphabet a character stands for a byte; the
    special tokens stand for no text."""
    tokenizer = json.loads((data / "tokenizer.json").read_text("utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    special = {t["id"] for t in tokenizer["added_tokens"]}
    lengths = torch.zeros(max([*vocabulary.values(), *special]) + 1).long()
    for text, i in vocabulary.items():
        lengths[i] = 0 if i in special else len(text)
    return lengths


def read_metrics(run):
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["t"] == "train"]


@torch.no_grad()
def held_out(weights, c, data):
    """Nats per token of the first windows of the half; tokens; bytes."""
    tokens = read_tokens(data, c["eval"]["split"])
    context = c["model"]["context"]
    starts = torch.arange(c["eval"]["windows"]) * context
    total = sum(reference.window_loss(weights, tokens, part, c["model"], "sum")
                .double() for part in starts.split(BATCH))
    count = len(starts) * context
    size = bytes_of_tokens(data)[tokens[1:count + 1]].sum().item()
    return total.item() / count, count, size


# Judgement: rows of (what, largest difference, tolerance).

def largest(ours, theirs, relative=False):
    """NaN counts as infinitely far."""
    differences = [abs(a - b) / (abs(b) if relative else 1)
                   for a, b in zip(ours, theirs, strict=True)]
    return max(math.inf if math.isnan(d) else d for d in differences)


def early_rows(metrics, seen):
    losses = [line["loss"] for line in metrics[:LOSSES]]
    norms = [line["gnorm"] for line in metrics[:NORMS]]
    return [(f"training loss, first {len(losses)} steps",
             largest(seen["loss"][:LOSSES], losses), 1e-4),
            (f"gradient norm, first {len(norms)} steps, relative",
             largest(seen["gnorm"][:NORMS], norms, True), 1e-3)]


def final_rows(c, summary, data, weights):
    loss, count, size = held_out(weights, c, data)
    assert count == summary["n_tokens"], f"{count} tokens are held out"
    bits = loss * count / (math.log(2) * size)
    return [("held-out loss after training", abs(loss - summary["val_loss"]),
             1e-2),
            ("bits per byte after training", abs(bits - summary["bpb"]), 5e-3)]


def rate_row(c, metrics):
    rates = [line["lr"]["hidden"] for line in metrics]
    own = [c["optim"]["lr"] * reference.lr_factor(step, c)
           for step in range(len(rates))]
    return "learning rate, all steps", largest(own, rates), 1e-9


def exact_rows(run, c, summary, metrics, data):
    """What does not depend on training in PyTorch."""
    first, last = (load_file(run / f"{name}.safetensors")
                   for name in ("initial", "model"))
    shapes = [{name: (value.shape, value.dtype) for name, value in w.items()}
              for w in (first, last)]
    starts = load_file(run / "windows.safetensors")["starts"]
    expected = (c["train"]["steps"], c["train"]["batch"])
    assert len(metrics) == expected[0], f"{len(metrics)} steps are logged"
    loss, count, size = held_out(last, c, data)
    bits = summary["val_loss"] * count / (math.log(2) * size)
    return [("model.safetensors: wrong names, shapes, types",
             float(shapes[0] != shapes[1]), 0),
            ("windows.safetensors: wrong shape",
             float(starts.shape != expected), 0),
            rate_row(c, metrics),
            ("held-out loss of muonlab's weights",
             abs(loss - summary["val_loss"]), 1e-4),
            ("bits per byte of muonlab's held-out loss",
             abs(bits - summary["bpb"]), 1e-9)]


def passed(rows):
    return all(difference <= tolerance for _, difference, tolerance in rows)


def judge(run, c, summary, metrics, data):
    begin = time.monotonic()
    tokens = read_tokens(data, "train")
    weights, seen = reference.replay(run, c, tokens, len(metrics))
    rows = (early_rows(metrics, seen) + final_rows(c, summary, data, weights) +
            exact_rows(run, c, summary, metrics, data))
    if seen["beside"]:
        rows.append(("reference's Muon and torch.optim.Muon (bf16), relative",
                     seen["beside"].worst, 0.2))
    everything = largest(seen["loss"], [line["loss"] for line in metrics])
    for what, difference, tolerance in rows:
        verdict = "ok" if difference <= tolerance else "TOO LARGE"
        print(f"  {what:55s} {difference:9.2e} {tolerance:9.0e}  {verdict}")
    print(f"  {'training loss, all steps':55s} {everything:9.2e}   "
          "(shown only)")
    print(f"  held-out loss {summary['val_loss']:.4f}, bits per byte "
          f"{summary['bpb']:.4f}; {time.monotonic() - begin:.0f} s in PyTorch")
    return passed(rows)


def self_check(run, c, summary, metrics, data):
    """Every mutation must be noticed: by the first steps, else at the end."""
    tokens, missed = read_tokens(data, "train"), []
    for name, (key, value) in MUTATIONS.items():
        wrong, *path = copy.deepcopy(c), *key.split(".")
        at = wrong
        for part in path[:-1]:
            at = at[part]
        if value == "fused" and c["optim"]["rule"] == "adamw":
            continue  # element by element: blocks do not matter
        if key == "defect":
            reference.DEFECTS.add(value)
        elif path[-1] not in at or at[path[-1]] == value:
            continue  # not of this run's rule
        else:
            at[path[-1]] = value
        _, seen = reference.replay(run, wrong, tokens,
                                   min(LOSSES, len(metrics)))
        rows = early_rows(metrics, seen) + [rate_row(wrong, metrics)]
        if passed(rows):
            weights, _ = reference.replay(run, wrong, tokens, len(metrics))
            rows += final_rows(wrong, summary, data, weights)
        reference.DEFECTS.clear()
        found = [f"{what} {difference:.1e}"
                 for what, difference, tolerance in rows
                 if not difference <= tolerance]
        print(f"  {name:26s} {'; '.join(found) or 'NOT NOTICED'}", flush=True)
        if not found:
            missed.append(name)
    return not missed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--muonlab", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path,
                        help="prepared data; default: data/sotu-bpe1024, with "
                        "--run the run's own")
    parser.add_argument("--cells", default="adamw,muon",
                        help=f"of {', '.join(CELLS)}")
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR",
                        help="where runs are written and stay")
    parser.add_argument("--run", type=pathlib.Path, nargs="+", default=[])
    parser.add_argument("--self-check", action="store_true")
    args = parser.parse_args()
    if bool(args.muonlab) == bool(args.run):
        parser.error("give --muonlab or --run")
    if args.steps < 2 * WARMUP:
        parser.error(f"--steps: expected at least {2 * WARMUP}")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        runs = args.run
        if args.muonlab:
            args.data = args.data or ROOT / "data/sotu-bpe1024"
            folder = args.keep or pathlib.Path(scratch)
            runs = [folder / cell for cell in args.cells.split(",")]
            for run in runs:
                train(args.muonlab, run.name, args, run)
        good = True
        for run in runs:
            c = json.loads((run / "config.json").read_text("utf-8"))
            summary = json.loads((run / "summary.json").read_text("utf-8"))
            reference.check_config(c)
            data = args.data or pathlib.Path(c["data"]["path"])
            print(f"{run.name}: {c['optim']['rule']}, "
                  f"{summary['steps']} steps", flush=True)
            check = self_check if args.self_check else judge
            good &= check(run, c, summary, read_metrics(run), data)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
