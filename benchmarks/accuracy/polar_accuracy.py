#!/usr/bin/env python3
"""Errors of every form of the polar factor, by precision and kind of matrix.

usage: polar_accuracy.py [--muonlab FILE] [--shapes 256x1024,...] [--state FILE]
                         [--out FILE]

|O - O64|/sqrt(n): O64 is the standard form in float64 with the same steps, so
what is left is rounding. With --state (optimizer.safetensors of a run with
--dump) the momentum matrices of that run are a class of their own: the largest
error among them counts. Prints a Markdown table; exit code 1 when a limit that
docs/polar.md names is not kept.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
KINDS = ("gaussian", "ill-conditioned", "low-rank", "rank-deficient")
KELLER = ("keller", 5)
EXPRESS = ("polar-express", 8)
# (name, table, options, limit: a number or "standard")
FORMS = [
    ("float32", KELLER, [], 1e-5),
    ("float32 gram", KELLER, ["--method", "gram"], 2e-4),
    ("bfloat16 (PyTorch's)", KELLER, ["--dtype", "bfloat16"], None),
    ("bfloat16-master", KELLER, ["--dtype", "bfloat16-master"], 0.03),
    (
        "mixed gram",
        KELLER,
        ["--method", "gram", "--dtype", "mixed"],
        "standard",
    ),
    (
        "mixed gram, no restart",
        KELLER,
        ["--method", "gram", "--dtype", "mixed", "--restarts", "none"],
        None,
    ),
    (
        "bfloat16 gram",
        KELLER,
        ["--method", "gram", "--dtype", "bfloat16"],
        None,
    ),
    ("float32", EXPRESS, [], None),
    ("float32 gram", EXPRESS, ["--method", "gram"], None),
    ("bfloat16 (PyTorch's)", EXPRESS, ["--dtype", "bfloat16"], None),
    ("bfloat16-master", EXPRESS, ["--dtype", "bfloat16-master"], None),
    ("mixed gram", EXPRESS, ["--method", "gram", "--dtype", "mixed"], None),
]


def errors(muonlab, options, source):
    done = subprocess.run(
        [muonlab, "polar", *source, *options, "--json"],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"polar_accuracy: {done.stderr.strip()}")
    return {
        m["name"]: m["distance_from_float64"]
        for m in json.loads(done.stdout)["matrices"]
    }


def momentum_names(muonlab, state):
    """The matrices of a run that its polar factors were taken of."""
    every = errors(muonlab, ["--steps", "1"], [state])
    return [n for n in every if n.endswith("momentum") and every[n] is not None]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--muonlab", default=ROOT / "build/release/tools/muonlab/muonlab")
    parser.add_argument("--shapes", default="256x1024,512x512,512x2048")
    parser.add_argument("--state", help="optimizer.safetensors of a run")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    shapes = arguments.shapes.split(",")
    columns = [
        (f"{kind} {shape}", ["--shape", shape, "--kind", kind])
        for shape in shapes
        for kind in KINDS
    ]
    if arguments.state:
        columns.append(("momentum", [arguments.state]))
        names = momentum_names(arguments.muonlab, arguments.state)
        if not names:
            sys.exit(f"polar_accuracy: {arguments.state}: no momentum matrix in it")
    table, missed = [], []
    standard = {}
    for form, (coefficients, steps), options, limit in FORMS:
        options = [*options, "--coefficients", coefficients, "--steps", str(steps)]
        row = {}
        for column, source in columns:
            found = errors(arguments.muonlab, options, source)
            if column == "momentum":
                found = {n: found[n] for n in names}
            row[column] = max(found.values())
        if form.startswith("bfloat16 (") and coefficients == "keller":
            standard = row
        for column, _ in columns:
            wide = column.split()[-1] not in ("512x512",)
            bound = standard.get(column) if limit == "standard" else limit
            if bound is None or (limit == "standard" and not wide):
                continue
            if not row[column] <= bound:
                missed.append(
                    f"{form}, {coefficients}, {column}: {row[column]:.2g}, "
                    f"limit {bound:.2g}"
                )
        table.append({"form": form, "table": coefficients, "steps": steps, "errors": row})
    print("| form | table | " + " | ".join(c for c, _ in columns) + " |")
    print("|---|---|" + "---:|" * len(columns))
    for row in table:
        cells = " | ".join(f"{row['errors'][c]:.1e}" for c, _ in columns)
        print(f"| {row['form']} | {row['table']} x{row['steps']} | {cells} |")
    if arguments.out:
        arguments.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    for line in missed:
        print("limit not kept:", line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
