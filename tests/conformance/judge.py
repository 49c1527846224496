#!/usr/bin/env python3
"""Judges an optimizer by what it wrote, against the conformance cases.

  judge.py CASES OUT              CASES/NAME.json against OUT/NAME.json
  judge.py CASES OUT --rule muon --rule adamw
  judge.py --self-test            wrong results that must be noticed

README.md describes the files and the tolerances. Prints a table by file, then
each failure. Exit code 0: all that was judged passed; 1: not, or nothing was
judged; 2: bad usage or files. Needs no packages, except NumPy for
--dtype bfloat16-polar.
"""

import argparse
import math
import pathlib
import sys

import suite

VERDICTS = ("passed", "failed", "unsupported", "undecided", "unjudged")


# One case.

def structure_problem(case, result):
    """What is missing or malformed in a result, or None."""
    if result is None:
        return "no result"
    if "error" in result:
        return f"the implementation failed: {result['error']}"
    w, steps = result.get("w"), len(case["gradients"])
    if not isinstance(w, list):
        return "no w"
    if len(w) != steps:
        return f"{len(w)} steps given, {steps} expected"
    for step, values in enumerate(w, 1):
        size = math.prod(case["shape"])
        if not isinstance(values, list) or len(values) != size:
            count = len(values) if isinstance(values, list) else "no"
            return f"step {step}: {count} values given, {size} expected"
        for index, value in enumerate(values):
            if suite.number(value) is None:
                return f"step {step}, index {index}: {value!r} is no number"
    return None


def error_of(got, expected):
    """Absolute; that of NaN and inf is infinite."""
    error = abs(got - expected)
    return error if math.isfinite(error) else math.inf


def position(index, shape):
    """Of a flat index: [row, column]."""
    at = []
    for size in reversed(shape):
        index, here = divmod(index, size)
        at.insert(0, here)
    return at


def update_errors(case, got):
    """Of the whole update W_T - W_0, T the last checked step: the relative
    Frobenius error and the cosine of the angle to the expected one."""
    theirs = [a - b for a, b in zip(got, case["w0"], strict=True)]
    ours = [a - b for a, b in zip(case["w"][-1], case["w0"], strict=True)]
    lengths = math.hypot(*theirs), math.hypot(*ours)
    product = sum(a * b for a, b in zip(theirs, ours, strict=True))
    cosine = product / math.prod(lengths) if all(lengths) else math.nan
    return math.dist(theirs, ours) / lengths[1], cosine


def update_is_visible(case, dtype):
    """Whether the update is so far beyond the rounding of W that an error of
    it says something."""
    tolerance = case["tolerance"].get(dtype)
    update = math.dist(case["w"][-1], case["w0"])
    size = math.sqrt(len(case["w0"]))
    return tolerance is not None and update > 20 * tolerance * size


def by_element(case, w, tolerance):
    """The worst error over tolerance, and the first value out of bounds."""
    worst, problem = 0.0, None
    for step, expected in zip(case["steps_checked"], case["w"], strict=True):
        for index, (a, b) in enumerate(zip(w[step - 1], expected, strict=True)):
            ratio = error_of(a, b) / tolerance
            worst = max(worst, ratio)
            if ratio > 1 and problem is None:
                problem = (f"step {step}, index {index} "
                           f"{position(index, case['shape'])}: got {a!r}, "
                           f"expected {b!r}, tolerance {tolerance:g}")
    return worst, problem


def by_polar_bound(case, w, bounds):
    """As by_element, for the Frobenius distance at each checked step. None
    instead of a problem's text if the bound is too wide to say anything."""
    worst, problem, step = 0.0, "", 0
    for step, expected in zip(case["steps_checked"], case["w"], strict=True):
        distance = math.dist(w[step - 1], expected)
        ratio = distance / bounds[step - 1]
        worst = max(worst, ratio)
        if ratio > 1 and not problem:
            problem = (f"step {step}: distance {distance:.3g} (Frobenius), "
                       f"bound {bounds[step - 1]:.3g}")
    update = math.dist(case["w"][-1], case["w0"])
    wide = bounds[step - 1] >= update
    return worst, problem or (None if wide else "")


