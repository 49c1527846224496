// What the twins need of linear algebra beyond matrix.h, written for reading.
#pragma once

#include <vector>

#include "tests/reference/matrix.h"

namespace muonlab::reference {

/// a <- a + factor b.
void add(Matrix& a, double factor, const Matrix& b);
/// a <- factor a.
void multiply_by(Matrix& a, double factor);
/// a <- keep a + add b, element by element.
void blend(Matrix& a, double keep, double share, const Matrix& b);
[[nodiscard]] Matrix squared(const Matrix& a);
/// Sum of a_ij b_ij.
[[nodiscard]] double inner(const Matrix& a, const Matrix& b);
[[nodiscard]] bool is_zero(const Matrix& a);
[[nodiscard]] Matrix identity(std::size_t size);
/// Columns `order[0]`, `order[1]`, ... of `a`.
[[nodiscard]] Matrix take_columns(const Matrix& a,
                                  const std::vector<std::size_t>& order);
[[nodiscard]] Matrix take_rows(const Matrix& a,
                               const std::vector<std::size_t>& order);
/// The places of `values` from the largest value down; equal ones keep their
/// order.
[[nodiscard]] std::vector<std::size_t> descending(
    const std::vector<double>& values);

/// A = Q diag(values) Q^T, the values from the largest down.
struct Eigen {
  std::vector<double> values;
  Matrix vectors;
};

/// Cyclic two-sided Jacobi of a symmetric matrix.
[[nodiscard]] Eigen jacobi_eigen(const Matrix& symmetric);

/// The Q of A = QR by Householder reflections, with as many columns as `a`,
/// which has at least as many rows. Also where A lacks rank, Q^T Q = I; a zero
/// A gives the first columns of the unit matrix.
[[nodiscard]] Matrix householder_q(const Matrix& a);

}  // namespace muonlab::reference
