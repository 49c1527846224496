#!/usr/bin/env python3
"""Installs the build, checks what was installed, and uses it alone.

usage: install_test.py --build FOLDER --work FOLDER [--torch-dir FOLDER]
                       [--torch-path FOLDER]

The package is moved after the installation, so that nothing may depend on where
it was put; then a copy of examples/ is built against it, with nothing of the
source tree in reach, and its tests run. --torch-dir and --torch-path are what
the build knew as Torch_DIR and MUONLAB_TORCH_PATH.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
PROBE = """cmake_minimum_required(VERSION 3.25)
project(probe LANGUAGES CXX)
find_package(muonlab ${WANTED} REQUIRED)
"""

problems = []


def check(good, problem):
    if not good:
        problems.append(problem)
        print(f"WRONG: {problem}")


def run(command, fails=False, **kwargs):
    """Runs a command and returns its output; stops unless it ends as it should."""
    print("$", " ".join(map(str, command)), flush=True)
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **kwargs)
    if (done.returncode != 0) != fails:
        print(done.stdout)
        sys.exit(f"exit code {done.returncode}, expected {'an error' if fails else 0}")
    return done.stdout


def check_cmake_files(package, forbidden):
    """The CMake files name no folder of the build, and no flag of ours."""
    files = sorted(package.glob("*.cmake"))
    names = {file.name for file in files}
    for name in ("muonlabConfig.cmake", "muonlabConfigVersion.cmake", "muonlabTargets.cmake"):
        check(name in names, f"{name} is not installed")
    for file in files:
        text = file.read_text(encoding="utf-8")
        for path in forbidden:
            check(str(path) not in text, f"{file.name} holds the path {path}")
        for flag in ("-Wall", "-Wconversion", "cmake_pch", "fpch-preprocess", "sanitize"):
            check(flag not in text, f"{file.name} holds {flag}")
    print(f"{len(files)} CMake files, none holds a path of the build")


def check_headers(include):
    """Every header that an installed header includes is installed too."""
    headers = sorted(include.rglob("*.h"))
    check(headers, "no header is installed")
    for header in headers:
        for name in INCLUDE.findall(header.read_text(encoding="utf-8")):
            where = f"{header.relative_to(include)} includes {name}"
            check(name != "torch/torch.h", where)
            if name.startswith(("muonlab/", "tools/", "tests/")):
                check((include / name).is_file(), f"{where}, which is not installed")
    print(f"{len(headers)} headers, all that they include is there")


def check_symbols(library):
    """What one archive calls in muonlab, another one defines."""
    archives = sorted(library.glob("libmuonlab_*.a"))
    check(archives, "no library is installed")
    defined, needed = set(), set()
    for archive in archives:
        out = subprocess.run(["nm", "--format=posix", archive], text=True,
                             capture_output=True, check=True).stdout
        for line in out.splitlines():
            name, _, kind = line.partition(" ")
            if re.match(r"_Z(T[VIS])?N?K?7muonlab", name):
                (needed if kind[:1] == "U" else defined).add(name)
    for name in sorted(needed - defined):
        check(False, f"no installed library defines {name}")
    print(f"{len(archives)} libraries, {len(needed)} symbols needed and defined")


def check_program(program):
    """The program runs from where it is, and finds LibTorch by itself."""
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    out = run([program, "optim", "list"], env=environment)
    check("muonw" in out, "muonlab optim list does not list muonw")


def check_find_package(work, prefix, torch):
    """A missing LibTorch and a wrong version are said clearly; CUDA configures."""
    probe = work / "probe"
    probe.mkdir()
    (probe / "CMakeLists.txt").write_text(PROBE, encoding="utf-8")

    def configure(name, wanted, *options):
        return ["cmake", "-G", "Ninja", "-S", probe, "-B", work / name,
                f"-DWANTED={wanted}", f"-DCMAKE_PREFIX_PATH={prefix}", *options]

    out = run(configure("probe-no-torch", "0.1", "-DCMAKE_DISABLE_FIND_PACKAGE_Torch=ON"),
              fails=True)
    check("torch.utils.cmake_prefix_path" in out, "a missing LibTorch is not explained")
    out = run(configure("probe-version", "0.2", *torch), fails=True)
    check("0.2" in out, "the wrong version is not named")
    # A CUDA build is known by this file; its TorchConfig is not asked.
    cuda = work / "cuda"
    (cuda / "lib").mkdir(parents=True)
    (cuda / "lib" / "libtorch_cuda.so").touch()
    out = run(configure("probe-cuda", "0.1", f"-DMUONLAB_TORCH_PATH={cuda}"))
    check("CUDA build" in out, "a CUDA build of LibTorch is not recognised")


def check_examples(work, prefix, torch):
    copy, build = work / "examples", work / "examples-build"
    shutil.copytree(SOURCE / "examples", copy)
    run(["cmake", "-G", "Ninja", "-S", copy, "-B", build, "-DCMAKE_BUILD_TYPE=Release",
         "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", f"-DCMAKE_PREFIX_PATH={prefix}",
         f"-DMUONLAB_FASHION_MNIST={SOURCE / 'data/fashion-mnist'}", *torch])
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        words = entry["command"].split()
        check(str(SOURCE) not in words, f"{entry['file']} is compiled with the source tree")
        check("-Wall" not in words and "cmake_pch" not in entry["command"],
              f"{entry['file']} is compiled with our flags")
    run(["cmake", "--build", build, "--parallel", "1"])
    print(run(["ctest", "--test-dir", build, "--output-on-failure", "--no-tests=error"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--torch-dir", default="")
    parser.add_argument("--torch-path", default="")
    options = parser.parse_args()

    torch = []
    if options.torch_dir and not options.torch_dir.endswith("NOTFOUND"):
        torch.append(f"-DTorch_DIR={options.torch_dir}")
    elif options.torch_path:
        torch.append(f"-DMUONLAB_TORCH_PATH={options.torch_path}")

    work = options.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    first, prefix = work / "first", work / "moved"
    run(["cmake", "--install", options.build, "--prefix", first])
    first.rename(prefix)

    packages = [file.parent for file in prefix.rglob("muonlabConfig.cmake")]
    check(len(packages) == 1, f"muonlabConfig.cmake is installed {len(packages)} times")
    if not packages:
        return 1
    folders = [SOURCE, options.build.resolve(), first, prefix]
    folders += [path for path in (options.torch_dir, options.torch_path) if path]
    check_cmake_files(packages[0], folders)
    check_headers(prefix / "include")
    check_symbols(packages[0].parent.parent)
    if (options.build / "tools").is_dir():
        check_program(prefix / "bin" / "muonlab")
    check_find_package(work, prefix, torch)
    check_examples(work, prefix, torch)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
