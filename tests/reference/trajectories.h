// What the tests of the twins share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/reference/algebra.h"
#include "tests/reference/golden.h"
#include "tests/reference/replay.h"

namespace muonlab::reference {

inline constexpr double kExact = 1e-14;  ///< some roundings of numbers around 1

/// The largest difference of two elements; infinite if one is not a number.
inline double distance(const Matrix& a, const Matrix& b) {
  Matrix difference = a;
  add(difference, -1, b);
  double largest = 0;
  for (const double value : difference.values) {
    if (std::isnan(value)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(value));
  }
  return largest;
}

inline double distance(const std::vector<Matrix>& a,
                       const std::vector<Matrix>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, distance(a[i], b[i]));
  }
  return largest;
}

/// Four steps of the published example, its gradients times `factor`.
inline std::vector<Matrix> tall(const std::string& rule, const Options& options,
                                double factor = 1) {
  std::vector<Matrix> gradients = golden_gradients(4);
  for (Matrix& g : gradients) multiply_by(g, factor);
  return replay(rule, options, golden_weight(), gradients);
}

/// The same, transposed.
inline std::vector<Matrix> wide(const std::string& rule,
                                const Options& options) {
  std::vector<Matrix> gradients;
  for (const Matrix& g : golden_gradients(4)) {
    gradients.push_back(transpose(g));
  }
  return replay(rule, options, transpose(golden_weight()), gradients);
}

/// (W - W') / lr of one step without decay.
inline Matrix update(const Matrix& before, const Matrix& after, double lr) {
  Matrix u = before;
  add(u, -1, after);
  multiply_by(u, 1 / lr);
  return u;
}

inline double rms(const Matrix& a) {
  return frobenius_norm(a) / std::sqrt(static_cast<double>(a.values.size()));
}

}  // namespace muonlab::reference
