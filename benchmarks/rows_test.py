#!/usr/bin/env python3
"""Every rule has a row in the benchmark, and each row runs.

usage: rows_test.py BENCHMARK MUONLAB
"""

import json
import subprocess
import sys


def output(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout


def main(benchmark, muonlab):
    rows = output(benchmark, "--benchmark_list_tests").split()
    rules = [rule["name"] for rule in
             json.loads(output(muonlab, "optim", "list", "--json"))["rules"]]
    missing = [rule for rule in rules if f"step/{rule}" not in rows]
    if missing:
        sys.exit(f"rules without a row: {', '.join(missing)}")
    ran = json.loads(output(benchmark, "--benchmark_min_time=0.0001",
                            "--benchmark_format=json"))["benchmarks"]
    wrong = [row["name"] for row in ran if row.get("error_occurred")]
    if wrong or len(ran) < len(rules):
        sys.exit(f"{len(ran)} rows ran, with errors: {', '.join(wrong)}")
    print(f"{len(ran)} rows, {len(rules)} rules")


if __name__ == "__main__":
    main(*sys.argv[1:])
