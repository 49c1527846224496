"""The files of the conformance suite, and the options of its rules.

README.md describes both kinds of file. Standard library only.
"""

import json
import math
import pathlib

SCHEMA = 1
DTYPES = ("float32", "float64")

SCALES = {"unit": "s1", "original": "s2", "match-rms-adamw": "s4",
          "nuclear": "s6", "rms": "s7", "radius": "s8", "hyperball": "s9"}

# Defaults of the presets that the adapters and bfloat16_bound.py compute with.
MATRIX = {
    "lr": 0.02, "weight_decay": 0.0, "momentum": 0.95, "momentum_form": "ema",
    "nesterov": True, "pre": "none", "direction": "polar",
    "polar_method": "newton-schulz", "polar_coefficients": "keller",
    "polar_steps": 5, "polar_norm": "frobenius", "polar_eps": 1e-7,
    "polar_eps_mode": "add", "polar_dtype": "auto", "post": "none",
    "scale": "s2", "scale_factor": 1.0, "decay": "decoupled",
    "skip_zero": True, "qk_clip": 0.0}
ADAM = {"lr": 1e-3, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95,
        "eps": 1e-8, "eps_placement": "outside", "decay": "decoupled"}
DEFAULTS = {
    "muon": MATRIX,
    "torch-muon": MATRIX | {
        "lr": 1e-3, "weight_decay": 0.1, "polar_eps_mode": "clamp",
        "polar_dtype": "bfloat16", "skip_zero": False},
    "muonw": MATRIX | {
        "lr": 1e-3, "weight_decay": 0.1, "momentum_form": "heavy-ball",
        "scale": "s4"},
    "dion-muon": MATRIX | {
        "lr": 0.01, "weight_decay": 0.01, "momentum_form": "heavy-ball",
        "nesterov": False, "polar_coefficients": "polar-express-modded",
        "polar_eps": 1e-8, "polar_dtype": "bfloat16", "scale": "s3",
        "skip_zero": False},
    "adamw": ADAM,
    "adam": ADAM | {"beta2": 0.999, "weight_decay": 0.0, "decay": "l2"},
    "sgd": {"lr": 0.01, "weight_decay": 0.0, "momentum": 0.9,
            "nesterov": False, "decay": "l2"},
}


class BadFile(Exception):
    """A file or folder that cannot be judged: what, and what to do."""


def resolve(rule, options):
    """The rule's defaults with the case's options, flat, in long names."""
    flat = dict(options)
    for key, value in flat.pop("polar", {}).items():
        flat[f"polar_{key}"] = value
    if "betas" in flat:
        flat["beta1"], flat["beta2"] = flat.pop("betas")
    if "scale" in flat:
        flat["scale"] = SCALES.get(flat["scale"], flat["scale"])
    return DEFAULTS[rule] | flat


def number(value):
    """A float; also from "nan", "inf", "-inf". None for anything else."""
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond the doubles
        return math.inf if value > 0 else -math.inf


def load(path):
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BadFile(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise BadFile(f'{path}: expected an object with "schema": {SCHEMA}')
    return value


def finite_list(value, length):
    if not isinstance(value, list) or len(value) != length:
        return False
    numbers = [number(x) for x in value]
    return None not in numbers and all(map(math.isfinite, numbers))


def check_case(case):
    """What is wrong with a case, or None."""
    if not isinstance(case, dict) or not isinstance(case.get("name"), str):
        return "a case without a name"
    keys = {"rule": str, "options": dict, "shape": list, "w0": list,
            "gradients": list, "steps_checked": list, "w": list,
            "tolerance": dict}
    for key, kind in keys.items():
        if not isinstance(case.get(key), kind):
            return f"{key}: expected a {kind.__name__}"
    sizes, steps = case["shape"], case["steps_checked"]
    if not sizes or not all(type(n) is int and n > 0 for n in sizes):
        return "shape: expected positive integers"
    if not case["gradients"]:
        return "gradients: none given"
    valid = set(range(1, len(case["gradients"]) + 1))
    if not steps or steps != sorted(set(steps)) or not set(steps) <= valid:
        return f"steps_checked: expected rising numbers in 1..{max(valid)}"
    if len(case["w"]) != len(steps):
        return "w: expected a list for each of steps_checked"
    size = math.prod(sizes)
    for key in ("gradients", "w"):
        if not all(finite_list(x, size) for x in case[key]):
            return f"{key}: expected lists of {size} finite numbers"
    if not finite_list(case["w0"], size):
        return f"w0: expected {size} finite numbers"
    for dtype in DTYPES:
        bound = case["tolerance"].get(dtype)
        if bound is not None and not (number(bound) or -1) > 0:
            return f"tolerance.{dtype}: expected a positive number or null"
    return None


def read_cases(folder, rules=None):
    """{NAME: cases of CASES/NAME.json}, of all rules or of those named. A file
    holds cases of its own rule, or of several."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise BadFile(f"{folder}: no such folder of cases")
    found, names = {}, set()
    for path in sorted(folder.glob("*.json")):
        found[path.stem] = cases = load(path).get("cases")
        if not isinstance(cases, list) or not cases:
            raise BadFile(f"{path}: cases: expected a list of them")
        for case in cases:
            problem = check_case(case)
            name = case.get("name") if isinstance(case, dict) else None
            if problem is None and name in names:
                problem = "the name is taken"
            if problem:
                raise BadFile(f"{path}: {name}: {problem}")
            names.add(name)
    if not found:
        raise BadFile(f"{folder}: no NAME.json in it")
    known = {case["rule"] for cases in found.values() for case in cases}
    unknown = sorted(set(rules or ()) - known)
    if unknown:
        raise BadFile(f"{folder}: no cases of {', '.join(unknown)}; there are "
                      f"cases of {', '.join(sorted(known))}")
    kept = {name: [case for case in cases if not rules or case["rule"] in rules]
            for name, cases in found.items()}
    return {name: cases for name, cases in kept.items() if cases}


def read_outputs(folder, names):
    """{NAME: content of OUT/NAME.json}; what has no file is left out."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise BadFile(f"{folder}: no such folder of outputs")
    outputs = {}
    for name in names:
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        content = outputs[name] = load(path)
        if content.get("dtype") not in DTYPES:
            raise BadFile(f"{path}: dtype: expected {' or '.join(DTYPES)}")
        if not isinstance(content.get("implementation"), str):
            raise BadFile(f"{path}: implementation: expected its name")
        results = content.get("results")
        if not isinstance(results, list) or not all(
                isinstance(r, dict) and isinstance(r.get("name"), str)
                for r in results):
            raise BadFile(f"{path}: results: expected objects with a name")
        seen = set()
        for result in results:
            if result["name"] in seen:
                raise BadFile(f"{path}: more than one result for "
                              f"{result['name']}")
            seen.add(result["name"])
    if not outputs:
        raise BadFile(f"{folder}: no NAME.json of {', '.join(names)} in it")
    return outputs


def json_value(value):
    """Non-finite numbers as strings, since JSON has none."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {key: json_value(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(x) for x in value]
    return value


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(json_value(value), allow_nan=False) + "\n",
                    "utf-8")


def write_outputs(folder, name, implementation, dtype, results):
    write(pathlib.Path(folder) / f"{name}.json",
          {"schema": SCHEMA, "implementation": implementation, "dtype": dtype,
           "results": results})
