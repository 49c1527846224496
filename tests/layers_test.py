#!/usr/bin/env python3
"""Reads the sources and fails on what the layers forbid.

usage: layers_test.py [--self-test] [FOLDER]

FOLDER is the project's root (default: the folder above this file). With
--self-test it writes small wrong trees and fails unless each is caught.
"""

import pathlib
import re
import sys
import tempfile

# LAYER: the layers right below it. Who may include whom follows by going down
# any number of arrows; docs/architecture.md draws them.
BELOW = {
    "core": [],
    "kernels": ["core"],
    "formats": ["core"],
    "statistics": ["core"],
    "linalg": ["kernels", "formats"],
    "data": ["core", "formats"],
    "optim": ["linalg"],
    "nn": ["linalg"],
    "dist": ["optim"],
    "train": ["dist", "optim", "data", "nn"],
    "study": ["train", "statistics"],
    "tools": ["study"],
}
WITHOUT_TORCH = {"core", "kernels", "formats", "statistics", "data"}
DATA_POINTERS = "muonlab/linalg/tensor_view."  # the only home of data_ptr
LONGEST = 800  # lines

TORCH = re.compile(r"(torch|ATen|c10|caffe2)/")
C10D = re.compile(r"torch/csrc/distributed/|c10d")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
DATA_PTR = re.compile(r"\b(?:mutable_|const_)?data_ptr\b")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def reachable(layer):
    """The layer itself and all that lie below it."""
    found = {layer}
    for below in BELOW[layer]:
        found |= reachable(below)
    return found


def layer_of(path):
    """The layer of a file or of an include: muonlab/optim/muon.h is optim."""
    top, _, rest = path.partition("/")
    return rest.split("/")[0] if top == "muonlab" and "/" in rest else top


def problems_of_include(path, name, quoted, folder):
    layer, target = layer_of(path), layer_of(name)
    header = path.endswith(".h")
    if name == "torch/torch.h" and header:
        yield "includes torch/torch.h in a header: take ATen/core/Tensor.h"
    if TORCH.match(name) and layer in WITHOUT_TORCH:
        yield f"includes {name}, and {layer} must not see LibTorch"
    if C10D.match(name) and layer not in ("dist", "tests"):
        yield f"includes {name}, and only dist may include c10d"
    if quoted and (folder / path).parent.joinpath(name).is_file():
        yield f'includes "{name}": write the path from the root'
    if name.startswith("muonlab/") and target not in BELOW:
        yield f"includes {name}, and {target} is not a layer"
    elif name.startswith("tests/") and layer != "tests":
        yield f"includes {name}, and only tests may include tests"
    elif name.startswith(("muonlab/", "tools/")):
        if path.startswith("tests/reference/"):
            allowed = {"core"}
        elif layer == "tests":
            allowed = set(BELOW)
        else:
            allowed = reachable(layer)
        if target not in allowed:
            yield f"includes {name}, and {layer} may not include {target}"


def problems_of_file(path, text, folder):
    layer = layer_of(path)
    if layer not in BELOW and layer != "tests":
        yield f"lies in {layer}, which is not a layer"
        return
    code = COMMENT.sub("", text)
    for mark, name in INCLUDE.findall(code):
        yield from problems_of_include(path, name, mark == '"', folder)
    if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield "has no #pragma once"
    if layer != "tests" and not path.startswith(DATA_POINTERS):
        if DATA_PTR.search(code):
            yield f"uses data_ptr, and only {DATA_POINTERS}* may"
    lines = text.count("\n")
    if lines > LONGEST:
        yield f"has {lines} lines, and {LONGEST} is the end"


def sources(folder):
    for top in ("muonlab", "tools", "tests"):
        for file in sorted((folder / top).rglob("*")):
            if file.suffix in (".h", ".cpp") and file.is_file():
                yield file.relative_to(folder).as_posix(), file.read_text(encoding="utf-8")


def check(folder):
    """All problems as lines of text, and the lines of each layer's files."""
    problems, sizes = [], {}
    for path, text in sources(folder):
        problems += [f"{path}: {p}" for p in problems_of_file(path, text, folder)]
        sizes.setdefault(layer_of(path), []).append((text.count("\n"), path))
    return problems, sizes


def report(sizes):
    print(f"{'layer':10} {'files':>5} {'lines':>6}  longest file")
    for layer in [*BELOW, "tests"]:
        if layer in sizes:
            longest, path = max(sizes[layer])
            total = sum(size for size, _ in sizes[layer])
            print(f"{layer:10} {len(sizes[layer]):5} {total:6}  {longest:4} {path}")