def judge_case(case, result, dtype, kind=None):
    """`dtype` is what W was held in, `kind` another tolerance to judge by."""
    seen = {"name": case["name"], "verdict": "failed", "ratio": math.inf,
            "update_error": math.inf, "cosine": math.nan, "problem": None}
    if result is not None and "unsupported" in result:
        return seen | {"verdict": "unsupported", "ratio": None,
                       "update_error": None, "cosine": None,
                       "problem": result["unsupported"]}
    problem = structure_problem(case, result)
    if problem:
        return seen | {"problem": problem}
    w = [[suite.number(x) for x in values] for values in result["w"]]
    for step, values in enumerate(w, 1):
        for index, value in enumerate(values):
            if not math.isfinite(value):
                return seen | {"problem":
                               f"step {step}, index {index}: got {value}"}
    error, cosine = (
        update_errors(case, w[case["steps_checked"][-1] - 1])
        if update_is_visible(case, dtype) else (None, None))
    seen |= {"update_error": error, "cosine": cosine}
    if kind == "bfloat16-polar":
        import bfloat16_bound
        bounds = bfloat16_bound.bounds(case)
        if bounds is None:
            return seen | {"verdict": "unjudged", "ratio": None}
        ratio, problem = by_polar_bound(case, w, bounds)
        if problem is None:
            return seen | {"verdict": "undecided", "ratio": ratio}
    else:
        tolerance = case["tolerance"].get(kind or dtype)
        if tolerance is None:
            return seen | {"verdict": "unjudged", "ratio": None}
        ratio, problem = by_element(case, w, tolerance)
    return seen | {"verdict": "failed" if problem else "passed",
                   "ratio": ratio, "problem": problem or None}


# One file, all files.

def worst_of(judged, key):
    seen = [(case[key], case["name"]) for case in judged
            if case[key] is not None]
    return max(seen) if seen else (None, None)


def judge_file(name, cases, output, dtype, kind=None):
    """`output`: the content of OUT/NAME.json, or None if there is none."""
    results = {r["name"]: r for r in output["results"]} if output else {}
    judged = [judge_case(case, results.pop(case["name"], None), dtype, kind)
              for case in cases]
    count = {verdict: sum(case["verdict"] == verdict for case in judged)
             for verdict in VERDICTS}
    ratio, ratio_case = worst_of(judged, "ratio")
    update, update_case = worst_of(judged, "update_error")
    return {"name": name, "cases": len(judged), **count,
            "worst_ratio": ratio, "worst_case": ratio_case,
            "worst_update_error": update, "worst_update_case": update_case,
            "file": output is not None, "unknown": sorted(results),
            "judged": judged}


def short(value):
    if value is None:
        return "-"
    plain = 0.01 <= value < 1000 or value == 0
    return f"{value:.2g}" if plain else f"{value:.1e}"


def print_table(files, kind):
    shown = ["passed", "failed", "unsupported"]
    shown += [v for v in ("undecided", "unjudged") if any(f[v] for f in files)]
    heads = ["file", "cases", *shown, "error/bound", "update error",
             "worst case"]
    lines = [[f["name"], str(f["cases"]), *(str(f[v]) for v in shown),
              short(f["worst_ratio"]), short(f["worst_update_error"]),
              f["worst_case"] or "-"] for f in files]
    widths = [max(map(len, column)) for column in zip(heads, *lines)]
    for line in [heads, *lines]:
        cells = [line[0].ljust(widths[0])]
        cells += [x.rjust(n) for x, n in zip(line[1:-1], widths[1:-1])]
        print("  ".join([*cells, line[-1]]))
    print(f"\nerror/bound: the largest error over its {kind} tolerance, in the "
          "worst case;\nupdate error: the largest relative Frobenius error of "
          "the whole update\nW_T - W_0, of cases in which that is well beyond "
          "the rounding of W.")


