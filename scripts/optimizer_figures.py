#!/usr/bin/env python3
"""Draws the figures of docs/optimizers from muonlab's own output.

usage: .venv/bin/python scripts/optimizer_figures.py PROGRAM [--data FOLDER]

Writes docs/images/scale-shape.svg (from `optim route`), polar-spectrum.svg (from
`optim replay`) and, with a dataset, update-entropy.svg (from the diagnostics of
two runs of configs/quick.toml; a minute or two).
"""

import argparse
import json
import math
import pathlib
import subprocess
import tempfile

import vl_convert

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"


def output(*command, **kwargs):
    return subprocess.run([str(c) for c in command], check=True,
                          capture_output=True, text=True, **kwargs).stdout


def draw(name, title, data, x, y, color, mark="line"):
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": title, "width": 460, "height": 260,
        "background": "white",
        "data": {"values": data},
        "mark": {"type": mark, "clip": True},
        "encoding": {"x": x, "y": y, "color": color}}
    IMAGES.joinpath(f"{name}.svg").write_text(
        vl_convert.vegalite_to_svg(spec))
    print(f"docs/images/{name}.svg: {len(data)} points")


def scale_against_shape(program, folder):
    """RMS of an exactly orthogonal update, for 1024 columns."""
    columns = 1024
    shapes = [round(columns * 2 ** (k / 2)) for k in range(-8, 9)]
    parameters = "\n".join(
        f'[[parameters]]\nname = "w{rows}"\nshape = [{rows}, {columns}]\n'
        'role = "matrix"' for rows in shapes)
    points = []
    for scale in ("s1", "s2", "s3", "s4", "s5"):
        file = folder / "shapes.toml"
        file.write_text(f'{parameters}\n[optim]\nrule = "muon"\n'
                        f'scale = "{scale}"\n')
        plan = json.loads(output(program, "optim", "route", file, "--json"))
        for row in plan["parameters"]:
            rows = row["shape"][0]
            points.append({
                "scale": scale, "rows over columns": rows / columns,
                "RMS": row["scale_factor"][0] / math.sqrt(max(rows, columns))})
    draw("scale-shape", "RMS of the update by shape (1,024 columns)", points,
         {"field": "rows over columns", "type": "quantitative",
          "scale": {"type": "log", "base": 2}},
         {"field": "RMS", "type": "quantitative", "scale": {"type": "log"}},
         {"field": "scale", "type": "nominal"})


def spectrum_before_and_after(program):
    """A diagonal gradient: its entries are its singular values."""
    before = [10 ** (-4 + 4 * k / 119) for k in range(120)]
    n = len(before)
    gradient = [before[i] if i == j else 0 for i in range(n) for j in range(n)]
    norm = math.sqrt(sum(s * s for s in before))
    points = []
    for table in ("keller", "taylor", "you5", "polar-express", "cubic"):
        answer = json.loads(output(
            program, "optim", "replay", "-", input=json.dumps({
                "rule": "muon", "shape": [n, n], "w0": [0] * (n * n),
                "gradients": [gradient],
                "options": {"lr": 1, "momentum": 0, "nesterov": False,
                            "scale": "s1", "polar_coefficients": table}})))
        for i in range(n):
            points.append({"table": f"{table}, 5 steps",
                           "before": before[i] / norm,
                           "after": -answer["w"][0][i * n + i]})
    draw("polar-spectrum", "Singular values before and after five steps", points,
         {"field": "before", "type": "quantitative", "scale": {"type": "log"},
          "title": "singular value over the Frobenius norm"},
         {"field": "after", "type": "quantitative",
          "title": "singular value of the update"},
         {"field": "table", "type": "nominal"})


def entropy_of_the_change(program, data, folder):
    rates = {"adamw": (2e-3, 0.0113), "muon": (0.02, 0.016)}
    points = []
    for rule, (lr, auxiliary) in rates.items():
        run = folder / rule
        output(program, "train", ROOT / "configs/quick.toml", "--quiet",
               "--out", run, "--set", f"optim.rule={rule}",
               "--set", f"optim.lr={lr}",
               "--set", f"optim.auxiliary.lr={auxiliary}",
               "--set", f"data.path={data}", "--set", "train.threads=1",
               "--set", "eval.windows=64",
               "--set", "diagnostics.spectra_every=20")
        for text in (run / "metrics.jsonl").read_text().splitlines():
            line = json.loads(text)
            if line["t"] != "diag" or "attention_logits" not in line:
                continue
            values = [layer["d_entropy"] for layer in line["layers"].values()
                      if layer.get("d_entropy")]
            if values:
                points.append({"rule": rule, "step": line["step"],
                               "entropy": sum(values) / len(values)})
    draw("update-entropy",
         "Singular-value entropy of W − W0, mean over the hidden matrices",
         points, {"field": "step", "type": "quantitative"},
         {"field": "entropy", "type": "quantitative",
          "scale": {"zero": False}},
         {"field": "rule", "type": "nominal"})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        scale_against_shape(options.program, folder)
        spectrum_before_and_after(options.program)
        if options.data:
            entropy_of_the_change(options.program, options.data, folder)


if __name__ == "__main__":
    main()
