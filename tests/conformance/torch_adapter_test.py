#!/usr/bin/env python3
"""torch_adapter.py on cases made by hand, and torch.optim on the whole suite.

usage: torch_adapter_test.py [unittest's arguments]. Exit code 77: torch or
NumPy is not installed.
"""

import copy
import json
import pathlib
import subprocess
import sys
import unittest

import judge_test

try:
    import numpy  # noqa: F401
    import torch  # noqa: F401
except ImportError as missing:
    print(f"skipped: the Python package {missing.name} is not installed")
    sys.exit(77)

HERE = pathlib.Path(__file__).resolve().parent


class Adapted(judge_test.Case):
    def run_adapter(self, dtype="float64"):
        done = subprocess.run(
            [sys.executable, HERE / "torch_adapter.py", self.cases, self.out,
             "--dtype", dtype], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def results(self, rule):
        path = self.out / f"{rule}.json"
        return json.loads(path.read_text("utf-8"))["results"]


class OwnCases(Adapted):
    def test_sgd_by_hand(self):
        self.write_cases(judge_test.SGD)
        self.run_adapter()
        self.expect(0, "1 passed")

    def test_options_that_torch_lacks_are_named(self):
        lacking = {
            "sgd": [({"decay": "cautious"}, "decay cautious"),
                    ({"dampening": 0.1}, "option dampening")],
            "adamw": [({"eps_placement": "inside"}, "eps_placement inside"),
                      ({"decay": "independent"}, "decay independent")],
            "muon": [({"scale": "s3"}, "scale s3"),
                     ({"polar": {"method": "svd"}}, "polar_method svd"),
                     ({"polar_coefficients": "you5"}, "one row for all steps"),
                     ({"scale_factor": 2}, "scale_factor 2"),
                     ({"momentum_form": "ema-corrected"}, "momentum_form"),
                     ({"polar_steps": 100}, "torch.optim refuses")],
            "lion": [({}, "torch.optim has no lion")]}
        for rule, options in lacking.items():
            self.write_cases(*[
                judge_test.SGD | {"name": f"{rule}/{i}", "rule": rule,
                                  "options": o}
                for i, (o, _) in enumerate(options)])
        self.run_adapter()
        for rule, options in lacking.items():
            for result, (_, reason) in zip(self.results(rule), options,
                                           strict=True):
                self.assertIn(reason, result["unsupported"])

    def test_a_zero_gradient_is_not_torch_s_to_skip(self):
        skip = copy.deepcopy(judge_test.SGD) | {"rule": "muon", "options": {}}
        skip["gradients"][1] = [0.0, 0.0]
        take = skip | {"name": "muon/take", "options": {"skip_zero": False}}
        self.write_cases(skip, take)
        self.run_adapter()
        refused, done = self.results("muon")
        self.assertIn("zeros", refused["unsupported"])
        self.assertIn("w", done)

    def test_muon_is_within_bfloat16_and_not_within_float32(self):
        self.write_cases(judge_test.muon_case()[0])
        self.run_adapter("float32")
        self.expect(1, "FAIL muon/wide: step 1")
        self.expect(0, words=["--dtype", "bfloat16-polar"])


class Suite(Adapted):
    """What README.md says of torch.optim."""

    def setUp(self):
        super().setUp()
        self.cases = HERE / "cases"

    @staticmethod
    def words(*rules):
        return [word for rule in rules for word in ("--rule", rule)]

    def test_the_elementwise_rules_are_the_reference_s(self):
        for dtype in ("float32", "float64"):
            self.run_adapter(dtype)
            self.expect(0, words=self.words("adamw", "adam", "sgd"))

    def test_muon_is_the_reference_s_but_for_bfloat16(self):
        rules = self.words("torch-muon", "muon", "muonw")
        for dtype in ("float32", "float64"):
            self.run_adapter(dtype)
            self.expect(1, "FAIL torch-muon/shape=3x5", words=rules)
            self.expect(0, words=[*rules, "--dtype", "bfloat16-polar"])


if __name__ == "__main__":
    unittest.main()