# PATH, TEXT, and a part of the one problem that must be found (None: no problem).
SELF_TEST = [
    ("muonlab/core/a.h", "#pragma once\n#include <vector>\n", None),
    ("muonlab/optim/a.cpp", '#include "muonlab/core/a.h"\n', None),
    ("muonlab/optim/a.cpp", '#include "muonlab/formats/json.h"\n', None),
    ("muonlab/study/a.cpp", '#include "muonlab/kernels/a.h"\n', None),
    ("muonlab/study/a.cpp", '#include "muonlab/statistics/a.h"\n', None),
    ("muonlab/statistics/a.cpp", '#include "muonlab/formats/a.h"\n', "statistics may not include formats"),
    ("tools/muonlab/a.cpp", '#include "tools/muonlab/verb.h"\n', None),
    ("tests/nn/a_test.cpp", '#include "tests/support/near.h"\n', None),
    ("tests/nn/a_test.cpp", "auto* p = tensor.data_ptr();\n", None),
    ("muonlab/core/a.cpp", '// #include "muonlab/optim/a.h"\n', None),
    ("muonlab/linalg/tensor_view.cpp", "t.data_ptr<float>();\n", None),
    ("muonlab/dist/a.cpp", "#include <torch/csrc/distributed/c10d/Store.hpp>\n", None),
    ("muonlab/core/a.cpp", '#include "muonlab/optim/a.h"\n', "core may not include optim"),
    ("muonlab/core/a.cpp", "#  include <muonlab/study/a.h>\n", "core may not include study"),
    ("muonlab/optim/a.cpp", '#include "muonlab/nn/a.h"\n', "optim may not include nn"),
    ("muonlab/optim/a.cpp", '#include "muonlab/dist/a.h"\n', "optim may not include dist"),
    ("muonlab/nn/a.cpp", '#include "muonlab/optim/a.h"\n', "nn may not include optim"),
    ("muonlab/data/a.cpp", '#include "muonlab/train/a.h"\n', "data may not include train"),
    ("muonlab/study/a.cpp", '#include "tools/muonlab/verb.h"\n', "study may not include tools"),
    ("muonlab/optim/a.cpp", '#include "tests/support/near.h"\n', "only tests may include tests"),
    ("tests/reference/a.h", '#pragma once\n#include "muonlab/optim/a.h"\n', "tests may not include optim"),
    ("muonlab/core/a.cpp", '#include "muonlab/cor/a.h"\n', "cor is not a layer"),
    ("muonlab/misc/a.cpp", "int a;\n", "misc, which is not a layer"),
    ("muonlab/core/a.cpp", "#include <ATen/core/Tensor.h>\n", "core must not see LibTorch"),
    ("muonlab/formats/a.cpp", "#include <c10/util/Half.h>\n", "formats must not see LibTorch"),
    ("muonlab/optim/a.h", "#pragma once\n#include <torch/torch.h>\n", "torch/torch.h in a header"),
    ("muonlab/train/a.cpp", "#include <torch/csrc/distributed/c10d/Store.hpp>\n", "only dist"),
    ("muonlab/optim/a.cpp", "float* p = t.mutable_data_ptr<float>();\n", "uses data_ptr"),
    ("muonlab/core/a.h", "int a();\n", "no #pragma once"),
    ("muonlab/core/a.cpp", "\n" * 801, "has 801 lines"),
    ("muonlab/core/a.cpp", '#include "a.cpp"\n', "path from the root"),
]


def self_test():
    wrong = []
    for path, text, expected in SELF_TEST:
        with tempfile.TemporaryDirectory() as name:
            file = pathlib.Path(name, path)
            file.parent.mkdir(parents=True)
            file.write_text(text, encoding="utf-8")
            found, _ = check(pathlib.Path(name))
        right = len(found) == 1 and expected in found[0] if expected else not found
        if not right:
            wrong.append(f"{path}: {text[:60]!r}: expected {expected}, found {found}")
    print(f"{len(SELF_TEST)} small trees, {len(wrong)} judged wrongly")
    return wrong


def main(arguments):
    if "--self-test" in arguments:
        problems = self_test()
    else:
        root = arguments[0] if arguments else pathlib.Path(__file__).parent.parent
        problems, sizes = check(pathlib.Path(root).resolve())
        if not sizes:
            problems.append(f"no sources under {root}")
        report(sizes)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
