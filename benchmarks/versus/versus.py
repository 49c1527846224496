#!/usr/bin/env python3
"""muonlab and PyTorch side by side, in one run, taking turns.

usage: versus.py [--worker FILE] [--threads N] [--only TEXT] [--seconds S]
                 [--out FILE] [--smoke]

Each row is one piece of work that both do. They alternate, one repetition each,
for S seconds of measuring (default 6) and at least five turns; between turns
both rest, so that PyTorch's spinning threads are asleep when muonlab's start.
The table gives medians; the ratio is the median of the turns' ratios. PyTorch
may choose: of several ways to write the work its fastest counts. Bursts of
multiply-adds in between say what the cores could do.

Exit code 1 when a row is below its "must" in the plan; --out writes JSON. --smoke
takes a few turns and judges nothing: it says that both sides still run.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
KELLER = (3.4445, -4.7750, 2.0315)
REST = 0.02  # seconds


def newton_schulz(g, dtype):
    """As it is usually written; works on batches."""
    a, b, c = KELLER
    x = g.to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return x


def newton_schulz_addmm(g, dtype):
    """As torch.optim.Muon writes it."""
    a, b, c = KELLER
    x = g.to(dtype)
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        s = x @ x.mT
        z = torch.addmm(s, s, s, beta=b, alpha=c)
        x = torch.addmm(x, z, x, beta=a)
    return x


def polar_ways(batch, rows, columns, dtype):
    g = torch.randn(batch, rows, columns)
    if batch == 1:
        one = g[0]
        return [
            ("plain", lambda: newton_schulz(one, dtype)),
            ("addmm", lambda: newton_schulz_addmm(one, dtype)),
        ]
    return [
        ("bmm", lambda: newton_schulz(g, dtype)),
        ("loop", lambda: [newton_schulz_addmm(m, dtype) for m in g]),
    ]


def parameters(shapes):
    made = []
    for shape in shapes:
        p = torch.nn.Parameter(torch.randn(*shape) * 0.02)
        p.grad = torch.randn_like(p)
        made.append(p)
    return made


def block_shapes(width, layers):
    return [
        s
        for _ in range(layers)
        for s in (
            (3 * width, width),
            (width, width),
            (4 * width, width),
            (width, 4 * width),
        )
    ]


def muon_ways(shapes):
    optimizer = torch.optim.Muon(parameters(shapes), lr=0.02, weight_decay=0.1)
    optimizer.step()
    return [("torch.optim.Muon", optimizer.step)]


def adamw_ways(shapes, clip, fused):
    ps = parameters(shapes)
    optimizer = torch.optim.AdamW(
        ps, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=fused or None
    )
    optimizer.step()

    def step():
        if clip:
            torch.nn.utils.clip_grad_norm_(ps, clip)
        optimizer.step()

    return [("fused" if fused else "default", step)]


def rows():
    """(name, peer's ways, muonlab's request, must, reach)"""
    f32, bf16 = torch.float32, torch.bfloat16

    def polar(name, batch, n, m, dtype, options, must, reach):
        request = {
            "kind": "polar",
            "batch": batch,
            "rows": n,
            "columns": m,
            "options": options,
        }
        return (name, lambda: polar_ways(batch, n, m, dtype), request, must, reach)

    gram = {"method": "gram"}
    half = {"dtype": "bfloat16"}
    mixed = {"method": "gram", "dtype": "mixed"}
    yield polar("f32, 512x2048, Gram", 1, 512, 2048, f32, gram, 3.5, 4.2)
    yield polar("f32, 768x3072, Gram", 1, 768, 3072, f32, gram, 3.5, 4.2)
    yield polar("f32, 768x768", 1, 768, 768, f32, {}, 2.2, 2.6)
    yield polar("bf16, 768x768", 1, 768, 768, bf16, half, 1.2, 1.35)
    yield polar("bf16, 512x2048", 1, 512, 2048, bf16, half, 1.1, 1.25)
    yield polar("bf16, 768x3072", 1, 768, 3072, bf16, half, 1.1, 1.25)
    yield polar(
        "mixed Gram, 768x3072, peer bf16", 1, 768, 3072, bf16, mixed, 1.35, 1.7
    )
    yield polar(
        "mixed Gram, 768x2304, peer bf16", 1, 768, 2304, bf16, mixed, 1.35, 1.7
    )
    yield polar("bf16, 64 of 192x192", 64, 192, 192, bf16, half, 1.8, 2.3)
    yield polar("bf16, 128 of 256x512", 128, 256, 512, bf16, half, 1.35, 1.6)
    for width, layers, must, reach in ((768, 12, 1.4, 1.7), (256, 4, 1.6, 2.3)):
        shapes = block_shapes(width, layers)
        yield (
            f"Muon step, {layers} layers of width {width}",
            lambda shapes=shapes: muon_ways(shapes),
            {
                "kind": "step",
                "rule": "torch-muon",
                "shapes": shapes,
                "options": {"polar_method": "auto", "polar_dtype": "bfloat16"},
            },
            must,
            reach,
        )
    million = [[1000, 1000]] * 100
    adamw = {"kind": "step", "rule": "adamw", "shapes": million}
    yield (
        "AdamW's pass alone, 100 M, peer fused",
        lambda: adamw_ways(million, 0, True),
        {"kind": "adam-pass", "tensors": 100, "size": 1_000_000},
        1.0,
        None,
    )
    yield (
        "AdamW with its gradient check, 100 M, peer fused",
        lambda: adamw_ways(million, 0, True),
        adamw,
        None,
        None,
    )
    yield (
        "AdamW with its gradient check, 100 M, peer default",
        lambda: adamw_ways(million, 0, False),
        adamw,
        5.0,
        None,
    )
    yield (
        "clip and AdamW, 100 M, peer clip + fused",
        lambda: adamw_ways(million, 1.0, True),
        dict(adamw, clip=1.0),
        None,
        1.3,
    )


class Worker:
    """A process that answers each line with a line, both JSON."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("versus: the worker ended; see its message above")
        answer = json.loads(line)
        if "error" in answer:
            sys.exit(f"versus: {answer['error']}")
        return answer

    def seconds(self):
        return self.ask({"go": 1})["seconds"][0]

    def cpu_seconds(self):
        """Of all its threads until now, waiting that spins included."""
        text = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = text.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def timed(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def fastest_way(ways):
    """By the median of three; two runs warm up."""
    best = None
    for name, work in ways:
        work()
        work()
        took = statistics.median(timed(work) for _ in range(3))
        if best is None or took < best[0]:
            best = (took, name, work)
    return best[1], best[2]


def measure(row, worker, seconds):
    name, ways, request, must, reach = row
    way, work = fastest_way(ways())
    facts = worker.ask({"set": request})
    worker.seconds()
    worker.seconds()
    theirs, ours = [], []
    begin = time.time()
    while len(theirs) < 5 or (time.time() - begin < seconds and len(theirs) < 300):
        time.sleep(REST)
        theirs.append(timed(work))
        time.sleep(REST)
        ours.append(worker.seconds())
    ratios = sorted(t / o for t, o in zip(theirs, ours))
    return {
        "row": name,
        "peer": way,
        "peer_ms": statistics.median(theirs) * 1e3,
        "muonlab_ms": statistics.median(ours) * 1e3,
        "ratio": statistics.median(ratios),
        "ratio_low": ratios[len(ratios) // 4],
        "ratio_high": ratios[(3 * len(ratios)) // 4],
        "turns": len(ratios),
        "must": must,
        "reach": reach,
        "facts": facts,
    }


def peaks(worker):
    return {e: rate / 1e9 for e, rate in worker.ask({"peak": 1}).items()}


def command_output(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def cpu():
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return line.split(": ", 1)[1].strip()
    return platform.processor()


def machine(threads, level):
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "threads": threads,
        "level": level,
        "compiler": command_output("c++", "--version").split("\n")[0],
        "commit": command_output("git", "rev-parse", "--short", "HEAD"),
        "changed": bool(command_output("git", "status", "--porcelain", "-uno")),
        "torch": torch.__version__,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": " ".join(sys.argv),
        "environment": {
            k: v
            for k, v in os.environ.items()
            if k.startswith(("MUONLAB_", "OMP_", "MKL_", "ONEDNN_", "ATEN_"))
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--worker", default=ROOT / "build/release/benchmarks/versus_worker"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="rows with this in their name")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true", help="judge nothing")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.seconds = 0
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    worker = Worker(arguments.worker, arguments.threads)
    level = worker.ask({})["level"]
    results, bursts = [], []
    with torch.no_grad():
        print("| work | PyTorch | muonlab | ratio | quartiles | must | reach |")
        print("|---|---|---|---|---|---|---|")
        for row in rows():
            if arguments.only not in row[0]:
                continue
            bursts.append(peaks(worker))
            r = measure(row, worker, arguments.seconds)
            results.append(r)
            print(
                f"| {r['row']} | {r['peer_ms']:.2f} ms ({r['peer']}) | "
                f"{r['muonlab_ms']:.2f} ms | {r['ratio']:.2f} | "
                f"{r['ratio_low']:.2f}-{r['ratio_high']:.2f} | "
                f"{r['must'] or ''} | {r['reach'] or ''} |",
                flush=True,
            )
    if not results:
        sys.exit(f"versus: no row has '{arguments.only}' in its name")
    peak = {
        e: statistics.median(b[e] for b in bursts) for e in ("float32", "bfloat16")
    }
    choices = worker.ask({})["choices"]
    print(
        f"\npeak {peak['float32']:.0f} GFLOP/s float32, "
        f"{peak['bfloat16']:.0f} bfloat16; {level}; {arguments.threads} threads"
    )
    for choice in choices:
        print("chosen:", choice)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(
            json.dumps(
                {
                    "machine": machine(arguments.threads, level),
                    "peak_gflops": peak,
                    "choices": choices,
                    "rows": results,
                },
                indent=1,
            )
            + "\n",
            encoding="utf-8",
        )
    missed = [r["row"] for r in results if r["must"] and r["ratio"] < r["must"]]
    for name in missed:
        print("below its must:", name)
    return 1 if missed and not arguments.smoke else 0


if __name__ == "__main__":
    sys.exit(main())