def print_failures(files):
    for file in files:
        if not file["file"]:
            print(f"FAIL {file['name']}: no file {file['name']}.json, "
                  f"{file['failed']} cases without a result")
            continue
        for case in file["judged"]:
            if case["verdict"] == "failed":
                print(f"FAIL {case['name']}: {case['problem']}")
        for name in file["unknown"]:
            print(f"note: {file['name']}.json has a result for {name!r}, "
                  "which is no case")


def print_reasons(files):
    """Why cases were unsupported, the most frequent reason first."""
    counts = {}
    for file in files:
        for case in file["judged"]:
            if case["verdict"] == "unsupported":
                counts[case["problem"]] = counts.get(case["problem"], 0) + 1
    for reason, count in sorted(counts.items(), key=lambda x: (-x[1], x[0])):
        print(f"unsupported {count:4}  {reason}")


def judge(arguments):
    cases = suite.read_cases(arguments.cases, arguments.rule)
    outputs = suite.read_outputs(arguments.out, list(cases))
    kinds = {(o["implementation"], o["dtype"]) for o in outputs.values()}
    if len(kinds) > 1:
        raise suite.BadFile(f"{arguments.out}: files of more than one "
                            f"implementation or dtype: {sorted(kinds)}")
    implementation, dtype = kinds.pop()
    kind = arguments.dtype or dtype
    files = [judge_file(name, cases[name], outputs.get(name), dtype, kind)
             for name in cases]
    print(f"{implementation}, in {dtype}, judged as {kind}\n")
    print_table(files, kind)
    print()
    print_failures(files)
    print_reasons(files)
    count = {v: sum(file[v] for file in files) for v in VERDICTS}
    print(", ".join(f"{n} {v}" for v, n in count.items()
                    if n or v in ("passed", "failed")))
    if arguments.json:
        suite.write(arguments.json, {
            "schema": suite.SCHEMA, "implementation": implementation,
            "dtype": dtype, "judged_as": kind, **count, "files": files})
    if not count["passed"] and not count["failed"]:
        print("nothing was judged")
        return 1
    return 1 if count["failed"] else 0


# The judge judged.

CASE = {"name": "a", "rule": "x", "options": {}, "shape": [2, 2],
        "w0": [1.0, -1.0, 0.5, 0.0],
        "gradients": [[1.0] * 4, [1.0] * 4], "steps_checked": [2],
        "w": [[-0.25, 300.0, 0.125, 0.0]],
        "tolerance": {"float64": 1e-12, "float32": 1e-5}, "why": ""}
RIGHT = [[0.0] * 4, [-0.25, 300.0, 0.125, 0.0]]


def changed(index, value, step=1):
    w = [list(values) for values in RIGHT]
    w[step][index] = value
    return {"name": "a", "w": w}


