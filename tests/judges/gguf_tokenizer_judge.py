#!/usr/bin/env python3
"""Judges the tokenizer that muonlab takes from a GGUF file.

  gguf_tokenizer_judge.py --muonlab build/muonlab --gguf MODEL.gguf TEXT_FILE...

Reads vocabulary and merges with a reader of its own, builds from them the
tokenizer of the Python package `tokenizers` with SmolLM's way of cutting text,
and compares the ids of each text and of nasty strings; then the same with the
tokenizer.json that `muonlab data prepare` writes, read by that package.

Exit code 0: equal; 1: the first difference is printed; 77: the file or the
package `tokenizers` is not there.
"""

import argparse
import pathlib
import struct
import subprocess
import sys
import tempfile

try:
    import tokenizers
    from tokenizers import models, pre_tokenizers
except ImportError:
    print("skipped: the Python package `tokenizers` is not installed")
    sys.exit(77)

SEPARATOR = "<|endoftext|>"
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?",
           10: "Q", 11: "q", 12: "d"}

NASTY = [
    "", " ", "a", "  5", "a  5", "a 5 b", "a\n\n5", "5  ", "1234567890",
    "12 345,678.90", "x1y22z333", "don't 5's we'LL I'll'd", "'s'5't",
    "\u00bd cup, x\u00b2 + y\u00b3", "\u0663\u0664\u0665 \u0967\u0968",
    "\u216b \u2460 \u4e00\u4e8c 3\u5e74", "\u00a0a\u00a0\u00a05 \u3000b\u2003 7",
    "tab\tsep\t\t9\t", "line\r\nline\r\n\r\n 4\r", "caf\u00e9 na\u00efve e\u0301",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 5\U0001f600 5",
    "<|im_start|> <repo_name>", "a" * 5000, " " * 300 + "7" + " " * 300 + "b",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u4f60\u597d",
    "\x00\x01\x02 \x7f", "..!!??--==  ==5", "under_score 5_000 __init__",
]


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, code):
        value = struct.unpack_from("<" + code, self.data, self.at)[0]
        self.at += struct.calcsize("<" + code)
        return value

    def string(self):
        size = self.number("Q")
        self.at += size
        return self.data[self.at - size:self.at].decode("utf-8")

    def value(self, kind):
        if kind == 8:
            return self.string()
        if kind == 9:
            element, count = self.number("I"), self.number("Q")
            return [self.value(element) for _ in range(count)]
        return self.number(SCALARS[kind])


def read_metadata(path):
    reader = Reader(path.read_bytes())
    assert reader.data[:4] == b"GGUF"
    reader.at = 4 + 4 + 8
    return {reader.string(): reader.value(reader.number("I"))
            for _ in range(reader.number("Q"))}


def build_judge(path):
    metadata = read_metadata(path)
    assert metadata["tokenizer.ggml.pre"] == "smollm"
    vocabulary = {token: id for id, token
                  in enumerate(metadata["tokenizer.ggml.tokens"])}
    merges = [tuple(merge.split(" ", 1))
              for merge in metadata["tokenizer.ggml.merges"]]
    judge = tokenizers.Tokenizer(models.BPE(vocabulary, merges))
    judge.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    return judge


def muonlab_ids(program, tokenizer, text):
    done = subprocess.run(
        [program, "tokenizer", "encode", "--tokenizer", tokenizer],
        input=text.encode("utf-8"), stdout=subprocess.PIPE, check=True)
    return [int(word) for word in done.stdout.split()]


def compare(name, judge, text, ours):
    """True when the judge gives the same ids."""
    theirs = judge.encode(text, add_special_tokens=False).ids
    if ours == theirs:
        return True
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b),
              min(len(ours), len(theirs)))
    print(f"{name}: id {at} differs: muonlab {ours[at:at + 8]}, tokenizers "
          f"{theirs[at:at + 8]}, after {judge.decode(theirs[max(0, at - 8):at])!r}")
    return False


def written_tokenizer(program, gguf, folder):
    """The tokenizer.json of a dataset made with the file's tokenizer."""
    (folder / "text.txt").write_text("Some text, 1 line.\n")
    subprocess.run(
        [program, "data", "prepare", folder / "text.txt", "--out", folder / "data",
         "--split", "windows", "--tokenizer", gguf],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return tokenizers.Tokenizer.from_file(str(folder / "data" / "tokenizer.json"))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=pathlib.Path, nargs="+")
    parser.add_argument("--muonlab", default="build/muonlab",
                        help="the program (default: %(default)s)")
    parser.add_argument("--gguf", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if not arguments.gguf.exists():
        print(f"skipped: {arguments.gguf} is not there; scripts/smollm fetches it")
        sys.exit(77)
    judge = build_judge(arguments.gguf)
    texts = [(repr(text[:40]), text) for text in NASTY]
    for path in arguments.texts:
        texts.append((path.name, path.read_bytes().decode("utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        written = written_tokenizer(arguments.muonlab, arguments.gguf,
                                    pathlib.Path(folder))
    compared = 0
    for name, text in texts:
        assert SEPARATOR not in text  # the package would find it in `written`
        ours = muonlab_ids(arguments.muonlab, arguments.gguf, text)
        if not (compare(name, judge, text, ours)
                and compare(f"{name}, tokenizer.json", written, text, ours)):
            sys.exit(1)
        compared += len(ours)
    print(f"{arguments.gguf}: {compared} ids equal in {len(texts)} texts")


if __name__ == "__main__":
    main()
