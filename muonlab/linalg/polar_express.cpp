#include "muonlab/linalg/polar_express.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "muonlab/core/error.h"

namespace muonlab {

namespace {

// The exchange is ill-conditioned where lower and upper come near each other:
// extended precision keeps the digits that double would lose.
using Real = long double;
using System = std::array<std::array<Real, 5>, 4>;  // the last column is right

// Gaussian elimination with row pivoting.
std::array<Real, 4> solve(System m) {
  for (std::size_t k = 0; k < 4; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < 4; ++i) {
      if (std::abs(m[i][k]) > std::abs(m[pivot][k])) pivot = i;
    }
    std::swap(m[k], m[pivot]);
    for (std::size_t i = k + 1; i < 4; ++i) {
      const Real factor = m[i][k] / m[k][k];
      for (std::size_t j = k; j < 5; ++j) m[i][j] -= factor * m[k][j];
    }
  }
  std::array<Real, 4> x{};
  for (std::size_t k = 4; k-- > 0;) {
    Real sum = m[k][4];
    for (std::size_t j = k + 1; j < 4; ++j) sum -= m[k][j] * x[j];
    x[k] = sum / m[k][k];
  }
  return x;
}

double value(const Quintic& q, double x) {
  const double x2 = x * x;
  return x * (q.a + x2 * (q.b + x2 * q.c));
}

// With the smallest value, at `lower`, as far below 1 as the largest is above.
Quintic centred(const Quintic& q, double lower, double upper) {
  // A quintic is largest at the end, a cubic between.
  const double peak = q.c != 0 ? upper : std::sqrt(-q.a / (3 * q.b));
  const double factor = 2 / (value(q, lower) + value(q, peak));
  return {q.a * factor, q.b * factor, q.c * factor};
}

void check(const PolarExpressOptions& o) {
  MUONLAB_CHECK(o.upper > 0 && std::isfinite(o.upper),
                "polar-express: upper: got ", o.upper,
                ", expected more than 0");
  MUONLAB_CHECK(o.lower > 0 && o.lower < o.upper, "polar-express: lower: got ",
                o.lower, ", expected more than 0 and less than upper, ",
                o.upper);
  MUONLAB_CHECK(o.steps >= 1 && o.steps <= 100, "polar-express: steps: got ",
                o.steps, ", expected 1 to 100");
  MUONLAB_CHECK(o.degree == 3 || o.degree == 5, "polar-express: degree: got ",
                o.degree, ", expected 3 or 5");
  MUONLAB_CHECK(o.cushion >= 0 && o.cushion < 1, "polar-express: cushion: got ",
                o.cushion, ", expected 0 or more and less than 1");
  MUONLAB_CHECK(o.safety >= 1 && o.safety < 2, "polar-express: safety: got ",
                o.safety, ", expected 1 or more and less than 2");
}

}  // namespace

Quintic optimal_quintic(double lower, double upper) {
  const Real l = lower;
  const Real u = upper;
  // So close that the system loses its rank; the limit is the Taylor step.
  if (l / u >= 1 - 5e-6L) {
    return {static_cast<double>(15 / (8 * u)),
            static_cast<double>(-10 / (8 * u * u * u)),
            static_cast<double>(3 / (8 * u * u * u * u * u))};
  }
  Real q = (3 * l + u) / 4;
  Real r = (l + 3 * u) / 4;
  std::array<Real, 4> x{};
  Real before = std::numeric_limits<Real>::infinity();
  // It settles within ten rounds; the limit only guards against the last bit
  // going back and forth.
  for (int round = 0; round < 100; ++round) {
    System system{};
    const std::array<Real, 4> points = {l, q, r, u};
    for (std::size_t i = 0; i < 4; ++i) {
      const Real t = points[i];
      const Real t3 = t * t * t;
      system[i] = {t, t3, t3 * t * t, i % 2 == 0 ? 1.0L : -1.0L, 1.0L};
    }
    x = solve(system);
    // The new points are where the slope is zero.
    const auto [a, b, c, error] = x;
    const Real root = std::sqrt(9 * b * b - 20 * a * c);
    q = std::sqrt((-3 * b - root) / (10 * c));
    r = std::sqrt((-3 * b + root) / (10 * c));
    if (std::abs(error - before) <= 1e-15L) break;
    before = error;
  }
  return {static_cast<double>(x[0]), static_cast<double>(x[1]),
          static_cast<double>(x[2])};
}

Quintic optimal_cubic(double lower, double upper) {
  const double l = lower;
  const double u = upper;
  const double alpha = std::sqrt(3 / (u * u + l * u + l * l));
  const double beta = 4 / (2 + l * u * (l + u) * alpha * alpha * alpha);
  return {1.5 * alpha * beta, -0.5 * alpha * alpha * alpha * beta, 0};
}

PolarTable polar_express_table(const PolarExpressOptions& options) {
  check(options);
  const auto best = options.degree == 5 ? optimal_quintic : optimal_cubic;
  PolarTable table;
  table.name = "polar-express, generated";
  table.safety = options.safety;
  table.source = "arXiv 2505.16932";
  double l = options.lower;
  double u = options.upper;
  for (int step = 0; step < options.steps; ++step) {
    const double cushioned = options.cushion * u;
    Quintic q = best(std::max(l, cushioned), u);
    if (cushioned > l) q = centred(q, l, u);
    table.rows.push_back(q);
    if (step + 1 < options.steps) {
      Quintic& row = table.rows.back();
      row = damped({row, row}, options.safety).front();
    }
    l = value(table.rows.back(), l);
    u = 2 - l;  // the band is symmetric around 1
  }
  return table;
}

}  // namespace muonlab
