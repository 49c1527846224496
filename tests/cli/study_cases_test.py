"""Studies with cases, searches over grids, smaller scales, several processes at
once, and one killed again and again."""

import json
import os
import random
import signal
import time

import program
from program import Case
from study_test import finished_cells, numbers, wait_for

PLAN = """
[study]
name = "sizes"
title = "Two sizes"
baseline = "adamw"
search_seed = 0
final_seeds = [1, 2, 3]
extensions = 0
jobs = 2
threads = 1
timing_steps = 0

[study.search]
method = "grid"
rungs = [0.5]
audit = 1

[[study.arms]]
name = "adamw"
rule = "adamw"
hidden = [4e-3, 8e-3]
auxiliary = [8e-3]
search = { optim.weight_decay = [0.0, 0.1] }

[[study.arms]]
name = "muon"
rule = "muon"
hidden = [1e-2, 2e-2]
auxiliary = [8e-3]
search = { optim.weight_decay = [0.0, 0.1] }

[[study.cases]]
name = "narrow"
title = "width 16"
set = { model.width = 16 }
horizons = [0.5, 1.5]

[[study.cases]]
name = "wide"
title = "width 32, rates of the narrow one"
set = { model.width = 32 }
rates_from = "narrow"

[[study.cases]]
name = "given"
title = "rates of the plan"
rates = { adamw = [4e-3, 2e-3], muon = [2e-2, 2e-3] }

[data]
path = "DATA"

[model]
context = 16
width = 16
layers = 1
heads = 2
hidden = 32

[train]
steps = 8
batch = 4

[eval]
windows = 8
"""


