"""The smoke study: the same numbers every time, stopped or not; and what a
signal leaves of a run."""

import csv
import json
import os
import pathlib
import signal
import time

import program
from program import Case, metrics, summary

# Columns of results.csv that are measured, not computed.
TIMES = {"wall_seconds", "peak_memory_bytes", "forward_seconds",
         "backward_seconds", "optimizer_seconds", "other_seconds"}


def numbers(place):
    """All that must not change: the table without times, and the weights."""
    with open(place / "studies/smoke/results.csv", newline="") as file:
        table = [{key: value for key, value in row.items() if key not in TIMES}
                 for row in csv.DictReader(file)]
    weights = {path.parent.name: summary(path.parent)["weights_sha256"]
               for path in (place / "runs/smoke").glob("*/summary.json")}
    return table, weights


def finished_cells(place):
    """Cells whose summary says done; a summary appears whole or not at all."""
    return {path.parent.name for path in (place / "runs").glob("*/*/summary.json")
            if summary(path.parent)["status"] == "done"}


def processes_of(place):
    """Living processes that have the folder in their command line."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if str(place).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass  # it ended meanwhile
    return found


def wait_for(condition, what):
    end = time.monotonic() + program.TIMEOUT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.02)


class SmokeTest(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reference = cls.shared / "reference"
        code, cls.output, cls.errors = program.run(*cls.study(cls.reference))
        assert code == 0, cls.errors
        cls.expected = numbers(cls.reference)

    @classmethod
    def study(cls, place, verb="run"):
        return ["study", verb, program.SMOKE, "--set", f"data.path={cls.data}",
                "--runs", place / "runs", "--studies", place / "studies"]

    def expect_same_numbers(self, place):
        table, weights = numbers(place)
        self.assertEqual(table, self.expected[0])
        self.assertEqual(weights, self.expected[1])

    def interrupt_in_the_middle(self, place, number):
        """Sends the signal once two cells are done: (exit code, stderr)."""
        study = program.start(*self.study(place))
        try:
            wait_for(lambda: len(finished_cells(place)) >= 2 or
                     study.poll() is not None, "two cells")
            self.assertIsNone(study.poll(), "the study ended by itself")
            study.send_signal(number)
            _, errors = study.communicate(timeout=program.TIMEOUT)
        finally:
            study.kill()
        self.assertLess(len(finished_cells(place)), 21, "it came too late")
        return study.returncode, errors

    def test_every_stage_has_its_cells(self):
        table, weights = self.expected
        # Three arms: 2 trials and 1 more, 3 seeds, 1 timing run each.
        self.assertEqual(len(table), 21)
        self.assertEqual(len(weights), 21)
        for arm in ("adamw-joint", "adamw", "muon"):
            phases = [row["phase"] for row in table if row["arm"] == arm]
            self.assertEqual(phases.count("search"), 3)
            self.assertEqual(phases.count("final"), 3)
            self.assertEqual(phases.count("timing"), 1)
            self.assertEqual(sum(row["extension"] == "1" for row in table
                                 if row["arm"] == arm), 1)
        for row in table:
            self.assertEqual(row["state"], "done")
            self.assertGreater(float(row["loss"]), 0)

    def test_results_of_the_search_are_not_those_reported(self):
        for path in (self.reference / "runs/smoke").glob("*/summary.json"):
            phase = next(row["phase"] for row in self.expected[0]
                         if row["id"] == path.parent.name)
            split = "reporting" if phase == "final" else "selection"
            self.assertEqual(summary(path.parent)["split"], split)

    def test_the_report_and_the_verdict_are_there(self):
        self.assertRegex(self.output, r"(?m)^verdict: After the same \S+ tokens")
        self.assertRegex(self.output, r"(?m)^report: /.*/smoke/report\.html$")
        folder = self.reference / "studies/smoke"
        verdict = self.output.splitlines()[0].removeprefix("verdict: ")
        self.assertIn(verdict, (folder / "report.md").read_text())
        self.assertIn("<html", (folder / "report.html").read_text())
        self.assertGreater(len(list((folder / "plots").iterdir())), 3)
        results = json.loads((folder / "results.json").read_text())
        self.assertEqual(len(results["cells"]), 21)

    def test_a_second_study_gives_the_same_numbers_bit_for_bit(self):
        self.expect(0, *self.study(self.folder))
        self.expect_same_numbers(self.folder)

    def test_the_same_command_runs_no_cell_again(self):
        cells = self.reference / "runs/smoke"
        before = {path: path.stat().st_mtime_ns for path in cells.glob("*/*")}
        output, errors = self.expect(0, *self.study(self.reference))
        self.assertEqual(output, self.output)
        self.assertEqual(errors.count("already done"), 21)
        after = {path: path.stat().st_mtime_ns for path in cells.glob("*/*")}
        self.assertEqual(after, before)
        self.expect_same_numbers(self.reference)

    def test_a_killed_study_goes_on_to_the_same_numbers(self):
        code, _ = self.interrupt_in_the_middle(self.folder, signal.SIGKILL)
        self.assertEqual(code, -signal.SIGKILL)
        wait_for(lambda: not processes_of(self.folder), "the study's children to end")
        done = finished_cells(self.folder)
        self.assertGreaterEqual(len(done), 2)
        _, errors = self.expect(0, *self.study(self.folder))
        self.assertEqual(errors.count("already done"), len(done))
        self.expect_same_numbers(self.folder)

    def test_a_killed_study_can_go_on_at_once(self):
        self.interrupt_in_the_middle(self.folder, signal.SIGKILL)
        self.expect(0, *self.study(self.folder))
        self.expect_same_numbers(self.folder)

    def test_an_interrupted_study_goes_on_to_the_same_numbers(self):
        code, errors = self.interrupt_in_the_middle(self.folder, signal.SIGINT)
        self.assertEqual(code, 6, errors)
        self.assertRegex(errors, r"error: study 'smoke': interrupted after \d+ of 21")
        self.assertIn("hint: the same command goes on", errors)
        self.assertEqual(processes_of(self.folder), [], "children are left")
        done = finished_cells(self.folder)
        self.assertGreaterEqual(len(done), 2)
        output, _ = self.expect(0, *self.study(self.folder, "status"), "--json")
        states = [cell["state"] for cell in json.loads(output)["cells"]]
        self.assertEqual(states.count("done"), len(done))
        _, errors = self.expect(0, *self.study(self.folder))
        self.assertEqual(errors.count("already done"), len(done))
        self.expect_same_numbers(self.folder)

    def test_plan_and_status_run_nothing(self):
        output, _ = self.expect(0, *self.study(self.folder, "plan"))
        self.assertIn("21 cells, 2 side by side, threads of each: 1; baseline",
                      output)
        output, _ = self.expect(0, *self.study(self.folder, "status"))
        self.assertIn("queued", output)
        self.assertEqual(list(self.folder.iterdir()), [])
        output, _ = self.expect(0, *self.study(self.reference, "status"))
        self.assertEqual(output.count(" done "), 21)
        self.assertNotIn("queued", output)

    def test_report_is_written_anew_from_the_runs(self):
        table = self.reference / "studies/smoke/results.csv"
        content = table.read_bytes()
        table.unlink()
        output, _ = self.expect(0, *self.study(self.reference, "report"))
        self.assertEqual(output, self.output)
        self.assertEqual(table.read_bytes(), content)

    def pretend_python(self, lines):
        """An interpreter that runs these lines of shell in its place."""
        path = self.folder / "python"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        return path

    def test_report_exports_its_figures(self):
        # What the exporter gets: SCRIPT --format LIST FIGURE...
        python = self.pretend_python(
            'shift 3; for f; do b="${f%.vl.json}"; touch "$b.svg" "$b.pdf"; done')
        output, _ = self.expect(
            0, *self.study(self.reference, "report"), "--figures", "svg",
            "--figures", "pdf", "--python", python)
        plots = self.reference / "studies/smoke/plots"
        specs = len(list(plots.glob("*.vl.json")))
        self.assertIn(f"figures: {2 * specs} files in {plots}\n", output)
        self.assertEqual(len(list(plots.glob("*.svg"))), specs)
        self.expect(0, *self.study(self.reference, "report"), "--figures",
                    "svg,pdf", "--python", python)
        self.assertEqual(len(list(plots.glob("*.pdf"))), specs)

    def test_report_is_written_where_figures_cannot_be_exported(self):
        html = self.reference / "studies/smoke/report.html"
        html.unlink()
        python = self.pretend_python("echo No module named vl_convert; exit 7")
        self.expect_error(
            7, ["vl-convert-python", "hint: ", "scripts/setup"],
            *self.study(self.reference, "report"), "--figures", "png",
            "--python", python)
        self.assertTrue(html.exists())
        self.expect_error(2, ["--figures", "gif"],
                          *self.study(self.reference, "report"),
                          "--figures", "gif")

    def test_a_damaged_cell_is_named(self):
        place = self.folder / "copy"
        self.expect(0, *self.study(place))
        cell = place / "runs/smoke" / sorted(finished_cells(place))[0]
        whole = (cell / "metrics.jsonl").read_text()
        for damage in ('{"t": "train"}\n', "[]\n", "not JSON\n"):
            (cell / "metrics.jsonl").write_text(damage + whole)
            self.expect_error(4, [cell / "metrics.jsonl", "hint: "],
                              *self.study(place))
        (cell / "metrics.jsonl").write_text(whole)
        (cell / "summary.json").write_text("{")
        self.expect_error(4, [cell / "summary.json"], *self.study(place))


class DivergenceTest(Case):
    PLAN = """
