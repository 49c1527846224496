// Random tensors, honest comparisons, and the way to the float64 reference.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/linalg/tensor_view.h"
#include "tests/reference/matrix.h"

namespace muonlab::testing {

/// Standard normal float64 values, a pure function of the seed.
inline at::Tensor random_tensor(at::IntArrayRef shape, std::uint64_t seed) {
  const core::Random random(seed, "test");
  std::int64_t count = 1;
  for (const std::int64_t d : shape) count *= d;
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = random.normal(0, i);
  }
  return linalg::tensor_of(values).view(shape);
}

/// Same shape and every |actual - expected| <= bound. NaN and infinity are
/// never close to anything, and empty tensors have nothing to compare: both
/// fail.
inline ::testing::AssertionResult close(const at::Tensor& actual,
                                        const at::Tensor& expected,
                                        double bound) {
  if (actual.sizes() != expected.sizes()) {
    return ::testing::AssertionFailure()
           << "shape " << actual.sizes() << ", expected " << expected.sizes();
  }
  const std::vector<double> a = linalg::values_of(actual);
  const std::vector<double> e = linalg::values_of(expected);
  if (a.empty()) return ::testing::AssertionFailure() << "nothing to compare";
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - e[i]);
    if (!(difference <= bound)) {
      return ::testing::AssertionFailure()
             << "value " << i << ": got " << a[i] << ", expected " << e[i]
             << ": off by " << difference << ", bound " << bound;
    }
  }
  return ::testing::AssertionSuccess();
}

/// Same dtype, shape and bytes.
inline ::testing::AssertionResult same_bits(const at::Tensor& a,
                                            const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) {
    return ::testing::AssertionFailure() << "different dtype or shape";
  }
  const at::Tensor left = a.detach().contiguous();
  const at::Tensor right = b.detach().contiguous();
  const auto x = linalg::bytes_of(left);
  const auto y = linalg::bytes_of(right);
  if (!std::equal(x.begin(), x.end(), y.begin(), y.end())) {
    return ::testing::AssertionFailure()
           << "largest difference "
           << (left.to(at::kDouble) - right.to(at::kDouble)).abs().max().item();
  }
  return ::testing::AssertionSuccess();
}

/// Dimensions after the first are flattened.
inline reference::Matrix to_matrix(const at::Tensor& tensor) {
  const auto rows = static_cast<std::size_t>(tensor.size(0));
  return {rows, static_cast<std::size_t>(tensor.numel()) / rows,
          linalg::values_of(tensor)};
}

inline at::Tensor to_tensor(const reference::Matrix& m) {
  return linalg::tensor_of(m.values).view(
      {static_cast<std::int64_t>(m.rows),
       static_cast<std::int64_t>(m.columns)});
}

/// What rounding may do to `steps` Newton-Schulz steps on (rows, columns): each
/// step rounds inner products of `rows + columns` terms (the errors add up like
/// a random walk, hence the root), the coefficients are below 5, and an error
/// grows by at most `slope` in each later step.
inline double newton_schulz_bound(double slope, int steps, std::int64_t rows,
                                  std::int64_t columns, double eps) {
  return 5 * steps * std::pow(slope, steps) *
         std::sqrt(static_cast<double>(rows + columns)) * eps;
}

}  // namespace muonlab::testing