class CasesTest(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan = cls.shared / "sizes.toml"
        cls.plan.write_text(PLAN.replace("DATA", str(cls.data)))
        cls.place = cls.shared / "cases"
        code, cls.output, cls.errors = program.run(
            "study", "run", cls.plan, "--runs", cls.place / "runs",
            "--studies", cls.place / "studies")
        assert code == 0, cls.errors
        cls.cases = {}
        for name in ("narrow", "wide", "given"):
            text = (cls.place / f"studies/sizes/{name}/results.json").read_text()
            cls.cases[name] = json.loads(text)

    def cells(self, case, phase):
        return [cell for cell in self.cases[case]["cells"]
                if cell["phase"] == phase]

    def test_a_grid_is_halved_and_audited(self):
        search = [c for c in self.cells("narrow", "search") if c["arm"] == "muon"]
        short = [c for c in search if c["length"] == 0.5]
        full = [c for c in search if c["length"] == 1]
        self.assertEqual(len(short), 4)
        self.assertEqual(len({(c["hidden_lr"], c["settings"]["optim.weight_decay"])
                              for c in short}), 4)
        self.assertEqual(sorted(c["audit"] for c in full), [False, False, True])
        losses = sorted(c["loss"] for c in short)
        kept = {(c["hidden_lr"], c["settings"]["optim.weight_decay"])
                for c in full if not c["audit"]}
        self.assertEqual(kept, {
            (c["hidden_lr"], c["settings"]["optim.weight_decay"])
            for c in short if c["loss"] <= losses[1]})
        # A short run is a run of its own, half as long, and fully decayed.
        self.assertTrue(all(2 * c["tokens"] == 8 * 4 * 16 for c in short))

    def test_finals_take_the_best_of_the_search(self):
        for arm in ("adamw", "muon"):
            best = min((c for c in self.cells("narrow", "search")
                        if c["arm"] == arm and c["length"] == 1
                        and not c["audit"]), key=lambda c: c["loss"])
            for cell in self.cells("narrow", "final"):
                if cell["arm"] == arm:
                    self.assertEqual(cell["settings"], best["settings"])
                    self.assertEqual(cell["hidden_lr"], best["hidden_lr"])

    def test_a_case_can_take_its_rates_from_another(self):
        self.assertEqual(self.cells("wide", "search"), [])
        chosen = {a["name"]: (a["hidden_lr"], a["settings"])
                  for a in self.cases["narrow"]["arms"]}
        for arm in self.cases["wide"]["arms"]:
            self.assertEqual((arm["hidden_lr"], arm["settings"]),
                             chosen[arm["name"]])
            self.assertFalse(arm["searched"])
        self.assertGreater(self.cases["wide"]["setup"]["parameters"],
                           self.cases["narrow"]["setup"]["parameters"])

    def test_or_from_the_plan(self):
        finals = self.cells("given", "final")
        self.assertEqual(len(finals), 6)
        self.assertEqual({(c["arm"], c["hidden_lr"], c["auxiliary_lr"])
                          for c in finals},
                         {("adamw", 4e-3, 2e-3), ("muon", 2e-2, 2e-3)})

    def test_the_baseline_runs_at_every_horizon(self):
        cells = self.cells("narrow", "horizon")
        self.assertEqual({c["arm"] for c in cells}, {"adamw"})
        self.assertEqual(sorted((c["length"], c["seed"]) for c in cells),
                         [(h, s) for h in (0.5, 1.5) for s in (1, 2, 3)])
        self.assertEqual({c["tokens"] for c in cells},
                         {4 * 4 * 16, 12 * 4 * 16})

    def test_plan_counts_what_ran(self):
        output, _ = self.expect(0, "study", "plan", self.plan)
        ran = sum(len(case["cells"]) for case in self.cases.values())
        self.assertIn(f"{ran} cells", output)

    def test_a_smaller_scale_divides_width_batch_and_windows(self):
        place = self.folder / "small"
        plan = self.folder / "small.toml"
        plan.write_text(
            PLAN.replace("rungs = [0.5]", "").replace("horizons = [0.5, 1.5]", "")
            .replace('name = "muon"',
                     'name = "muon"\nwidth_corrected = true')
            .replace("DATA", str(self.folder / "data"))
            + '\n[study.data]\ncorpus = "CORPUS"\ntokenizer = "bytes"\n'
              'held_out = 0.4\n'.replace("CORPUS", str(self.corpus)))
        self.expect(0, "study", "run", plan, "--scale", "2", "--runs",
                    place / "runs", "--studies", place / "studies")
        self.assertTrue((self.folder / "data-scale2/dataset.json").exists())
        text = (place / "studies/sizes-scale2/given/results.json").read_text()
        results = json.loads(text)
        rates = {c["arm"]: c["hidden_lr"] for c in results["cells"]}
        self.assertEqual(rates, {"adamw": 4e-3, "muon": 4e-2})
        cell = next((place / "runs/sizes-scale2/wide").glob("*/config.json"))
        config = json.loads(cell.read_text())
        self.assertEqual(config["model"]["width"], 16)
        self.assertEqual(config["train"]["batch"], 2)
        self.assertEqual(config["eval"]["windows"], 4)

    def test_a_search_that_takes_fewer_trials_than_planned_is_whole(self):
        plan = self.folder / "passes.toml"
        text = self.plan.read_text()
        plan.write_text(text[:text.index("[[study.cases]]")].replace(
            'method = "grid"\nrungs = [0.5]\naudit = 1', "passes = 3") +
            text[text.index("[data]"):])
        self.expect(0, "study", "run", plan, "--runs", self.folder / "runs",
                    "--studies", self.folder / "studies")
        report = (self.folder / "studies/sizes/report.md").read_text()
        self.assertNotIn("incomplete", report)

    def test_a_missing_tokenizer_is_named(self):
        plan = self.folder / "plan.toml"
        plan.write_text(PLAN.replace("DATA", str(self.folder / "data")) +
                        '\n[study.data]\ncorpus = "CORPUS"\n'
                        'tokenizer = "none.gguf"\n'
                        .replace("CORPUS", str(self.corpus)))
        _, errors = self.expect(4, "study", "run", plan, "--runs",
                                self.folder / "runs", "--studies",
                                self.folder / "studies")
        self.assertIn("no file none.gguf", errors)
        self.assertIn("hint: scripts/setup --smollm", errors)

    def test_what_a_plan_cannot_mean_is_refused(self):
        plan = self.folder / "bad.toml"
        for change, words in (
                (('rates_from = "narrow"', 'rates_from = "narow"'),
                 "no earlier case 'narow'; did you mean 'narrow'?"),
                (('rates = { adamw', 'rates = { adam'), "no arm 'adam'"),
                (('method = "grid"', 'method = "random"'), "coordinates, grid"),
                (('method = "grid"', 'method = "coordinates"'),
                 "rungs: has no effect"),
                (("rungs = [0.5]", "rungs = [1.5]"), "at most 0.999"),
                (("horizons = [0.5, 1.5]", "horizons = [1.5, 0.5]"),
                 "the smaller first"),
                (("audit = 1", "adit = 1"), "did you mean 'audit'?"),
                (("search = { optim.weight_decay", "search = { optim.wd"),
                 "optim.wd"),
                (("set = { model.width = 16 }", "set = { model.widht = 16 }"),
                 "model.widht"),
                (('name = "wide"', 'name = "narrow"'), "given twice")):
            with self.subTest(words=words):
                plan.write_text(self.plan.read_text().replace(*change, 1))
                _, errors = self.expect(3, "study", "plan", plan)
                self.assertIn(words, errors)
        _, errors = self.expect(3, "study", "plan", self.plan, "--scale", "3")
        self.assertIn("does not divide", errors)


class SeveralProcessesTest(Case):
    def study(self, place):
        return ["study", "run", program.SMOKE, "--set", f"data.path={self.data}",
                "--runs", place / "runs", "--studies", place / "studies"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reference = cls.shared / "alone"
        code, _, errors = program.run(*cls.study(cls, cls.reference))
        assert code == 0, errors
        cls.expected = numbers(cls.reference)

    def test_three_at_once_share_the_cells_and_agree(self):
        studies = [program.start(*self.study(self.folder)) for _ in range(3)]
        made = 0
        for study in studies:
            _, errors = study.communicate(timeout=program.TIMEOUT)
            self.assertEqual(study.returncode, 0, errors)
            made += sum("| already done" not in line
                        for line in errors.splitlines()
                        if line.startswith("cell "))
        self.assertEqual(numbers(self.folder), self.expected)
        # Each cell was run by one of them alone.
        self.assertEqual(made, 21)

    def test_killed_five_times_it_comes_to_the_same_numbers(self):
        chance = random.Random(20261125)
        for _ in range(5):
            study = program.start(*self.study(self.folder))
            done = len(finished_cells(self.folder))
            wait_for(lambda: len(finished_cells(self.folder)) > done or
                     study.poll() is not None, "one more cell")
            time.sleep(chance.random())
            study.send_signal(signal.SIGKILL)
            study.communicate(timeout=program.TIMEOUT)
        self.expect(0, *self.study(self.folder))
        self.assertEqual(numbers(self.folder), self.expected)

    def test_a_cell_that_is_killed_once_is_run_once_more(self):
        study = program.start(*self.study(self.folder))
        try:
            killed = self.kill_a_cell(study)
            _, errors = study.communicate(timeout=program.TIMEOUT)
        finally:
            study.kill()
        self.assertEqual(study.returncode, 0, errors)
        self.assertRegex(errors, "ended with exit code 137.*run once more")
        self.assertTrue(killed)
        self.assertEqual(numbers(self.folder), self.expected)

    def kill_a_cell(self, study):
        """SIGKILL to the first child of the study that trains a cell."""
        while study.poll() is None:
            path = f"/proc/{study.pid}/task/{study.pid}/children"
            with open(path) as file:
                children = [int(pid) for pid in file.read().split()]
            for pid in children:
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as file:
                        words = file.read().split(b"\0")
                    if b"train" in words:
                        os.kill(pid, signal.SIGKILL)
                        return True
                except OSError:
                    pass
            time.sleep(0.01)
        return False


if __name__ == "__main__":
    program.main()
