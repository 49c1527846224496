#include "tests/reference/tolerance.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/reference/algebra.h"
#include "tests/reference/twin.h"

namespace muonlab::reference {

namespace {

constexpr double kSize = 1e-7;  // h
constexpr double kEps64 = std::numeric_limits<double>::epsilon();
constexpr double kEps32 = std::numeric_limits<float>::epsilon();

double largest(const Matrix& a) {
  double most = 0;
  for (const double value : a.values) most = std::max(most, std::abs(value));
  return most;
}

Matrix difference(const Matrix& a, const Matrix& b) {
  Matrix d = a;
  add(d, -1, b);
  return d;
}

// The weights after each step from an input that was changed by `seed`.
std::vector<Matrix> disturbed(Trajectory& t, Change change,
                              std::uint64_t seed) {
  Noise noise(kSize, seed);
  noise.disturb(t.w0);
  for (Matrix& gradient : t.gradients) {
    if (change == Change::kElements) {
      noise.disturb(gradient);
    } else {
      Matrix factor(1, 1, {1});
      noise.disturb(factor);
      multiply_by(gradient, factor.at(0, 0));
    }
  }
  return replay_with_noise(t.rule, t.options, t.w0, t.gradients,
                           t.q0 ? &*t.q0 : nullptr,
                           change == Change::kElements ? kSize : 0, seed + 1);
}

double number_or(const Options& options, const std::string& name,
                 double otherwise) {
  const auto found = options.find(name);
  return found == options.end() ? otherwise : std::get<double>(found->second);
}

std::string text_or_empty(const Options& options, const std::string& name) {
  const auto found = options.find(name);
  return found == options.end() ? "" : std::get<std::string>(found->second);
}

// Whether squares of the gradients are taken and are too small for float32, a
// second moment's share of one twentieth included.
bool squares_underflow(const Trajectory& t, const Options& options) {
  if (t.rule == "sgd" || t.rule == "lion" || t.rule == "signum" ||
      text_or_empty(options, "pre") == "sign") {
    return false;
  }
  for (const Matrix& gradient : t.gradients) {
    for (const double g : gradient.values) {
      if (g != 0 && std::abs(g) < 1e-16) return true;
    }
  }
  return false;
}

// Whether gradients of the other sign would lead more than `noticed` away.
bool gradients_matter(const Trajectory& t, const std::vector<Matrix>& weights,
                      double noticed) {
  Trajectory other = t;
  for (Matrix& gradient : other.gradients) multiply_by(gradient, -1);
  const std::vector<Matrix> moved = replay(other);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (largest(difference(moved[i], weights[i])) > noticed) return true;
  }
  return false;
}

}  // namespace

std::vector<Matrix> replay(const Trajectory& t) {
  return replay(t.rule, t.options, t.w0, t.gradients, t.q0 ? &*t.q0 : nullptr);
}

Tolerance tolerance_of(const Trajectory& t, Change change) {
  const std::vector<Matrix> weights = replay(t);
  double weight = largest(t.w0);
  double displacement = 0;
  for (const Matrix& w : weights) {
    weight = std::max(weight, largest(w));
    displacement = std::max(displacement, largest(difference(w, t.w0)));
  }
  double changed = 0;
  constexpr std::uint64_t kSeeds = 4;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Trajectory other = t;
    const std::vector<Matrix> moved = disturbed(other, change, 1000 * seed);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const Matrix apart = difference(difference(moved[i], other.w0),
                                      difference(weights[i], t.w0));
      changed = std::max(changed, largest(apart));
    }
  }
  const double kappa = std::max(changed / kSize, displacement);

  const Options options = resolved_options(t.rule, t.options);
  const auto sides = static_cast<double>(t.w0.rows + t.w0.columns);
  const auto steps = static_cast<double>(weights.size());
  const auto formula = [&](double eps, double inner) {
    return eps * (4 * steps + 2 * sides) * weight + inner * 64 * sides * kappa;
  };
  const bool coarse = text_or_empty(options, "polar_dtype") == "float32";
  Tolerance tolerance;
  tolerance.float64 = formula(kEps64, coarse ? kEps32 : kEps64);
  const double told = std::max(displacement, number_or(options, "lr", 0));
  tolerance.settled = changed <= 1e-3 * told;
  const double single = formula(kEps32, kEps32);
  if (change == Change::kElements && single <= told / 20 &&
      !(squares_underflow(t, options) &&
        gradients_matter(t, weights, single))) {
    tolerance.float32 = single;
  }
  return tolerance;
}

}  // namespace muonlab::reference
