#include "tests/reference/case_inputs.h"

#include <cstdlib>

namespace muonlab::reference {

Decimals::Decimals(std::uint64_t seed) : state_(seed) {
  for (int i = 0; i < 3; ++i) (void)next();  // near seeds start alike
}

int Decimals::next() {
  // Knuth's 64-bit congruential generator; its high bits are the good ones.
  state_ = state_ * 6364136223846793005U + 1442695040888963407U;
  const int number = static_cast<int>((state_ >> 33) % 1998) - 999;
  return number < 0 ? number : number + 1;
}

Matrix Decimals::matrix(Shape shape, int exponent) {
  Matrix m(shape.rows, shape.columns);
  for (double& value : m.values) {
    const std::string text =
        std::to_string(next()) + "e" + std::to_string(exponent);
    value = std::strtod(text.c_str(), nullptr);
  }
  return m;
}

std::vector<Matrix> Decimals::matrices(std::size_t count, Shape shape,
                                       int exponent) {
  std::vector<Matrix> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(matrix(shape, exponent));
  }
  return all;
}

Matrix Decimals::rank_one(Shape shape) {
  const Matrix row = matrix({1, shape.columns});
  Matrix m(shape.rows, shape.columns);
  for (std::size_t i = 0; i < shape.rows; ++i) {
    const int number = next();
    const double power = (number % 2 == 0 ? 1 : 0.5) * (number > 0 ? 1 : -1);
    for (std::size_t j = 0; j < shape.columns; ++j) {
      m.at(i, j) = power * row.at(0, j);
    }
  }
  return m;
}

}  // namespace muonlab::reference
