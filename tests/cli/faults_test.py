"""Damaged data and places that cannot be written: each a clear error with exit
code 4, and nothing that was saved before is lost."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import program
from program import Case, metrics, summary


def fingerprints(folder):
    """SHA-256 of every file below a folder, locks left out."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != ".lock"}


class DamagedDataTest(Case):
    def setUp(self):
        super().setUp()
        self.copy = self.folder / "data"
        shutil.copytree(self.data, self.copy)
        self.shard = self.copy / "train_000000.bin"

    def refuse(self, *words):
        for verb in (["train", self.config, "--set", f"data.path={self.copy}",
                      "--out", self.folder / "run"],
                     ["data", "inspect", self.copy],
                     ["study", "run", program.SMOKE, "--set",
                      f"data.path={self.copy}", "--runs", self.folder / "runs",
                      "--studies", self.folder / "studies"]):
            self.expect_error(4, [*words, "hint: "], *verb)
        self.assertFalse((self.folder / "run").exists())

    def change(self, offset, value):
        content = bytearray(self.shard.read_bytes())
        content[offset] ^= value
        self.shard.write_bytes(content)

    def test_a_missing_folder(self):
        shutil.rmtree(self.copy)
        self.refuse(self.copy, "has no dataset.json", "data prepare")

    def test_a_folder_that_is_no_dataset(self):
        (self.copy / "dataset.json").unlink()
        self.refuse(self.copy, "has no dataset.json", "data prepare")

    def test_a_missing_shard(self):
        self.shard.unlink()
        self.refuse(self.shard, "No such file")

    def test_a_flipped_byte_that_leaves_a_valid_token(self):
        self.change(1024 + 200, 1)
        self.refuse(self.shard, "sha256")

    def test_a_flipped_byte_that_gives_an_unknown_token(self):
        self.change(1024 + 201, 0x40)
        self.refuse(self.shard, "byte 1224", "token id")

    def test_wrong_magic(self):
        self.change(0, 0xFF)
        self.refuse(self.shard, "byte 0:", "magic")

    def test_a_shard_that_is_cut_short(self):
        whole = self.shard.read_bytes()
        self.shard.write_bytes(whole[:-100])
        self.refuse(self.shard, f"byte {len(whole) - 100}:")
        self.shard.write_bytes(whole[:500])
        self.refuse(self.shard, "byte 500:")
        self.shard.write_bytes(b"")
        self.refuse(self.shard, "byte 0:")

    def test_a_damaged_sidecar(self):
        sidecar = self.copy / "dataset.json"
        text = sidecar.read_text()
        sidecar.write_text(text[:len(text) // 2])
        self.refuse(sidecar)
        info = json.loads(text)
        info["splits"]["train"]["n_documents"] += 1
        sidecar.write_text(json.dumps(info))
        self.refuse(sidecar, "hash")

    def test_a_damaged_tokenizer(self):
        tokenizer = self.copy / "tokenizer.json"
        tokenizer.write_bytes(tokenizer.read_bytes()[:50])
        self.refuse(tokenizer)


class DamagedRunTest(Case):
    def test_damaged_run_folders_are_named(self):
        run = self.folder / "run"
        self.train(run)
        weights = (run / "model.safetensors").read_bytes()
        (run / "model.safetensors").write_bytes(weights[:-11])
        for verb in ("eval", "sample"):
            self.expect_error(4, [run / "model.safetensors"], verb, run)
        (run / "model.safetensors").unlink()
        self.expect_error(4, [run / "model.safetensors", "No such file"], "eval", run)
        (run / "model.safetensors").write_bytes(weights)
        self.expect(0, "eval", run)
        (run / "summary.json").write_text('{"schema": 1}')
        self.expect_error(4, [run / "summary.json", "hint: "], "train",
                          self.config, "--out", run)
        (run / "config.toml").write_text("[model]\nwidht = 3\n")
        self.expect_error(3, ["config.toml:2", "model.widht", "'model.width'"],
                          "eval", run)


class Mount:
    """A small tmpfs; `skip` says why there is none."""

    def __init__(self, folder, size):
        self.folder = folder
        folder.mkdir()
        self.skip = None
        if sys.platform != "linux" or os.geteuid() != 0:
            self.skip = "mounting a file system needs root"
        elif not self._mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
            self.skip = "this machine does not let root mount a tmpfs"

    def _mount(self, *arguments):
        return subprocess.run(["mount", *arguments, str(self.folder)],
                              capture_output=True, check=False).returncode == 0

    def read_only(self):
        assert self._mount("-o", "remount,ro")

    def resize(self, size):
        assert self._mount("-o", f"remount,size={size}")

    def end(self):
        if self.skip is None:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


PLAN = """
[study]
name = "small"
title = "Two arms, a few steps"
baseline = "adamw"
final_seeds = [1, 2]
extensions = 0
jobs = 2
timing_steps = 0
[[study.arms]]
name = "adamw"
rule = "adamw"
joint = [2e-3, 8e-3]
[[study.arms]]
name = "muon"
rule = "muon"
hidden = [2e-2]
auxiliary = [8e-3]
"""


class PlaceTest(Case):
    SIZE = "1m"

    def setUp(self):
        super().setUp()
        self.mount = Mount(self.folder / "place", self.SIZE)
        self.addCleanup(self.mount.end)
        if self.mount.skip:
            self.skipTest(self.mount.skip)
        self.place = self.folder / "place"
        self.saved = self.place / "saved"
        self.train(self.saved)
        self.before = fingerprints(self.saved)

    def study(self, code, *words):
        plan = self.folder / "plan.toml"
        plan.write_text(PLAN + self.config.read_text())
        arguments = ["study", "run", plan, "--runs", self.place / "runs",
                     "--studies", self.folder / "studies"]
        if code == 0:
            return self.expect(0, *arguments)
        return self.expect_error(code, words, *arguments)

    def expect_saved_is_whole(self):
        self.assertEqual(fingerprints(self.saved), self.before)
        loss = json.loads(self.expect(0, "eval", self.saved, "--json")[0])["val_loss"]
        self.assertEqual(loss, summary(self.saved)["val_loss"])
        self.expect(0, "sample", self.saved, "--tokens", "5")

    def fill(self, leave):
        """Takes all space of the place but `leave` bytes."""
        free = os.statvfs(self.place)
        size = free.f_bavail * free.f_bsize - leave
        (self.place / "filler").write_bytes(bytes(size))


class ReadOnlyTest(PlaceTest):
    def test_a_read_only_place_is_named_and_still_readable(self):
        self.mount.read_only()
        for out in (self.place / "new", self.saved):
            self.expect_error(4, [out, "Read-only file system", "--out"], "train",
                              self.config, "--set", "train.seed=2", "--out", out)
        self.expect_error(4, [self.place, "Read-only file system"], "train",
                          self.config, "--out", self.saved, "--force")
        self.expect_error(4, [self.place, "Read-only file system"], "data",
                          "prepare", self.corpus, "--out", self.place / "data",
                          "--tokenizer", "bytes")
        self.study(4, self.place / "runs", "Read-only file system")
        self.expect_saved_is_whole()


class FullDiskTest(PlaceTest):
    def test_a_run_that_meets_a_full_disk(self):
        new = self.place / "new"
        arguments = ["train", self.config, "--set", "train.seed=2", "--out", new]
        # From no room at all to room for everything but the weights.
        for leave in (0, 8192, 65536):
            with self.subTest(leave=leave):
                self.fill(leave)
                self.expect_error(4, [self.place, "No space left", "hint: ",
                                      "free some space"], *arguments)
                self.assertFalse((new / "summary.json").exists())
                self.assertFalse((new / "model.safetensors").exists())
                self.assertEqual(list(new.glob("*.tmp.*")), [])
                self.expect_saved_is_whole()
                (self.place / "filler").unlink()
        self.expect(0, *arguments)
        self.assertEqual(summary(new)["status"], "done")
        self.assertEqual(metrics(new)[-1]["status"], "done")

    def test_a_replacement_that_meets_a_full_disk_leaves_the_earlier_run(self):
        self.fill(65536)
        self.expect_error(4, [self.saved, "No space left", "intact"], "train",
                          self.config, "--set", "train.seed=2", "--out",
                          self.saved, "--force")
        self.expect_saved_is_whole()

    def test_a_dataset_that_meets_a_full_disk(self):
        self.fill(30000)
        self.expect_error(4, [self.place, "No space left"], "data", "prepare",
                          self.corpus, "--out", self.place / "data",
                          "--tokenizer", "bytes", "--held-out", "0.3")
        self.assertFalse((self.place / "data").exists())
        left = {path.name for path in self.place.iterdir()}
        self.assertEqual(left, {"filler", "saved"}, "half a dataset is left")
        self.expect_saved_is_whole()

    def test_a_study_that_meets_a_full_disk_goes_on_when_there_is_room(self):
        # Room for two or three of the study's six cells.
        used = sum(path.stat().st_size for path in self.saved.iterdir())
        self.fill(3 * used)
        self.study(4, "No space left")
        cells = self.place / "runs" / "small"
        finished = {path.parent.name: fingerprints(path.parent)
                    for path in cells.glob("*/summary.json")}
        self.assertGreater(len(finished), 0, "no cell was done before")
        self.assertLess(len(finished), 6)
        self.expect_saved_is_whole()
        self.mount.resize("8m")
        _, errors = self.study(0)
        self.assertEqual(errors.count("already done"), len(finished))
        for name, before in finished.items():
            self.assertEqual(fingerprints(cells / name), before)
        self.assertEqual(len(list(cells.glob("*/summary.json"))), 6)


# The base class has no test of its own.
del PlaceTest

if __name__ == "__main__":
    program.main()
