#!/usr/bin/env python3
"""Runs muonlab on the conformance cases.

  muonlab_adapter.py build/release/tools/muonlab/muonlab CASES OUT

Sends each file's cases to `muonlab optim replay -` as one JSON list, or one
process a case with --single, and writes OUT/NAME.json for judge.py. A case
that muonlab refuses is an error, which the judge counts as a failure.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import suite

TIMEOUT = 300  # seconds; a hang, not a slow machine


def request(case, dtype):
    options = case["options"]
    if "q0" in case:
        options = options | {"q0": case["q0"]}
    return {"rule": case["rule"], "options": options, "dtype": dtype,
            "shape": case["shape"], "w0": case["w0"],
            "gradients": case["gradients"]}


def replay(program, content):
    """The answer, or a text that says why there is none."""
    try:
        done = subprocess.run(
            [program, "optim", "replay", "-"], input=json.dumps(content),
            capture_output=True, text=True, timeout=TIMEOUT)
    except OSError as error:
        sys.exit(f"muonlab_adapter.py: error: {program}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return f"no answer in {TIMEOUT} s"
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return f"exit code {done.returncode}: {lines[0]}"
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        return f"the answer is not JSON: {error}"


def one(case, answer):
    if isinstance(answer, dict) and "w" in answer:
        return {"name": case["name"], "w": answer["w"]}
    reason = answer if isinstance(answer, str) else "no w in the answer"
    if isinstance(answer, dict):
        reason = str(answer.get("error", reason))
    return {"name": case["name"], "error": reason}


def run(program, cases, dtype, single):
    """The cases' results. A list that fails is sent again, case by case, so
    that one case's fault is told from the others'."""
    if not single and len(cases) > 1:
        answers = replay(program, [request(case, dtype) for case in cases])
        if isinstance(answers, list) and len(answers) == len(cases):
            return [one(*pair) for pair in zip(cases, answers, strict=True)]
    return [one(case, replay(program, request(case, dtype))) for case in cases]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("muonlab", metavar="PROGRAM")
    parser.add_argument("cases", metavar="CASES", type=pathlib.Path)
    parser.add_argument("out", metavar="OUT", type=pathlib.Path)
    parser.add_argument("--dtype", choices=suite.DTYPES, default="float64")
    parser.add_argument("--rule", action="append")
    parser.add_argument("--single", action="store_true")
    arguments = parser.parse_args()
    try:
        cases = suite.read_cases(arguments.cases, arguments.rule)
    except suite.BadFile as error:
        sys.exit(f"muonlab_adapter.py: error: {error}")
    for name, of_file in cases.items():
        results = run(arguments.muonlab, of_file, arguments.dtype,
                      arguments.single)
        suite.write_outputs(arguments.out, name, "muonlab", arguments.dtype,
                            results)
        done = sum("w" in result for result in results)
        print(f"{name}: {done} of {len(results)} cases run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
