"""The built program, run as a user runs it, and data small enough for tests."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMOKE = ROOT / "configs" / "smoke.toml"
TIMEOUT = 240  # seconds; a hang, not a slow machine

MUONLAB = None  # path of the built program, set by main()

# A run of a second or two; its data come by data.path.
RUN = """
[model]
context = 32
width = 32
layers = 2
heads = 2
hidden = 64
[train]
steps = 8
batch = 4
[eval]
windows = 16
"""


def main():
    """Runs the calling module's tests: FILE PROGRAM [unittest's arguments]."""
    global MUONLAB
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(f"usage: {sys.argv[0]} PROGRAM [unittest's arguments]")
    # The test module holds this one under its own name, not as __main__.
    MUONLAB = str(pathlib.Path(sys.argv[1]).resolve())
    unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[2:]])


def run(*arguments, cwd=None, env=None):
    """Runs the program to its end: (exit code, stdout, stderr)."""
    done = subprocess.run(
        [MUONLAB, *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
        errors="replace", timeout=TIMEOUT, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout, done.stderr


def start(*arguments, cwd=None):
    """Starts the program and leaves it running."""
    return subprocess.Popen(
        [MUONLAB, *map(str, arguments)], cwd=cwd, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def write_corpus(folder, documents=150, seed=1):
    """Documents of made-up sentences: English-like letters, spaces, lines."""
    source = random.Random(seed)
    words = ["".join(source.choice("etaoinshrdlu") for _ in range(length))
             for length in (1, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7, 8) for _ in range(12)]
    folder.mkdir(parents=True)
    for number in range(documents):
        text = " ".join(source.choice(words) for _ in range(80))
        (folder / f"{number:04}.txt").write_text(f"Speech {number}. {text}.\n")
    return folder


class Case(unittest.TestCase):
    """A test with a folder of its own; the class shares corpus and data."""

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="muonlab-cli-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.corpus = write_corpus(cls.shared / "corpus")
        cls.data = cls.shared / "data"
        code, _, errors = run("data", "prepare", cls.corpus, "--out", cls.data,
                              "--tokenizer", "bytes", "--held-out", "0.3")
        assert code == 0, errors
        cls.config = cls.shared / "run.toml"
        cls.config.write_text(f'[data]\npath = "{cls.data}"\n{RUN}')

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="muonlab-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def expect(self, code, *arguments, cwd=None, env=None):
        """Runs the program, which must end with `code`: (stdout, stderr)."""
        actual, output, errors = run(*arguments, cwd=cwd, env=env)
        self.assertEqual(actual, code, f"{arguments}\n{output}\n{errors}")
        self.assertNotIn("internal fault", errors)
        return output, errors

    def expect_error(self, code, words, *arguments, cwd=None, env=None):
        """An error: its code, `muonlab: error:` first of one line, the words."""
        output, errors = self.expect(code, *arguments, cwd=cwd, env=env)
        last = [line for line in errors.splitlines()
                if line.startswith("muonlab: error: ")]
        self.assertEqual(len(last), 1, errors)
        text = errors[errors.index("muonlab: error: "):]
        for word in words:
            self.assertIn(str(word), text)
        return output, errors

    def train(self, out, *settings, code=0):
        arguments = ["train", self.config, "--out", out, "--quiet"]
        for setting in settings:
            arguments += ["--set", setting]
        return self.expect(code, *arguments)


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def metrics(folder):
    """The lines of a run's metrics.jsonl; each must be whole."""
    return [json.loads(line)
            for line in (folder / "metrics.jsonl").read_text().splitlines()]
