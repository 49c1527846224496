#!/usr/bin/env python3
"""Fails on weak symbols in the object files of the kernels' levels.

usage: weak_symbols_test.py [--nm NM] OBJECT:OBJECT:...
       weak_symbols_test.py [--nm NM] --self-test COMPILER

An inline function that two files share is a weak symbol in both, and the linker
keeps one for all callers: maybe the one built for AVX-512, which then runs on a
machine without it. Objects outside the levels' folders may hold them. The
self-test compiles a file with such a function and one without.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

LEVELS = ("scalar", "avx2", "avx512", "avx512_bf16")
WEAK = "WwVvu"  # weak, weak object, and GNU's unique
NOTHING_TO_TEST = 77

WRONG = """
inline int shared(int x) { return x + 1; }
int (*table)(int) = shared;
"""
RIGHT = """
namespace {
inline int own(int x) { return x + 1; }
}
int (*table)(int) = own;
"""


def weak_symbols(nm, path):
    out = subprocess.run([nm, "--demangle", path], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    lines = [line.split(maxsplit=2) for line in out.splitlines()]
    # An undefined symbol's line has no address.
    pairs = [parts[-2:] if len(parts) == 3 else (parts[0], " ".join(parts[1:]))
             for parts in lines]
    return [name for kind, name in pairs if len(kind) == 1 and kind in WEAK]


def problems_of(nm, paths):
    return [f"{path}: weak symbol {name}: use the unnamed namespace"
            for path in paths for name in weak_symbols(nm, path)]


def self_test(nm, compiler):
    with tempfile.TemporaryDirectory() as folder:
        for text, expected in ((WRONG, True), (RIGHT, False)):
            source = pathlib.Path(folder, "x.cpp")
            source.write_text(text, encoding="utf-8")
            target = source.with_suffix(".o")
            subprocess.run([compiler, "-c", source, "-o", target], check=True)
            found = problems_of(nm, [target])
            if bool(found) != expected:
                sys.exit(f"expected {'some' if expected else 'no'} problem in:"
                         f"{text}got {found}")
    print("a shared inline function is found, an own one is allowed")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--self-test", metavar="COMPILER")
    parser.add_argument("objects", nargs="?", default="")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test(arguments.nm, arguments.self_test)
    paths = [pathlib.Path(path) for path in arguments.objects.split(":") if path]
    paths = [path for path in paths if path.parent.name in LEVELS]
    if not paths:
        print("no object of a level was given")
        return NOTHING_TO_TEST
    problems = problems_of(arguments.nm, paths)
    print("\n".join(problems) or f"{len(paths)} objects, no weak symbol")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