# What, the result, and a part of the problem (None: it must pass).
SELF_TEST = [
    ("right", {"name": "a", "w": RIGHT}, None),
    ("within tolerance", changed(2, 0.125 + 0.9e-5), None),
    ("minus zero", changed(3, -0.0), None),
    ("a step that is not checked", changed(0, 7.0, step=0), None),
    ("beyond tolerance", changed(2, 0.125 + 1.1e-5), "index 2 [1, 0]"),
    ("beyond tolerance, relatively within", changed(1, 300.0 + 3e-5),
     "index 1 [0, 1]"),
    ("wrong sign", changed(0, 0.25), "got 0.25, expected -0.25"),
    ("all of the wrong sign",
     {"name": "a", "w": [[-x for x in v] for v in RIGHT]}, "step 2, index 0"),
    ("nan", changed(0, math.nan), "got nan"),
    ("nan as text", changed(0, "nan"), "got nan"),
    ("nan at a step that is not checked", changed(0, math.nan, 0), "got nan"),
    ("inf", changed(1, math.inf), "got inf"),
    ("inf at a step that is not checked", changed(0, math.inf, 0), "got inf"),
    ("minus inf as text", changed(1, "-inf"), "got -inf"),
    ("an integer beyond doubles", changed(1, 10 ** 400), "got inf"),
    ("text", changed(0, "0.1"), "no number"),
    ("null", changed(0, None), "no number"),
    ("true", changed(3, False), "no number"),
    ("a value missing", {"name": "a", "w": [RIGHT[0], RIGHT[1][:3]]},
     "3 values given, 4 expected"),
    ("a value too many", {"name": "a", "w": [RIGHT[0], RIGHT[1] + [0.0]]},
     "5 values given, 4 expected"),
    ("a step missing", {"name": "a", "w": RIGHT[1:]}, "1 steps given"),
    ("a step too many", {"name": "a", "w": [*RIGHT, RIGHT[1]]},
     "3 steps given"),
    ("no steps", {"name": "a", "w": []}, "0 steps given"),
    ("empty steps", {"name": "a", "w": [[], []]}, "0 values given"),
    ("no w", {"name": "a"}, "no w"),
    ("w is a number", {"name": "a", "w": 3}, "no w"),
    ("an error", {"name": "a", "error": "boom"}, "boom"),
    ("no result", None, "no result"),
]


def self_test():
    wrong = []
    for what, result, expected in SELF_TEST:
        output = {"results": [result] if result else []}
        seen = judge_file("x", [CASE], output, "float32")
        case = seen["judged"][0]
        right = (case["verdict"] == "passed" if expected is None else
                 case["verdict"] == "failed" and expected in case["problem"])
        if not right or seen["passed"] + seen["failed"] != 1:
            wrong.append(f"{what}: {case['verdict']}, {case['problem']}")
    for pair in ((math.nan, math.nan), (math.inf, math.inf), (math.nan, 1.0)):
        if error_of(*pair) != math.inf:
            wrong.append(f"the error of {pair} was {error_of(*pair)}")
    nan_case = CASE | {"w": [[math.nan, 300.0, 0.125, 0.0]]}
    if suite.check_case(nan_case) is None:
        wrong.append("a case that expects nan was taken")
    nan = judge_case(nan_case, changed(0, math.nan), "float32")
    if nan["verdict"] != "failed":
        wrong.append("nan against nan passed")
    loose = CASE | {"tolerance": {"float64": 1e-12, "float32": None}}
    if judge_case(loose, changed(0, 9.0), "float32")["verdict"] != "unjudged":
        wrong.append("a case without tolerance was judged")
    skipped = {"name": "a", "unsupported": "why"}
    if judge_case(CASE, skipped, "float32")["verdict"] != "unsupported":
        wrong.append("unsupported was not taken as such")
    absent = judge_file("x", [CASE], None, "float32")
    if absent["failed"] != 1 or absent["worst_ratio"] != math.inf:
        wrong.append("a rule without a file was not a failure")
    for line in wrong:
        print(line)
    print(f"{len(SELF_TEST) + 8} results, {len(wrong)} judged wrongly")
    return 1 if wrong else 0


def main(words):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", metavar="CASES", type=pathlib.Path, nargs="?")
    parser.add_argument("out", metavar="OUT", type=pathlib.Path, nargs="?")
    parser.add_argument("--rule", action="append", help="of this rule alone; "
                        "may be given again")
    parser.add_argument("--dtype", choices=[*suite.DTYPES, "bfloat16-polar"],
                        help="the tolerance; default: by the dtype in OUT")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args(words)
    if arguments.self_test:
        return self_test()
    if not arguments.out:
        parser.error("give CASES and OUT")
    try:
        return judge(arguments)
    except suite.BadFile as error:
        print(f"judge.py: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
