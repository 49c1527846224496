#!/usr/bin/env python3
"""Training of language models, muonlab and PyTorch in one run, taking turns.

usage: lm_versus.py [--models NAME,...] [--precisions NAME,...]
                    [--peers eager,compile] [--worker FILE] [--threads N]
                    [--rounds N] [--seconds S] [--out FILE] [--smoke]
       lm_versus.py --table FILE...

A step is everything: forward, backward, clipping to norm 1, AdamW on all
parameters; batches are made before. Each side is a process of its own: muonlab's
fused pass, PyTorch as written, PyTorch compiled. All start from the same weights
and must have the same losses, and norms of the gradients, over four steps on one
batch, in float32 and in what is measured, else the run ends with an error. Then
they take turns of some S seconds.

The table has the median step, operations as they are usually counted (six for
each matrix weight and token, and 6 L d T for causal attention; what a side saves
or computes twice does not count) beside bursts of multiply-adds between the
rounds, and the largest size of the process (VmHWM). The ratio is the peer's time
over muonlab's, the median of the rounds. CPU is the processors' time of a step:
with one thread it holds on a busy machine too, where PyTorch's threads, which
wait for each other at every operation, lose far more than their share.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import torch
from safetensors.torch import save_file
from versus import REST, ROOT, Worker, machine, peaks

HERE = pathlib.Path(__file__).parent
PEERS = ("eager", "compile")
PRECISIONS = ("bfloat16", "float32")
ADAMW = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01}
CHECK_STEPS = 4
# Losses in nats, and norms of gradients as a share. bfloat16 keeps 8 bits, and
# the two round at different places.
LOSS_TOLERANCE = {"float32": 1e-4, "bfloat16": 0.02}
NORM_TOLERANCE = {"float32": 1e-4, "bfloat16": 0.02}


def model(vocabulary, width, layers, heads, hidden, gated, tied, batch, length):
    """Gated models have rotary positions, the others none."""
    return {
        "vocabulary": vocabulary,
        "width": width,
        "layers": layers,
        "heads": heads,
        "hidden": hidden,
        "activation": "swiglu" if gated else "silu",
        "positions": "rotary" if gated else "none",
        "tied_head": tied,
        "batch": batch,
        "length": length,
        "norm_eps": 1e-5,
        "rope_theta": 10000.0,
    }


MODELS = {
    "small4k": model(4096, 256, 6, 4, 672, True, True, 16, 256),
    "seed-exp1": model(49152, 256, 4, 8, 1024, False, True, 8, 256),
    "mid8k": model(8192, 512, 8, 8, 1376, True, False, 8, 512),
    "gpt2-124m": model(50304, 768, 12, 12, 3072, False, True, 4, 512),
}
SMOKE_MODELS = {
    "tiny": model(500, 64, 2, 2, 176, True, False, 2, 32),
    "tiny-tied": model(512, 64, 2, 4, 128, False, True, 2, 32),
}


def compare(name, precision, ours, theirs):
    """Ends the program when losses or norms differ, or the check says nothing."""
    fall = ours["losses"][0] - ours["losses"][-1]
    if not fall > 5 * LOSS_TOLERANCE[precision]:
        sys.exit(f"lm_versus: {name}: {CHECK_STEPS} steps took off {fall} nats only")
    loss = max(abs(a - b) for a, b in zip(ours["losses"], theirs["losses"]))
    norm = max(abs(a / b - 1) for a, b in zip(ours["norms"], theirs["norms"]))
    # Written so that NaN fails.
    if not (loss <= LOSS_TOLERANCE[precision] and norm <= NORM_TOLERANCE[precision]):
        sys.exit(
            f"lm_versus: {name}: not the same training: losses differ by {loss:.3g} "
            f"(at most {LOSS_TOLERANCE[precision]}), norms of the gradients by "
            f"{norm:.3g} (at most {NORM_TOLERANCE[precision]})\n"
            f"muonlab {ours}\nPyTorch {theirs}"
        )
    return {"loss_difference": loss, "norm_difference": norm, "loss_fall": fall}


def start(arguments, settings, peers):
    """The sides by name, each with model and weights."""
    sides = {"muonlab": Worker(arguments.worker, arguments.threads)}
    facts = sides["muonlab"].ask({"set": settings})
    decay = ADAMW["lr"] * ADAMW["weight_decay"]
    if any(abs(d / decay - 1) > 1e-9 for d in facts["decays"]):
        sys.exit(f"lm_versus: muonlab decays {facts['decays']}, PyTorch {decay}")
    peer = HERE / "lm_peer.py"
    for mode in peers:
        sides[mode] = Worker(sys.executable, peer, arguments.threads, mode)
        told = sides[mode].ask({"set": settings})
        if told["parameters"] != facts["parameters"]:
            sys.exit(f"lm_versus: {mode}: {told['parameters']} parameters, "
                     f"muonlab {facts['parameters']}")  # fmt: skip
    return sides, facts


def check(name, sides, precision):
    """Differences by peer, of some steps from the common weights."""
    seen = {side: worker.ask({"check": CHECK_STEPS}) for side, worker in sides.items()}
    ours = seen.pop("muonlab")
    return {
        peer: compare(f"{name} {precision} {peer}", precision, ours, theirs)
        for peer, theirs in seen.items()
    }


def check_exactly(name, settings, arguments):
    """In float32 whatever is measured: bfloat16's noise would hide much."""
    sides, _ = start(arguments, dict(settings, precision="float32"), ["eager"])
    found = check(name, sides, "float32")["eager"]
    for worker in sides.values():
        worker.end()
    return found


