// Dense float64 matrices and their polar factors, written for reading.
#pragma once

#include <cstddef>
#include <vector>

namespace muonlab::reference {

/// Row-major.
struct Matrix {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<double> values;

  Matrix() = default;
  /// All zero.
  Matrix(std::size_t row_count, std::size_t column_count);
  Matrix(std::size_t row_count, std::size_t column_count,
         std::vector<double> row_major);

  double& at(std::size_t i, std::size_t j) { return values[i * columns + j]; }
  [[nodiscard]] double at(std::size_t i, std::size_t j) const {
    return values[i * columns + j];
  }
};

[[nodiscard]] Matrix transpose(const Matrix& a);
[[nodiscard]] Matrix multiply(const Matrix& a, const Matrix& b);
[[nodiscard]] double frobenius_norm(const Matrix& a);
/// Rows first, ..., first + count - 1.
[[nodiscard]] Matrix row_block(const Matrix& a, std::size_t first,
                               std::size_t count);

/// One Newton-Schulz step maps each singular value s to a s + b s^3 + c s^5.
struct Coefficients {
  double a = 0;
  double b = 0;
  double c = 0;
};
inline constexpr Coefficients kKeller = {3.4445, -4.7750, 2.0315};
inline constexpr Coefficients kTaylor = {15.0 / 8, -5.0 / 4, 3.0 / 8};

/// X = M / (|M|_F + eps), then `steps` times
/// X <- a X + b (X X^T) X + c (X X^T)^2 X, on the short side.
[[nodiscard]] Matrix newton_schulz(const Matrix& m, const Coefficients& k,
                                   int steps, double eps);

/// A = U diag(sigma) V^T with min(rows, columns) columns in U and V; sigma is
/// not sorted. Columns of U (or V) that belong to sigma = 0 are zero.
struct Svd {
  Matrix u;
  std::vector<double> sigma;
  Matrix v;
};

/// One-sided Jacobi (Hestenes): plane rotations make the columns orthogonal.
[[nodiscard]] Svd jacobi_svd(const Matrix& a);

/// U V^T over the singular values above max(rows, columns) * eps * the largest.
[[nodiscard]] Matrix polar_factor(const Matrix& a);

}  // namespace muonlab::reference
