#!/usr/bin/env python3
"""The table of the docs from result files of versus.py.

usage: table.py FILE...

One row for each row that all files have; a ratio for each file.
"""

import json
import pathlib
import sys


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    runs = [json.loads(pathlib.Path(f).read_text()) for f in sys.argv[1:]]
    by_name = [{r["row"]: r for r in run["rows"]} for run in runs]
    heads = " | ".join(f"ratio, run {i + 1}" for i in range(len(runs)))
    print(f"| work | PyTorch | muonlab | {heads} |")
    print("|---|---:|---:|" + "---:|" * len(runs))
    for name, row in by_name[0].items():
        if any(name not in run for run in by_name):
            continue
        ratios = " | ".join(f"{run[name]['ratio']:.2f}" for run in by_name)
        print(
            f"| {name} | {row['peer_ms']:.1f} ms | {row['muonlab_ms']:.1f} ms "
            f"| {ratios} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
