#!/usr/bin/env python3
"""Judges the muonlab program on the whole suite.

usage: muonlab_judge.py PROGRAM DTYPE
"""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CASES = HERE / "cases"


def main(program, dtype):
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([sys.executable, HERE / "muonlab_adapter.py", program,
                        CASES, out, "--dtype", dtype], check=True)
        judged = subprocess.run([sys.executable, HERE / "judge.py", CASES, out])
    return judged.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
