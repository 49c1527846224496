"""How far W may be from the float64 reference when Newton-Schulz runs in
bfloat16, for judge.py --dtype bfloat16-polar. README.md says what it is worth.

Every stored result of the iteration is rounded to bfloat16: X_0 (cast, norm,
quotient), and in each step A = X X^T, the two terms and the sum of
Q = b A + c A^2, and those of a X + Q X; sums of products are in float32. The
model: rounding errors are independent and of mean zero, each of R = 2^-8 /
sqrt(3) of its entry (uniform within half a unit in the last place, at the
smallest significand), and spread evenly in the basis of the singular vectors.
The worst case instead of this model would be a hundred times as wide, and say
nothing.

An error in X_i moves the result by the derivative of the rest of the
iteration, which is U diag(f(s)) V^T for an odd polynomial f of the singular
values s of X_i. In the basis of U and V it multiplies the symmetric part of the
error by (f_i - f_j) / (s_i - s_j), the antisymmetric one by
(f_i + f_j) / (s_i + s_j), and what lies outside the square by f_i / s_i. The
errors of one direction add as squares; those of the steps, of which consecutive
ones resemble each other, as they are. The bound is FACTOR times that.
"""

import math

import numpy

import suite

R = 2.0 ** -8 / math.sqrt(3)
FACTOR = 2.0
SINGLE = 2.0 ** -24

# Rows (a, b, c) of Newton-Schulz steps; step i takes row min(i, last).
ROWS = {
    "keller": [(3.4445, -4.7750, 2.0315)],
    "taylor": [(15 / 8, -5 / 4, 3 / 8)],
    "cubic": [(3 / 2, -1 / 2, 0.0)],
    "simple": [(2.0, -3 / 2, 1 / 2)],
    "su1": [(3.3748, -4.6969, 2.1433)],
    "polar-express-modded": [
        (8.156554524902461, -22.48329292557795, 15.878769915207462),
        (4.042929935166739, -2.808917465908714, 0.5000178451051316),
        (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
        (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
        (2.3465413258596377, -1.7097828382687081, 0.42323551169305323)],
}
SAFETY = {"polar-express-modded": 1.02}


def directions(case, o):
    """What the polar factor is taken of, step by step."""
    b, buffer = o["momentum"], 0.0
    weight = 1 - b if o["momentum_form"] == "ema" else 1.0
    for values in case["gradients"]:
        gradient = numpy.array(values).reshape(case["shape"])
        buffer = b * buffer + weight * gradient
        yield weight * gradient + b * buffer if o["nesterov"] else buffer


def scale_of(o, shape):
    r, c = shape
    return o["scale_factor"] * {
        "s1": 1.0, "s2": math.sqrt(max(1, r / c)), "s3": math.sqrt(r / c),
        "s4": 0.2 * math.sqrt(max(r, c)), "s5": math.sqrt(max(r, c)),
    }[o["scale"]]


def step(s, row):
    """One Newton-Schulz step of singular values, and its derivative."""
    a, b, c = row
    return (a * s + b * s ** 3 + c * s ** 5,
            a + 3 * b * s ** 2 + 5 * c * s ** 4)


def derivative(s, rows):
    """Of the steps `rows` at singular values s: its mean square factors, for
    the n x n square (a matrix) and for what lies outside it (a vector)."""
    f, slope, zero_slope = s, numpy.ones_like(s), 1.0
    for row in rows:
        f, factor = step(f, row)
        slope = slope * factor
        zero_slope *= row[0]
    near = 1e-8
    minus, plus = s[:, None] - s[None, :], s[:, None] + s[None, :]
    with numpy.errstate(divide="ignore", invalid="ignore"):
        symmetric = numpy.where(abs(minus) < near, slope[:, None],
                                (f[:, None] - f[None, :]) / minus)
        skew = numpy.where(plus < near, zero_slope,
                           (f[:, None] + f[None, :]) / plus)
        outside = numpy.where(s < near, zero_slope, f / s)
    numpy.fill_diagonal(skew, numpy.diag(symmetric))
    return (symmetric ** 2 + skew ** 2) / 2, outside ** 2, slope


def start(direction, o):
    """X_0, D over its norm, with eps added or as a floor."""
    length, eps = numpy.linalg.norm(direction), o["polar_eps"]
    length *= SAFETY.get(o["polar_coefficients"], 1.0)
    clamp = o["polar_eps_mode"] == "clamp"
    return direction / (max(length, eps) if clamp else length + eps)


def polar_error(x, rows):
    """The model's error of the polar factor that starts at X_0 = x, in the
    Frobenius norm."""
    n, m = sorted(x.shape)
    s = numpy.linalg.svd(x, compute_uv=False)

    def square(values):
        return float((values ** 2).sum())

    def spread(energy, inside, outside):
        """An error of this energy, evenly spread over the n x m entries."""
        return energy * (inside.sum() + (m - n) * outside.sum()) / (n * m)

    inside, outside, slope = derivative(s, rows)
    # Cast and quotient; the norm's rounding scales all of X_0.
    energy = (spread(2 * square(s), inside, outside) + square(slope * s))
    for i, (a, b, c) in enumerate(rows):
        gram, after = s ** 2, step(s, (a, b, c))[0]
        q = b * gram + c * gram ** 2
        inside, outside, _ = derivative(after, rows[i + 1:])
        # An error of A or Q meets X from the left: column j is times s_j.
        to_q = (b + c * (gram[:, None] + gram[None, :])) ** 2
        to_x = inside * gram[None, :]
        energy += (square(gram) * (to_q * to_x).sum() / n ** 2 +
                   (square(b * gram) + square(c * gram ** 2) + square(q)) *
                   to_x.sum() / n ** 2 +
                   spread(square(a * s) + square(q * s) + square(after),
                          inside, outside))
        s = after
    return R * math.sqrt(energy)


def bounds(case):
    """The bound after each step, or None where the rule or an option is beyond
    what is derived above."""
    if case["rule"] not in ("muon", "torch-muon", "muonw", "dion-muon"):
        return None
    o = suite.resolve(case["rule"], case["options"])
    plain = {"pre": "none", "post": "none", "direction": "polar",
             "polar_method": "newton-schulz", "polar_norm": "frobenius",
             "qk_clip": 0}
    if (any(o[key] != value for key, value in plain.items()) or
            o["momentum_form"] == "ema-corrected" or
            o["polar_coefficients"] not in ROWS or
            o["scale"] not in ("s1", "s2", "s3", "s4", "s5") or
            o["decay"] not in ("decoupled", "additive", "after")):
        return None
    table, steps = ROWS[o["polar_coefficients"]], o["polar_steps"]
    rows = [table[min(i, len(table) - 1)] for i in range(steps)]
    rate = o["lr"] * scale_of(o, case["shape"])
    w0 = numpy.linalg.norm(case["w0"])
    total, all_steps = 0.0, []
    for count, direction in enumerate(directions(case, o), 1):
        error = polar_error(start(direction, o), rows)
        total += FACTOR * rate * error
        # And W itself, rounded to float32 a few times a step.
        all_steps.append(total + 8 * count * SINGLE * (w0 + total))
    return all_steps
