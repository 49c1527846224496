#!/usr/bin/env python3
"""`muonlab stats --json` on random tables against SciPy.

usage: stats_judge.py --muonlab PROGRAM

Twenty tables of four arms with 3 to 12 seeds. All that is computed exactly must
agree to 1e-10, relative to the larger of the number and 1e-3 of its scale; BCa
intervals, drawn by other generators, to their Monte Carlo error.
"""
import argparse
import itertools
import json
import subprocess
import sys

try:
    import numpy as np
    from scipy import stats
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

TABLES = 20
MARGIN = 0.01
RESAMPLES = 50_000
# A quantile of B draws at the share q has the standard error
# sqrt(q (1 - q) / B) / density: with q = .01, where BCa may move it, and a
# normal density, 0.0167 deviations; two of them, five standard errors.
BCA_TOLERANCE = 5 * 2**0.5 * 0.0167


class Judge:
    def __init__(self):
        self.checked = 0
        self.worst = 0.0
        self.problems = []

    def equal(self, what, actual, expected, scale):
        error = abs(actual - expected) / max(abs(expected), 1e-3 * scale)
        self.checked += 1
        self.worst = max(self.worst, error)
        if not error <= 1e-10:
            self.problems.append(f"{what}: muonlab {actual!r}, SciPy {expected!r}")

    def within(self, what, actual, expected, tolerance):
        self.checked += 1
        if not abs(actual - expected) <= tolerance:
            self.problems.append(
                f"{what}: muonlab {actual!r}, SciPy {expected!r}, +-{tolerance:.3g}")


def table(seed):
    """{arm: values}: shared seed effects, arms apart by a few noises or none."""
    source = np.random.default_rng(seed)
    n = 3 + seed % 10
    common = source.normal(4.5, 0.02, n)
    return {f"arm{k}": (common + source.normal(0.02 * k * (seed % 3), 0.015, n)).tolist()
            for k in range(4)}


def page_of(program, arms, *options):
    text = "arm,seed,value\n" + "".join(
        f"{arm},{i},{value!r}\n" for arm, values in arms.items()
        for i, value in enumerate(values))
    done = subprocess.run([program, "stats", "-", "--json", *options], input=text,
                          text=True, capture_output=True, check=True)
    return json.loads(done.stdout)


def holm(p_values):
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def check_tests(judge, name, pair, a, b):
    paired = stats.ttest_rel(a, b)
    low, high = paired.confidence_interval(0.95)
    welch = stats.ttest_ind(a, b, equal_var=False)
    judge.equal(f"{name} t", pair["t"], paired.statistic, 1)
    judge.equal(f"{name} p_paired", pair["p_paired"], paired.pvalue, 1e-6)
    judge.equal(f"{name} low", pair["ci95"][0], low, high - low)
    judge.equal(f"{name} high", pair["ci95"][1], high, high - low)
    judge.equal(f"{name} p_welch", pair["p_welch"], welch.pvalue, 1e-6)
    judge.equal(f"{name} df_welch", pair["df_welch"], welch.df, 1)
    flips = stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), vectorized=True,
        permutation_type="samples", n_resamples=np.inf)
    judge.equal(f"{name} p_sign_flip", pair["p_sign_flip"], flips.pvalue, 1)
    if len(a) <= 8:  # 12,870 splits; twelve and twelve take SciPy minutes
        labels = stats.permutation_test(
            (a, b), lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
            vectorized=True, permutation_type="independent", n_resamples=np.inf)
        judge.equal(f"{name} p_permutation", pair["p_permutation"], labels.pvalue, 1)


def check_sizes(judge, name, pair, a, b):
    a, b = np.array(a), np.array(b)
    above = stats.ttest_1samp(a - b + MARGIN, 0, alternative="greater").pvalue
    below = stats.ttest_1samp(a - b - MARGIN, 0, alternative="less").pvalue
    judge.equal(f"{name} tost", pair["tost"]["p"], max(above, below), 1e-6)
    n = len(a)
    pooled = np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)
    g = (1 - 3 / (8 * n - 9)) * (a.mean() - b.mean()) / pooled
    judge.equal(f"{name} hedges_g", pair["hedges_g"], g, 1)
    wins = stats.mannwhitneyu(b, a).statistic / (n * n)
    judge.equal(f"{name} P", pair["probability_of_improvement"], wins, 1)
    judge.equal(f"{name} sd", pair["sd_difference"], np.std(a - b, ddof=1), 1)
    needed = pair["n_for_80_percent_power"]
    if needed is not None and 3 < needed < 10_000:
        def power(m):
            bound = stats.t.ppf(0.975, m - 1)
            shift = abs(np.mean(a - b)) / np.std(a - b, ddof=1) * np.sqrt(m)
            return stats.nct.sf(bound, m - 1, shift) + stats.nct.cdf(-bound, m - 1, shift)
        judge.checked += 1
        if not (power(needed) >= 0.8 > power(needed - 1)):
            judge.problems.append(f"{name} n_for_80_percent_power: {needed}")


def check_bca(judge, name, pair, a, b, seed):
    if len(a) < 8:
        judge.checked += 1
        if pair["ci95_bca"] is not None:
            judge.problems.append(f"{name}: a BCa interval of n = {len(a)}")
        return
    made = stats.bootstrap(
        (np.subtract(a, b),), np.mean, n_resamples=RESAMPLES, method="BCa",
        rng=np.random.default_rng(seed))
    tolerance = BCA_TOLERANCE * made.standard_error
    judge.within(f"{name} BCa low", pair["ci95_bca"][0],
                 made.confidence_interval.low, tolerance)
    judge.within(f"{name} BCa high", pair["ci95_bca"][1],
                 made.confidence_interval.high, tolerance)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--muonlab", required=True)
    program = parser.parse_args().muonlab
    judge = Judge()
    for seed in range(TABLES):
        arms = table(seed)
        page = page_of(program, arms, "--margin", str(MARGIN),
                       "--resamples", str(RESAMPLES))
        pairs = page["comparisons"]
        expected = list(itertools.combinations(arms, 2))
        if [tuple(pair["arms"]) for pair in pairs] != expected:
            judge.problems.append(f"table {seed}: pairs {expected}")
            continue
        for pair, (first, second) in zip(pairs, expected):
            name = f"table {seed} {first}-{second}"
            check_tests(judge, name, pair, arms[first], arms[second])
            check_sizes(judge, name, pair, arms[first], arms[second])
            check_bca(judge, name, pair, arms[first], arms[second], seed)
        p_values = [stats.ttest_rel(arms[a], arms[b]).pvalue for a, b in expected]
        for pair, p in zip(pairs, holm(p_values)):
            judge.equal(f"table {seed} p_holm", pair["p_holm"], p, 1e-6)
    for problem in judge.problems:
        print("WRONG:", problem)
    print(f"{TABLES} tables, {judge.checked} numbers, {len(judge.problems)} wrong; "
          f"largest relative difference of the exact ones {judge.worst:.1e}")
    return 1 if judge.problems else 0


if __name__ == "__main__":
    sys.exit(main())
