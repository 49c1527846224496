#!/usr/bin/env python3
"""Judges muonlab's tokenizers by the Python package `tokenizers`.

  tokenizer_judge.py --muonlab build/muonlab FOLDER TEXT_FILE...
      loads FOLDER/tokenizer.json and compares the ids of each text with those
      of `muonlab tokenizer encode`
  tokenizer_judge.py --muonlab build/muonlab --train FOLDER TEXT_FILE...
      also trains a BPE of the same size with both programs on these files and
      compares the merges

Exit code 0: equal; 1: the first difference is printed; 77: the package
`tokenizers` is not installed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import tokenizers
except ImportError:
    print("skipped: the Python package `tokenizers` is not installed")
    sys.exit(77)

SEPARATOR = "<|endoftext|>"


def read_text(path):
    """The file as text, or None when it is not UTF-8: `tokenizers` takes text
    only."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None


def muonlab_ids(program, tokenizer, text):
    done = subprocess.run(
        [program, "tokenizer", "encode", "--tokenizer", tokenizer],
        input=text.encode("utf-8"), stdout=subprocess.PIPE, check=True)
    return [int(word) for word in done.stdout.split()]


def compare_ids(program, path, texts):
    """True when every text has the same ids in both programs."""
    judge = tokenizers.Tokenizer.from_file(str(path))
    compared = 0
    for name, text in texts:
        # In muonlab text is text; the package would find the separator in it.
        if SEPARATOR in text:
            print(f"{name}: left out, it contains {SEPARATOR}")
            continue
        ours = muonlab_ids(program, path, text)
        theirs = judge.encode(text, add_special_tokens=False).ids
        if ours != theirs:
            shorter = min(len(ours), len(theirs))
            at = next((i for i in range(shorter) if ours[i] != theirs[i]),
                      shorter)
            print(f"{name}: id {at} differs: muonlab {ours[at:at + 8]}, "
                  f"tokenizers {theirs[at:at + 8]}, after "
                  f"{judge.decode(theirs[max(0, at - 8):at])!r}")
            return False
        if judge.decode(theirs) != text:
            print(f"{name}: the package does not decode its ids to the text")
            return False
        compared += len(ours)
    print(f"{path}: {compared} ids equal in {len(texts)} texts")
    return True


def merge_pairs(path):
    """Merges of a tokenizer.json as pairs, whichever way they are written."""
    model = json.loads(pathlib.Path(path).read_text("utf-8"))["model"]
    return [tuple(m.split(" ")) if isinstance(m, str) else tuple(m)
            for m in model["merges"]]


def train_judge(texts, vocabulary, path):
    byte_level = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=True)
    judge = tokenizers.Tokenizer(tokenizers.models.BPE())
    judge.pre_tokenizer = byte_level
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[SEPARATOR],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False)
    judge.train_from_iterator((text for _, text in texts), trainer)
    judge.save(str(path))


def compare_training(program, vocabulary, texts):
    """True when both trainers find the same merges in the same order."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        corpus = folder / "corpus.jsonl"
        with corpus.open("w", encoding="utf-8") as out:
            for _, text in texts:
                out.write(json.dumps({"text": text}) + "\n")
        ours = folder / "ours.json"
        subprocess.run(
            [program, "tokenizer", "train", corpus, "--vocabulary",
             str(vocabulary), "--out", ours],
            stdout=subprocess.DEVNULL, check=True)
        theirs = folder / "theirs.json"
        train_judge(texts, vocabulary, theirs)
        our_merges = merge_pairs(ours)
        their_merges = merge_pairs(theirs)
    for i, (a, b) in enumerate(zip(our_merges, their_merges)):
        if a != b:
            print(f"merge {i} differs: muonlab {a}, tokenizers {b}")
            return False
    if len(our_merges) != len(their_merges):
        print(f"number of merges: muonlab {len(our_merges)}, "
              f"tokenizers {len(their_merges)}")
        return False
    print(f"{len(our_merges)} merges equal at vocabulary {vocabulary}")
    return True


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path,
                        help="folder with tokenizer.json")
    parser.add_argument("texts", type=pathlib.Path, nargs="+")
    parser.add_argument("--muonlab", default="build/muonlab",
                        help="the program (default: %(default)s)")
    parser.add_argument("--train", action="store_true",
                        help="compare training too")
    arguments = parser.parse_args()

    texts = []
    for path in arguments.texts:
        text = read_text(path)
        if text is None:
            print(f"{path}: left out, it is not UTF-8")
        else:
            texts.append((path.name, text))
    if not texts:
        sys.exit("no text to compare")
    path = arguments.folder / "tokenizer.json"
    equal = compare_ids(arguments.muonlab, path, texts)
    if equal and arguments.train:
        size = tokenizers.Tokenizer.from_file(str(path)).get_vocab_size()
        equal = compare_training(arguments.muonlab, size, texts)
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