def take_turns(sides, steps, rounds):
    """Seconds of all steps by side, a list for each round; peaks between; what
    the processors spent on a step, by side."""
    times, spent = {side: [] for side in sides}, {side: [] for side in sides}
    bursts = []
    for _ in range(rounds):
        time.sleep(REST)
        bursts.append(peaks(sides["muonlab"]))
        for side, worker in sides.items():
            time.sleep(REST)  # PyTorch's threads go on spinning for a moment
            before = worker.cpu_seconds()
            times[side].append(worker.ask({"go": steps})["seconds"])
            spent[side].append((worker.cpu_seconds() - before) / steps)
    return times, bursts, spent


def measure(name, m, precision, arguments, folder):
    generator = torch.Generator().manual_seed(1)
    shape = (4, m["batch"], m["length"] + 1)
    batches = torch.randint(0, m["vocabulary"], shape, generator=generator)
    save_file({"batches": batches}, folder / "batches.safetensors")
    settings = {
        "model": m,
        "precision": precision,
        "adamw": ADAMW,
        "clip": 1.0,
        "weights": str(folder / "weights.safetensors"),
        "batches": str(folder / "batches.safetensors"),
    }
    exactly = check_exactly(name, settings, arguments)
    sides, facts = start(arguments, settings, arguments.peers)
    agreement = check(name, sides, precision)
    slowest = max(w.ask({"go": 1})["seconds"][0] for w in sides.values())
    steps = max(1, round(arguments.seconds / slowest))
    load = os.getloadavg()[0]
    times, bursts, spent = take_turns(sides, steps, arguments.rounds)
    peak = statistics.median(b[precision] for b in bursts)
    tokens = m["batch"] * m["length"]
    ours = [statistics.median(turn) for turn in times["muonlab"]]
    rows = []
    for side, worker in sides.items():
        took = statistics.median(s for turn in times[side] for s in turn)
        gflops = facts["flops_per_token"] * tokens / took / 1e9
        row = {
            "model": name,
            "shape": m,
            "precision": precision,
            "side": side,
            "step_ms": took * 1e3,
            "fastest_ms": min(s for turn in times[side] for s in turn) * 1e3,
            "cpu_ms": statistics.median(spent[side]) * 1e3,
            "tokens_per_second": tokens / took,
            "gflops": gflops,
            "peak_gflops": peak,
            "share_of_peak": gflops / peak,
            "memory_bytes": worker.ask({"memory": 1})["bytes"],
            "rounds": arguments.rounds,
            "steps_per_round": steps,
            "load": [load, os.getloadavg()[0]],
            "parameters": facts["parameters"],
        }
        if side != "muonlab":
            ratios = sorted(
                statistics.median(turn) / own for turn, own in zip(times[side], ours)
            )
            row["ratio"] = statistics.median(ratios)
            row["ratio_low"] = ratios[len(ratios) // 4]
            row["ratio_high"] = ratios[(3 * len(ratios)) // 4]
            row["agreement"] = agreement[side]
            row["agreement_float32_eager"] = exactly
        rows.append(row)
        worker.end()
    return rows


def line(r):
    side = "muonlab" if r["side"] == "muonlab" else f"PyTorch {r['side']}"
    ratio = (
        f"{r['ratio']:.2f} | {r['ratio_low']:.2f}-{r['ratio_high']:.2f}"
        if "ratio" in r
        else " | "
    )
    return (
        f"| {r['model']} {r['precision']} | {side} | {r['step_ms']:.1f} ms | "
        f"{r['cpu_ms']:.0f} ms | {r['tokens_per_second']:.0f} | {r['gflops']:.0f} | "
        f"{100 * r['share_of_peak']:.0f} % | {r['memory_bytes'] / 1e9:.2f} GB | "
        f"{ratio} |"
    )


HEAD = """\
| model | side | step | CPU | tokens/s | GFLOP/s | of peak | memory | ratio | quartiles |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"""


def print_tables(files):
    print(HEAD)
    for file in files:
        for row in json.loads(pathlib.Path(file).read_text(encoding="utf-8"))["rows"]:
            print(line(row))


def chosen(text, known, what):
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in known:
            sys.exit(f"lm_versus: no {what} '{name}'; there are {', '.join(known)}")
    return names


def parsed_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--precisions", default=PRECISIONS[0])
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument(
        "--worker", default=ROOT / "build/release/benchmarks/versus_lm_worker"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true", help="tiny models, eager")
    parser.add_argument("--table", nargs="+", help="prints these results")
    return parser.parse_args()


def main():
    arguments = parsed_arguments()
    if arguments.table:
        return print_tables(arguments.table)
    models = MODELS
    if arguments.smoke:
        models, arguments.models = SMOKE_MODELS, ",".join(SMOKE_MODELS)
        arguments.precisions, arguments.peers = ",".join(PRECISIONS), "eager"
        arguments.rounds, arguments.seconds = 2, 0
    names = chosen(arguments.models, models, "model")
    precisions = chosen(arguments.precisions, PRECISIONS, "precision")
    arguments.peers = chosen(arguments.peers, PEERS, "peer")
    worker = Worker(arguments.worker, arguments.threads)
    level = worker.ask({"level": 1})["level"]
    worker.end()
    results = {"machine": machine(arguments.threads, level), "rows": []}
    print(HEAD)
    for precision in precisions:
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                rows = measure(
                    name, models[name], precision, arguments, pathlib.Path(folder)
                )
            print("\n".join(line(row) for row in rows), flush=True)
            results["rows"] += rows
            if arguments.out:  # after each, so that a long run leaves something
                arguments.out.parent.mkdir(parents=True, exist_ok=True)
                text = json.dumps(results, indent=1) + "\n"
                arguments.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