[study]
name = "wild"
title = "Rates that cannot work"
baseline = "adamw"
final_seeds = [1, 2]
extensions = 0
timing_steps = 0
[[study.arms]]
name = "adamw"
rule = "adamw"
joint = [2e-3, 4e-3, 1e30]
[[study.arms]]
name = "muon"
rule = "muon"
hidden = [1e30]
auxiliary = [1e30]
"""

    def test_a_run_that_diverges_ends_with_5_and_its_cause(self):
        run = self.folder / "run"
        output, _ = self.train(run, "optim.lr=1e30", "optim.auxiliary.lr=1e30",
                               code=5)
        self.assertRegex(output, "diverged: the .* is (nan|inf|-nan)|not finite")
        found = summary(run)
        self.assertEqual(found["status"], "diverged")
        self.assertIn("step", found["cause"])
        self.assertIsNone(found["val_loss"])
        self.assertLess(found["steps"], 8)
        self.assertEqual(metrics(run)[-1]["cause"], found["cause"])
        output, _ = self.train(run, "optim.lr=1e30", "optim.auxiliary.lr=1e30",
                               code=5)
        self.assertIn("already diverged", output)

    def test_a_trial_that_diverges_is_data(self):
        plan = self.folder / "plan.toml"
        plan.write_text(self.PLAN + self.config.read_text())
        output, errors = self.expect(
            0, "study", "run", plan, "--runs", self.folder / "runs",
            "--studies", self.folder / "studies")
        self.assertIn("verdict: ", output)
        self.assertIn("diverged (", errors)
        with open(self.folder / "studies/wild/results.csv", newline="") as file:
            table = list(csv.DictReader(file))
        states = [(row["arm"], row["phase"], row["state"]) for row in table]
        self.assertEqual(states.count(("adamw", "search", "diverged")), 1)
        self.assertEqual(states.count(("adamw", "final", "done")), 2)
        # This arm has no rate that works: its finals diverge too.
        self.assertEqual(states.count(("muon", "final", "diverged")), 2)
        for row in table:
            if row["state"] == "diverged":
                self.assertEqual(row["loss"], row["initial_loss"])
                self.assertNotEqual(row["cause"], "")


class InterruptTest(Case):
    def test_sigint_finishes_the_step_and_leaves_a_readable_run(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                run = self.folder / f"run{number}"
                training = program.start("train", self.config, "--out", run,
                                         "--set", "train.steps=1000000", "--quiet")
                try:
                    log = run / "metrics.jsonl"
                    wait_for(lambda: log.exists() and
                             log.read_text().count('"train"') >= 3, "three steps")
                    training.send_signal(number)
                    output, errors = training.communicate(timeout=program.TIMEOUT)
                finally:
                    training.kill()
                self.assertEqual(training.returncode, 6, errors)
                self.assertIn("interrupted", output)
                found = summary(run)
                self.assertEqual(found["status"], "interrupted")
                self.assertIsNone(found["val_loss"])
                lines = metrics(run)
                steps = [line["step"] for line in lines if line["t"] == "train"]
                self.assertEqual(steps, list(range(1, found["steps"] + 1)))
                self.assertEqual(lines[-1]["status"], "interrupted")
                self.assertEqual(lines[-1]["weights_sha256"],
                                 found["weights_sha256"])
                self.assertIn("steps = 1000000", (run / "config.toml").read_text())
                loss = json.loads(self.expect(0, "eval", run, "--json")[0])
                self.assertGreater(loss["val_loss"], 0)
                self.expect(0, "sample", run, "--tokens", "5")

    def test_an_interrupted_run_starts_anew(self):
        run = self.folder / "run"
        training = program.start("train", self.config, "--out", run, "--set",
                                 "train.steps=1000000", "--quiet")
        wait_for(lambda: (run / "metrics.jsonl").exists(), "the run to begin")
        training.kill()
        training.communicate()
        self.train(run)
        self.assertEqual(summary(run)["status"], "done")
        self.assertEqual(metrics(run)[0]["t"], "start")

    def test_a_child_ends_when_its_study_is_gone(self):
        self.expect_error(6, ["study", "ended"], "train", self.config, "--out",
                          self.folder / "run", "--child-of", "1")
        self.assertFalse((self.folder / "run").exists())


if __name__ == "__main__":
    program.main()
