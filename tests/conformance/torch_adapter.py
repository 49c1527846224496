#!/usr/bin/env python3
"""Runs torch.optim on the conformance cases.

  torch_adapter.py CASES OUT --dtype float32

Writes OUT/NAME.json for judge.py: Muon for the rules torch-muon, muon and
muonw, AdamW and Adam for adamw and adam, SGD for sgd. What torch.optim has no
option for is written as unsupported, with the reason. torch.optim.Muon runs
Newton-Schulz in bfloat16 whatever the dtype of the weights, and clamps by its
eps where others add 1e-7; cases that ask otherwise are run all the same, since
the judge shows the difference. Exit code 77: torch is not installed.
"""

import argparse
import pathlib
import sys

import suite

try:
    import torch
except ImportError:
    print("skipped: the Python package torch is not installed")
    sys.exit(77)

QUINTICS = {"keller": (3.4445, -4.7750, 2.0315),
            "taylor": (15 / 8, -5 / 4, 3 / 8), "cubic": (3 / 2, -1 / 2, 0.0),
            "simple": (2.0, -3 / 2, 1 / 2), "su1": (3.3748, -4.6969, 2.1433)}
SHIFTS = {"s2": "original", "s4": "match_rms_adamw"}


class Unsupported(Exception):
    """What torch.optim has no option for."""


def need(condition, reason):
    if not condition:
        raise Unsupported(reason)


def only(o, **allowed):
    """Refuses options with other values than torch.optim can have."""
    for key, values in allowed.items():
        need(o[key] in values, f"{key} {o[key]}")


def muon(parameter, o, case):
    need(parameter.ndim == 2, "torch.optim.Muon takes matrices alone")
    need(len(QUINTICS.get(o["polar_coefficients"], ())) == 3,
         f"polar_coefficients {o['polar_coefficients']}: torch.optim.Muon has "
         "one row for all steps")
    # Heavy ball and EMA differ by a factor, which Newton-Schulz divides away.
    only(o, momentum_form=("ema", "heavy-ball"), pre=("none",),
         direction=("polar",), polar_method=("newton-schulz",),
         polar_norm=("frobenius",), post=("none",), scale=SHIFTS, scale_factor=(1,),
         decay=("decoupled", "additive"), qk_clip=(0,))
    need(o["polar_eps_mode"] == "clamp" or o["polar_eps"] == 1e-7,
         f"polar_eps {o['polar_eps']} added: torch.optim.Muon clamps")
    need(o["momentum_form"] == "ema" or o["polar_eps"] <= 1e-7,
         f"polar_eps {o['polar_eps']} with heavy ball: torch.optim.Muon's EMA "
         "is smaller")
    zero = any(not any(values) for values in case["gradients"])
    need(not (o["skip_zero"] and zero),
         "skip_zero: torch.optim.Muon processes a gradient of zeros")
    return torch.optim.Muon(
        [parameter], lr=o["lr"], weight_decay=o["weight_decay"],
        momentum=o["momentum"], nesterov=o["nesterov"],
        ns_coefficients=QUINTICS[o["polar_coefficients"]],
        ns_steps=o["polar_steps"], eps=o["polar_eps"],
        adjust_lr_fn=SHIFTS[o["scale"]])


def adam(parameter, o, _):
    only(o, eps_placement=("outside",), decay=("decoupled", "l2"))
    kind = torch.optim.AdamW if o["decay"] == "decoupled" else torch.optim.Adam
    betas = float(o["beta1"]), float(o["beta2"])  # torch refuses an integer
    return kind([parameter], lr=o["lr"], betas=betas, eps=o["eps"],
                weight_decay=o["weight_decay"], foreach=False)


def sgd(parameter, o, _):
    only(o, decay=("l2",))
    return torch.optim.SGD(
        [parameter], lr=o["lr"], momentum=o["momentum"],
        nesterov=o["nesterov"], weight_decay=o["weight_decay"], foreach=False)


RULES = {"torch-muon": muon, "muon": muon, "muonw": muon, "adamw": adam,
         "adam": adam, "sgd": sgd}


def run(case, dtype):
    """The case's result: W after each step."""
    rule = case["rule"]
    need(rule in RULES, f"torch.optim has no {rule}")
    o = suite.resolve(rule, case["options"])

    def tensor(values):
        return torch.tensor(values, dtype=dtype).reshape(case["shape"])

    parameter = torch.nn.Parameter(tensor(case["w0"]))
    w = []
    try:
        optimizer = RULES[rule](parameter, o, case)
        unknown = sorted(set(o) - set(suite.DEFAULTS[rule]))
        need(not unknown, f"option {', '.join(unknown)}")
        for gradient in case["gradients"]:
            parameter.grad = tensor(gradient)
            optimizer.step()
            w.append(parameter.detach().flatten().tolist())
    except ValueError as error:  # some options are checked in the step alone
        raise Unsupported(f"torch.optim refuses: {error}") from error
    return w


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", metavar="CASES", type=pathlib.Path)
    parser.add_argument("out", metavar="OUT", type=pathlib.Path)
    parser.add_argument("--dtype", choices=suite.DTYPES, default="float32")
    parser.add_argument("--rule", action="append")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        cases = suite.read_cases(arguments.cases, arguments.rule)
    except suite.BadFile as error:
        sys.exit(f"torch_adapter.py: error: {error}")
    version = torch.__version__.split("+")[0]
    for name, of_file in cases.items():
        results = []
        for case in of_file:
            result = {"name": case["name"]}
            try:
                result["w"] = run(case, getattr(torch, arguments.dtype))
            except Unsupported as reason:
                result["unsupported"] = str(reason)
            results.append(result)
        suite.write_outputs(arguments.out, name, f"torch.optim {version}",
                            arguments.dtype, results)
        done = sum("w" in result for result in results)
        print(f"{name}: {done} of {len(results)} cases run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
