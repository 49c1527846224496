"""How a study uses the cores: chosen by measurement once, then kept."""

import json
import os
import shutil
import signal
import time
import unittest

import program
from program import Case, summary

PLAN = """
[study]
name = "cores"
title = "Two arms, a rate each"
baseline = "adamw"
final_seeds = [1]
extensions = 0
timing_steps = 0
jobs = "auto"
[[study.arms]]
name = "adamw"
rule = "adamw"
joint = [2e-3]
[[study.arms]]
name = "muon"
rule = "muon"
hidden = [2e-2]
auxiliary = [8e-3]
"""

CORES = len(os.sched_getaffinity(0))


class ParallelTest(Case):
    def setUp(self):
        super().setUp()
        self.plan = self.folder / "plan.toml"
        self.plan.write_text(PLAN + self.config.read_text())
        self.runs = self.folder / "runs/cores"
        self.record = self.runs / "parallel.json"

    def study(self, verb, *words):
        return ["study", verb, self.plan, "--runs", self.folder / "runs",
                "--studies", self.folder / "studies", *words]

    def cells(self):
        """Threads and bits of each cell."""
        found = {}
        for path in self.runs.glob("*/summary.json"):
            config = json.loads((path.parent / "config.json").read_text())
            found[path.parent.name] = (config["train"]["threads"],
                                       summary(path.parent)["weights_sha256"])
        return found

    def test_the_choice_is_measured_once_and_kept(self):
        _, errors = self.expect(0, *self.study("run"))
        record = json.loads(self.record.read_text())
        forms = [(one["jobs"], one["threads"]) for one in record["measured"]]
        if CORES > 1:
            self.assertEqual(forms[0], (CORES, 1))
            self.assertEqual(forms[-1], (1, CORES))
            self.assertIn((record["jobs"], record["threads"]), forms)
            for one in record["measured"]:
                self.assertGreater(one["tokens_per_second"], 0)
        self.assertEqual(sum(line.startswith("measured ")
                             for line in errors.splitlines()), len(forms))
        self.assertIn(record["reason"], errors)
        self.assertFalse((self.runs / ".measuring").exists())
        cells = self.cells()
        self.assertEqual(len(cells), 2)
        for threads, _ in cells.values():
            self.assertEqual(threads, record["threads"])

        before = self.record.read_bytes()
        _, errors = self.expect(0, *self.study("run"))
        self.assertIn(f"as recorded in {self.record}", errors)
        self.assertEqual(errors.count("already done"), 2)
        self.assertNotIn("measured one run", errors)
        self.assertEqual(self.record.read_bytes(), before)

        # A repeat from nothing but the record gives the same bits.
        for name in cells:
            shutil.rmtree(self.runs / name)
        _, errors = self.expect(0, *self.study("run"))
        self.assertNotIn("already done", errors)
        self.assertEqual(self.cells(), cells)

        for verb, where in (("status", None), ("run", "report.md")):
            output, _ = self.expect(0, *self.study(verb))
            text = (self.folder / "studies/cores" / where).read_text() if where \
                else output
            self.assertIn(record["reason"], text)
        output, _ = self.expect(0, *self.study("status", "--json"))
        setup = json.loads(output)["setup"]
        self.assertEqual((setup["jobs"], setup["threads"]),
                         (record["jobs"], record["threads"]))

    def test_a_record_decides_the_threads_of_every_cell(self):
        self.runs.mkdir(parents=True)
        threads = CORES + 1
        self.record.write_text(json.dumps({
            "schema": "muonlab-study-parallel-1", "jobs": 1, "threads": threads,
            "reason": "made up", "machine": "a larger machine", "measured": []}))
        _, errors = self.expect(0, *self.study("run", "--jobs", "2"))
        self.assertIn(f"2 runs side by side, {threads} threads each", errors)
        self.assertIn("warning: this machine has", errors)
        self.assertIn("a larger machine", errors)
        self.assertEqual({threads for threads, _ in self.cells().values()},
                         {threads})

    @unittest.skipIf(CORES == 1, "nothing is measured on one core")
    def test_an_interrupted_measurement_leaves_nothing_behind(self):
        study = program.start(*self.study("run"))
        try:
            end = time.monotonic() + program.TIMEOUT
            while not (self.runs / ".measuring").exists():
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            study.send_signal(signal.SIGINT)
            _, errors = study.communicate(timeout=program.TIMEOUT)
        finally:
            study.kill()
        self.assertEqual(study.returncode, 6, errors)
        self.assertIn("interrupted while measuring", errors)
        self.assertFalse((self.runs / ".measuring").exists())
        self.assertFalse(self.record.exists())

    def test_a_process_that_may_use_one_core_measures_nothing(self):
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(mine)})
        try:
            _, errors = self.expect(0, *self.study("run"))
        finally:
            os.sched_setaffinity(0, mine)
        self.assertIn("one core leaves nothing to choose", errors)
        record = json.loads(self.record.read_text())
        self.assertEqual((record["jobs"], record["threads"]), (1, 1))

    def test_status_and_report_measure_nothing(self):
        output, _ = self.expect(0, *self.study("plan"))
        self.assertIn("as many side by side as `study run` chooses", output)
        output, _ = self.expect(0, *self.study("status"))
        self.assertIn("not chosen yet" if CORES > 1 else "one core", output)
        self.assertFalse(self.runs.exists())

    def test_bad_values_and_records_are_named(self):
        for value in ("0", "-2", "fast"):
            for key in ("study.jobs", "study.threads"):
                self.expect_error(
                    3, [key, value, '"auto" or a whole number from 1'],
                    *self.study("run", "--set", f"{key}={value}"))
        self.expect_error(3, ["train.threads", "study.threads"],
                          *self.study("run", "--set", "train.threads=2"))
        self.runs.mkdir(parents=True)
        self.record.write_text("{}")
        self.expect_error(4, [self.record, "hint: remove the file"],
                          *self.study("run"))


if __name__ == "__main__":
    program.main()
