// Weights and gradients of the conformance cases: pseudo-random decimals of
// three digits, which print and read back the same anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/reference/matrix.h"

namespace muonlab::reference {

struct Shape {
  std::size_t rows = 0;
  std::size_t columns = 0;
};

class Decimals {
 public:
  explicit Decimals(std::uint64_t seed);
  /// Whole, in [-999, 999] without 0.
  int next();
  /// Elements next() * 10^exponent, rounded once from the decimal.
  Matrix matrix(Shape shape, int exponent = -3);
  std::vector<Matrix> matrices(std::size_t count, Shape shape,
                               int exponent = -3);
  /// Of rank 1 exactly, in any binary format: powers of two times decimals.
  Matrix rank_one(Shape shape);

 private:
  std::uint64_t state_;
};

}  // namespace muonlab::reference
