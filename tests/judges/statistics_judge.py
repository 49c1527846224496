#!/usr/bin/env python3
"""SciPy's and NumPy's values for tests/statistics/statistics_test.cpp.

usage: statistics_judge.py

Prints a table of the statistics of fixed samples, 17 significant digits. The
test holds these numbers; run this again to see where they come from.
"""
import numpy as np
import scipy
from scipy import stats

# Final losses of five seeds, and an uneven pair for Welch's test.
MUON = [4.6301, 4.5773, 4.5820, 4.5988, 4.6003]
ADAMW = [4.6822, 4.6503, 4.6442, 4.6596, 4.6718]
NEAR = [4.6790, 4.6561, 4.6430, 4.6601, 4.6702]
SHORT = [4.61, 4.58, 4.63]
RATES = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016]
LOSSES = [4.91, 4.74, 4.66, 4.69, 4.85, 5.9]


def row(name, value):
    print(f"{name:32s} {float(value):.17g}")


def paired(name, a, b):
    test = stats.ttest_rel(a, b)
    interval = test.confidence_interval(0.95)
    row(f"{name} difference", np.mean(np.subtract(a, b)))
    row(f"{name} t", test.statistic)
    row(f"{name} p", test.pvalue)
    row(f"{name} low", interval.low)
    row(f"{name} high", interval.high)
    flips = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), vectorized=False,
        permutation_type="samples", n_resamples=np.inf)
    row(f"{name} sign flip p", flips.pvalue)


def welch(name, a, b):
    test = stats.ttest_ind(a, b, equal_var=False)
    interval = test.confidence_interval(0.95)
    row(f"{name} t", test.statistic)
    row(f"{name} df", test.df)
    row(f"{name} p", test.pvalue)
    row(f"{name} low", interval.low)
    row(f"{name} high", interval.high)


def hedges(name, a, b):
    n1, n2 = len(a), len(b)
    pooled = np.sqrt(((n1 - 1) * np.var(a, ddof=1) +
                      (n2 - 1) * np.var(b, ddof=1)) / (n1 + n2 - 2))
    factor = 1 - 3 / (4 * (n1 + n2) - 9)
    row(f"{name} g", factor * (np.mean(a) - np.mean(b)) / pooled)


def parabola():
    # The best five of the six trials.
    c2, c1, c0 = np.polyfit(np.log2(RATES[:5]), LOSSES[:5], 2)
    row("parabola optimum", 2 ** (-c1 / (2 * c2)))
    row("parabola loss", c0 - c1 * c1 / (4 * c2))
    row("parabola curvature", c2)


def unpaired(name, a, b):
    pooled = stats.ttest_ind(a, b)
    row(f"{name} pooled t", pooled.statistic)
    row(f"{name} pooled p", pooled.pvalue)
    labels = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x) - np.mean(y), vectorized=False,
        permutation_type="independent", n_resamples=np.inf)
    row(f"{name} permutation p", labels.pvalue)
    wins = stats.mannwhitneyu(b, a).statistic / (len(a) * len(b))
    row(f"{name} P(first lower)", wins)


def equivalence(name, a, b, margin):
    low = stats.ttest_rel(np.subtract(a, b) + margin, np.zeros(len(a)),
                          alternative="greater").pvalue
    high = stats.ttest_rel(np.subtract(a, b) - margin, np.zeros(len(a)),
                           alternative="less").pvalue
    row(f"{name} TOST p", max(low, high))


def bias_and_acceleration():
    """z0 and a of BCa, by SciPy's own function, from resamples given here."""
    from scipy.stats import _resampling
    rest = [np.delete(MUON, i) for i in range(len(MUON))]
    left_out = np.array([np.mean(r) for r in rest])
    resampled = [4.59, 4.60, 4.58, 4.5977, 4.61, 4.605, 4.57, 4.599]
    share = (np.mean(np.array(resampled) < 4.5977) +
             np.mean(np.array(resampled) <= 4.5977)) / 2
    row("z0", stats.norm.ppf(share))
    u = (len(MUON) - 1) * (left_out.mean() - left_out)
    row("a", np.sum(u**3) / (6 * np.sum(u**2)**1.5))
    statistic = lambda x, axis=-1: np.mean(x, axis=axis)
    alpha = _resampling._bca_interval(
        (np.array(MUON),), statistic, axis=-1, alpha=0.025,
        theta_hat_b=np.array(resampled), batch=None, xp=np)
    row("SciPy's a", alpha[2])
    two = _resampling._bca_interval(
        (np.array(MUON), np.array(SHORT)),
        lambda x, y, axis=-1: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        axis=-1, alpha=0.025, theta_hat_b=np.array(resampled) - 4.6,
        batch=None, xp=np)
    row("SciPy's a of two groups", two[2])


def power(name, shift, df):
    bound = stats.t.ppf(0.975, df)
    row(f"power {name}", stats.nct.sf(bound, df, shift) +
        stats.nct.cdf(-bound, df, shift))


def main():
    print(f"SciPy {scipy.__version__}, NumPy {np.__version__}")
    paired("muon-adamw", MUON, ADAMW)
    paired("near-adamw", NEAR, ADAMW)
    welch("muon-adamw welch", MUON, ADAMW)
    welch("short-adamw welch", SHORT, ADAMW)
    hedges("muon-adamw", MUON, ADAMW)
    hedges("short-adamw", SHORT, ADAMW)
    row("sd muon", np.std(MUON, ddof=1))
    for probability, df in [(0.975, 1), (0.975, 4), (0.975, 19), (0.6, 2.5)]:
        row(f"t quantile {probability} df {df}",
            stats.t.ppf(probability, df))
    parabola()
    unpaired("muon-adamw", MUON, ADAMW)
    unpaired("short-near", SHORT, NEAR)
    equivalence("near-adamw", NEAR, ADAMW, 0.005)
    r = stats.pearsonr(MUON, ADAMW)
    row("pearson r", r.statistic)
    row("pearson p", r.pvalue)
    row("population sd muon", np.std(MUON))
    row("quantile .9 muon", np.quantile(MUON, 0.9))
    one = stats.ttest_1samp(MUON, 4.6)
    row("one sample t", one.statistic)
    row("one sample p", one.pvalue)
    bias_and_acceleration()
    power("groups .002 .0013 7", 0.002 / (0.0013 * np.sqrt(2 / 7)), 12)
    power("pairs .002 .0013 5", 0.002 / (0.0013 / np.sqrt(5)), 4)
    line = stats.linregress(np.log([1, 2, 4, 8]), [1.42, 1.34, 1.33, 1.42])
    row("trend slope", line.slope)
    row("trend p", line.pvalue)
    row("trend half width", stats.t.ppf(0.975, 2) * line.stderr)


if __name__ == "__main__":
    main()
