#include "tests/reference/matrix.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

namespace muonlab::reference {

Matrix::Matrix(std::size_t row_count, std::size_t column_count)
    : rows(row_count),
      columns(column_count),
      values(row_count * column_count, 0.0) {}

Matrix::Matrix(std::size_t row_count, std::size_t column_count,
               std::vector<double> row_major)
    : rows(row_count), columns(column_count), values(std::move(row_major)) {
  if (values.size() != rows * columns) {
    throw std::invalid_argument("Matrix: wrong number of values");
  }
}

Matrix transpose(const Matrix& a) {
  Matrix t(a.columns, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < a.columns; ++j) t.at(j, i) = a.at(i, j);
  }
  return t;
}

Matrix multiply(const Matrix& a, const Matrix& b) {
  if (a.columns != b.rows) throw std::invalid_argument("multiply: shapes");
  Matrix product(a.rows, b.columns);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < b.columns; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < a.columns; ++k)
        sum += a.at(i, k) * b.at(k, j);
      product.at(i, j) = sum;
    }
  }
  return product;
}

double frobenius_norm(const Matrix& a) {
  double sum = 0;
  for (const double value : a.values) sum += value * value;
  return std::sqrt(sum);
}

Matrix row_block(const Matrix& a, std::size_t first, std::size_t count) {
  Matrix block(count, a.columns);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < a.columns; ++j) {
      block.at(i, j) = a.at(first + i, j);
    }
  }
  return block;
}

Matrix newton_schulz(const Matrix& m, const Coefficients& k, int steps,
                     double eps) {
  if (m.rows > m.columns) {
    return transpose(newton_schulz(transpose(m), k, steps, eps));
  }
  Matrix x = m;
  const double norm = frobenius_norm(m) + eps;
  for (double& value : x.values) value /= norm;
  for (int step = 0; step < steps; ++step) {
    const Matrix gram = multiply(x, transpose(x));
    const Matrix cubic = multiply(gram, x);
    const Matrix quintic = multiply(gram, cubic);
    for (std::size_t i = 0; i < x.values.size(); ++i) {
      x.values[i] =
          k.a * x.values[i] + k.b * cubic.values[i] + k.c * quintic.values[i];
    }
  }
  return x;
}

namespace {

// Turns columns p and q of `m` by the angle with this cosine and sine.
void rotate_columns(Matrix& m, std::size_t p, std::size_t q, double cosine,
                    double sine) {
  for (std::size_t i = 0; i < m.rows; ++i) {
    const double left = m.at(i, p);
    const double right = m.at(i, q);
    m.at(i, p) = cosine * left - sine * right;
    m.at(i, q) = sine * left + cosine * right;
  }
}

// Makes columns p and q of `w` orthogonal; false if they already were.
bool orthogonalise(Matrix& w, Matrix& v, std::size_t p, std::size_t q) {
  double pp = 0;
  double qq = 0;
  double pq = 0;
  for (std::size_t i = 0; i < w.rows; ++i) {
    pp += w.at(i, p) * w.at(i, p);
    qq += w.at(i, q) * w.at(i, q);
    pq += w.at(i, p) * w.at(i, q);
  }
  const double eps = std::numeric_limits<double>::epsilon();
  if (std::abs(pq) <= eps * std::sqrt(pp * qq)) return false;
  const double zeta = (qq - pp) / (2 * pq);
  const double tangent =
      (zeta >= 0 ? 1.0 : -1.0) / (std::abs(zeta) + std::hypot(1.0, zeta));
  const double cosine = 1 / std::hypot(1.0, tangent);
  rotate_columns(w, p, q, cosine, cosine * tangent);
  rotate_columns(v, p, q, cosine, cosine * tangent);
  return true;
}

}  // namespace

Svd jacobi_svd(const Matrix& a) {
  if (a.rows < a.columns) {
    Svd svd = jacobi_svd(transpose(a));
    std::swap(svd.u, svd.v);
    return svd;
  }
  const std::size_t n = a.columns;
  Matrix w = a;  // becomes U diag(sigma)
  Matrix v(n, n);
  for (std::size_t i = 0; i < n; ++i) v.at(i, i) = 1;
  constexpr int kSweeps = 60;  // some ten are enough; a cap ends rank defects
  bool turned = true;
  for (int sweep = 0; turned && sweep < kSweeps; ++sweep) {
    turned = false;
    for (std::size_t p = 0; p + 1 < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        turned = orthogonalise(w, v, p, q) || turned;
      }
    }
  }
  std::vector<double> sigma(n);
  for (std::size_t j = 0; j < n; ++j) {
    double squares = 0;
    for (std::size_t i = 0; i < w.rows; ++i) squares += w.at(i, j) * w.at(i, j);
    sigma[j] = std::sqrt(squares);
    for (std::size_t i = 0; sigma[j] > 0 && i < w.rows; ++i) {
      w.at(i, j) /= sigma[j];
    }
  }
  return {w, sigma, v};
}

Matrix polar_factor(const Matrix& a) {
  const Svd svd = jacobi_svd(a);
  double largest = 0;
  for (const double s : svd.sigma) largest = std::max(largest, s);
  const double smallest = static_cast<double>(std::max(a.rows, a.columns)) *
                          std::numeric_limits<double>::epsilon() * largest;
  Matrix factor(a.rows, a.columns);
  for (std::size_t k = 0; k < svd.sigma.size(); ++k) {
    if (svd.sigma[k] <= smallest) continue;
    for (std::size_t i = 0; i < a.rows; ++i) {
      for (std::size_t j = 0; j < a.columns; ++j) {
        factor.at(i, j) += svd.u.at(i, k) * svd.v.at(j, k);
      }
    }
  }
  return factor;
}

}  // namespace muonlab::reference
