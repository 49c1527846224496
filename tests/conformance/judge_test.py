#!/usr/bin/env python3
"""The judge and muonlab_adapter.py on small cases made by hand.

usage: judge_test.py [unittest's arguments]. What needs NumPy is skipped where
that is not installed.
"""

import contextlib
import io
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import judge
import suite

try:
    import numpy
except ImportError:
    numpy = None

HERE = pathlib.Path(__file__).resolve().parent

# By hand: B = .5 * 1 = .5, then .5 * .5 + 1 = 1.25 (heavy ball, rate .1).
SGD = {"name": "sgd/one", "rule": "sgd",
       "options": {"lr": 0.1, "momentum": 0.5}, "shape": [1, 2],
       "w0": [1.0, 0.0], "gradients": [[1.0, -2.0], [1.0, -2.0]],
       "steps_checked": [1, 2], "w": [[0.9, 0.2], [0.75, 0.5]],
       "tolerance": {"float64": 1e-12, "float32": 1e-5}, "why": ""}


def polar(d, steps, rows=(3.4445, -4.7750, 2.0315)):
    a, b, c = rows
    x = d / (numpy.linalg.norm(d) + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def muon_steps(gradients, w0, *, momentum=0.95, nesterov=True, steps=5,
               lr=0.02, decay=0.1, scale=1.0):
    w, buffer, after = w0, 0.0, []
    for g in gradients:
        buffer = momentum * buffer + (1 - momentum) * g
        d = (1 - momentum) * g + momentum * buffer if nesterov else buffer
        w = (1 - lr * decay) * w - lr * scale * polar(d, steps)
        after.append(w.flatten().tolist())
    return after


def muon_case():
    source = numpy.random.default_rng(1)
    w0 = source.normal(size=(6, 8))
    gradients = source.normal(size=(6, 6, 8))
    return {"name": "muon/wide", "rule": "muon",
            "options": {"weight_decay": 0.1}, "shape": [6, 8],
            "w0": w0.flatten().tolist(),
            "gradients": [g.flatten().tolist() for g in gradients],
            "steps_checked": [1, 6], "tolerance": SGD["tolerance"], "why": "",
            "w": [muon_steps(gradients, w0)[i] for i in (0, 5)]}, gradients, w0


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="muonlab-judge-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.cases, self.out = self.folder / "cases", self.folder / "out"

    def write_cases(self, *cases):
        suite.write(self.cases / f"{cases[0]['rule']}.json",
                    {"schema": 1, "rule": cases[0]["rule"],
                     "cases": list(cases)})

    def write_out(self, *results, rule="sgd", dtype="float64", name="test"):
        suite.write_outputs(self.out, rule, name, dtype, results)

    def judge(self, *words):
        """Exit code, and all that was printed."""
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            try:
                code = judge.main([str(self.cases), str(self.out), *words])
            except SystemExit as stop:
                code = stop.code
        return code, text.getvalue()

    def expect(self, code, *texts, words=()):
        actual, printed = self.judge(*words)
        self.assertEqual(actual, code, printed)
        for text in texts:
            self.assertIn(text, printed)


class Judge(Case):
    def test_right_results_pass(self):
        self.write_cases(SGD)
        self.write_out({"name": "sgd/one", "w": SGD["w"]})
        self.expect(0, "1 passed, 0 failed")

    def test_a_failure_names_case_step_and_value(self):
        self.write_cases(SGD)
        self.write_out({"name": "sgd/one", "w": [[0.9, 0.2], [0.75, -0.5]]})
        self.expect(1, "FAIL sgd/one: step 2, index 1 [0, 1]: got -0.5, "
                    "expected 0.5, tolerance 1e-12")

    def test_a_missing_case_fails(self):
        other = SGD | {"name": "sgd/two"}
        self.write_cases(SGD, other)
        self.write_out({"name": "sgd/one", "w": SGD["w"]})
        self.expect(1, "FAIL sgd/two: no result", "1 passed, 1 failed")

    def test_a_missing_file_fails(self):
        self.write_cases(SGD)
        self.write_cases(SGD | {"name": "adam/a", "rule": "adam"})
        self.write_out({"name": "sgd/one", "w": SGD["w"]})
        self.expect(1, "FAIL adam: no file adam.json, 1 cases")
        self.expect(0, words=["--rule", "sgd"])

    def test_empty_results_fail(self):
        self.write_cases(SGD)
        self.write_out()
        self.expect(1, "FAIL sgd/one: no result")

    def test_nothing_but_unsupported_is_no_pass(self):
        self.write_cases(SGD)
        self.write_out({"name": "sgd/one", "unsupported": "no such thing"})
        self.expect(1, "unsupported    1  no such thing",
                    "nothing was judged")

    def test_results_of_unknown_cases_are_noted(self):
        self.write_cases(SGD)
        self.write_out({"name": "sgd/one", "w": SGD["w"]},
                       {"name": "sgd/One", "w": SGD["w"]})
        self.expect(0, "'sgd/One', which is no case")

    def test_the_tolerance_follows_the_dtype(self):
        near = [[x + 1e-8 for x in values] for values in SGD["w"]]
        self.write_cases(SGD)
        self.write_out({"name": "sgd/one", "w": near}, dtype="float64")
        self.expect(1)
        self.expect(0, words=["--dtype", "float32"])
        self.write_out({"name": "sgd/one", "w": near}, dtype="float32")
        self.expect(0)

    def test_json_holds_every_case(self):
        self.write_cases(SGD)
        self.write_out({"name": "sgd/one", "w": [[0.9, "nan"], [0.75, 0.5]]})
        file = self.folder / "report.json"
        self.expect(1, words=["--json", str(file)])
        report = json.loads(file.read_text("utf-8"))
        self.assertEqual(report["failed"], 1)
        seen = report["files"][0]["judged"][0]
        self.assertEqual((seen["verdict"], seen["ratio"]), ("failed", "inf"))
        self.assertIn("step 1, index 1: got nan", seen["problem"])

    def test_a_file_may_hold_several_rules(self):
        lion = SGD | {"name": "mixed/lion", "rule": "lion"}
        suite.write(self.cases / "mixed.json",
                    {"schema": 1, "cases": [SGD, lion]})
        suite.write_outputs(self.out, "mixed", "test", "float64",
                            [{"name": "sgd/one", "w": SGD["w"]}])
        self.expect(1, "FAIL mixed/lion: no result")
        self.expect(0, "1 passed", words=["--rule", "sgd"])

    def test_bad_usage_and_files_end_with_2(self):
        self.expect(2, "no such folder of cases")
        self.write_cases(SGD)
        self.expect(2, "no such folder of outputs")
        self.out.mkdir()
        self.expect(2, "no NAME.json of sgd")
        self.expect(2, "no cases of muon", words=["--rule", "muon"])
        self.expect(2, words=["--no-such-flag"])
        for text in ("{", "[]", '{"schema": 2}', '{"schema": 1}'):
            (self.out / "sgd.json").write_text(text, "utf-8")
            self.expect(2, "sgd.json")
        self.write_out({"name": "sgd/one"}, {"name": "sgd/one"})
        self.expect(2, "more than one result for sgd/one")

    def test_bad_cases_end_with_2(self):
        wrong = {"w": [[0.9, 0.2]], "steps_checked": [2, 1], "shape": [0, 2],
                 "gradients": [], "w0": [1.0], "rule": 1,
                 "tolerance": {"float64": 0}, "options": None}
        for key, value in wrong.items():
            self.write_cases(SGD)
            self.write_out({"name": "sgd/one", "w": SGD["w"]})
            content = json.loads((self.cases / "sgd.json").read_text("utf-8"))
            content["cases"][0][key] = value
            suite.write(self.cases / "sgd.json", content)
            self.expect(2, key)
        self.write_cases(SGD, SGD)
        self.expect(2, "the name is taken")

    def test_two_implementations_in_a_folder_end_with_2(self):
        self.write_cases(SGD)
        self.write_cases(SGD | {"name": "adam/a", "rule": "adam"})
        self.write_out({"name": "sgd/one", "w": SGD["w"]})
        self.write_out({"name": "adam/a", "w": SGD["w"]}, rule="adam",
                       name="other")
        self.expect(2, "more than one")


@unittest.skipIf(numpy is None, "NumPy is not installed")
class Bfloat16Polar(Case):
    words = ["--dtype", "bfloat16-polar"]

    def judge_with(self, **changes):
        case, gradients, w0 = muon_case()
        self.write_cases(case)
        self.write_out({"name": case["name"],
                        "w": muon_steps(gradients, w0, **changes)},
                       rule="muon")
        return self.judge(*self.words)

    def test_the_reference_passes(self):
        self.assertEqual(self.judge_with()[0], 0)

    def test_it_notices_what_rounding_cannot_do(self):
        for change in ({"nesterov": False}, {"momentum": 0.7}, {"steps": 4},
                       {"scale": 0.2 * math.sqrt(8)}, {"lr": 0.025},
                       {"lr": -0.02}, {"steps": 6}):
            with self.subTest(change):
                code, text = self.judge_with(**change)
                self.assertEqual(code, 1, text)

    def test_nan_fails(self):
        case, gradients, w0 = muon_case()
        w = muon_steps(gradients, w0)
        w[-1][0] = math.nan
        self.write_cases(case)
        self.write_out({"name": case["name"], "w": w}, rule="muon")
        self.expect(1, "got nan", words=self.words)

    def test_a_bound_wider_than_the_update_decides_nothing(self):
        case, gradients, w0 = muon_case()
        gradients[:] = gradients[0, :, :1] * numpy.ones(8)  # of rank one
        w = muon_steps(gradients, w0)
        case |= {"w": [w[0], w[5]],
                 "gradients": [g.flatten().tolist() for g in gradients]}
        self.write_cases(case)
        self.write_out({"name": case["name"], "w": w}, rule="muon")
        self.expect(1, "1 undecided", "nothing was judged", words=self.words)

    def test_rules_without_a_bound_are_not_judged(self):
        self.write_cases(SGD)
        self.write_out({"name": "sgd/one", "w": SGD["w"]})
        self.expect(1, "1 unjudged", "nothing was judged", words=self.words)


# A stand-in for the program: SGD without momentum, and a refusal on request.
PROGRAM = """#!{python}
import json, sys
assert sys.argv[1:] == ["optim", "replay", "-"], sys.argv
content = json.load(sys.stdin)
def one(r):
    if r["options"].get("momentum") == -1:
        sys.exit("muonlab: error: momentum is -1")
    w, after = r["w0"], []
    for g in r["gradients"]:
        w = [a - b for a, b in zip(w, g)]
        after.append(w)
    return {{"schema": 1, "rule": r["rule"], "w": after}}
if isinstance(content, list) and not {lists}:
    sys.exit("muonlab: error: a list")
print(json.dumps([one(r) for r in content] if isinstance(content, list)
                 else one(content)))
"""


class MuonlabAdapter(Case):
    def adapt(self, cases, lists=True, words=()):
        program = self.folder / "program"
        program.write_text(PROGRAM.format(python=sys.executable, lists=lists),
                           "utf-8")
        program.chmod(0o755)
        self.write_cases(*cases)
        done = subprocess.run(
            [sys.executable, HERE / "muonlab_adapter.py", program, self.cases,
             self.out, *words], capture_output=True, text=True,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        path = self.out / "sgd.json"
        return json.loads(path.read_text("utf-8"))["results"]

    def test_lists_and_single_requests_give_the_same(self):
        cases = [SGD, SGD | {"name": "sgd/two", "w0": [0.0, 0.0]}]
        batch = self.adapt(cases)
        self.assertEqual(batch[1]["w"], [[-1.0, 2.0], [-2.0, 4.0]])
        self.assertEqual(batch, self.adapt(cases, words=["--single"]))
        self.assertEqual(batch, self.adapt(cases, lists=False))

    def test_a_refused_case_is_an_error_and_the_others_stand(self):
        bad = SGD | {"name": "sgd/bad", "options": {"momentum": -1}}
        good, refused = self.adapt([SGD, bad])
        self.assertIn("w", good)
        self.assertEqual(refused["error"],
                         "exit code 1: muonlab: error: momentum is -1")
        self.expect(1, "FAIL sgd/bad: the implementation failed: exit code 1")


if __name__ == "__main__":
    unittest.main()
