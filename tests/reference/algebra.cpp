#include "tests/reference/algebra.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace muonlab::reference {

void add(Matrix& a, double factor, const Matrix& b) { blend(a, 1, factor, b); }

void multiply_by(Matrix& a, double factor) {
  for (double& value : a.values) value *= factor;
}

void blend(Matrix& a, double keep, double share, const Matrix& b) {
  if (a.rows != b.rows || a.columns != b.columns) {
    throw std::invalid_argument("blend: shapes");
  }
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    a.values[i] = keep * a.values[i] + share * b.values[i];
  }
}

Matrix squared(const Matrix& a) {
  Matrix square = a;
  for (double& value : square.values) value *= value;
  return square;
}

double inner(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    sum += a.values[i] * b.values[i];
  }
  return sum;
}

bool is_zero(const Matrix& a) {
  return std::all_of(a.values.begin(), a.values.end(),
                     [](double value) { return value == 0; });
}

Matrix identity(std::size_t size) {
  Matrix unit(size, size);
  for (std::size_t i = 0; i < size; ++i) unit.at(i, i) = 1;
  return unit;
}

Matrix take_columns(const Matrix& a, const std::vector<std::size_t>& order) {
  Matrix taken(a.rows, order.size());
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < order.size(); ++j) {
      taken.at(i, j) = a.at(i, order[j]);
    }
  }
  return taken;
}

Matrix take_rows(const Matrix& a, const std::vector<std::size_t>& order) {
  return transpose(take_columns(transpose(a), order));
}

std::vector<std::size_t> descending(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&values](std::size_t left, std::size_t right) {
                     return values[left] > values[right];
                   });
  return order;
}

namespace {

// Turns rows and columns p and q of `a` so that a_pq becomes zero, and columns
// p and q of `vectors` along; false if it is as good as zero already.
bool annihilate(Matrix& a, Matrix& vectors, std::size_t p, std::size_t q,
                double negligible) {
  if (std::abs(a.at(p, q)) <= negligible) return false;
  const double zeta = (a.at(q, q) - a.at(p, p)) / (2 * a.at(p, q));
  const double tangent =
      (zeta >= 0 ? 1.0 : -1.0) / (std::abs(zeta) + std::hypot(1.0, zeta));
  const double cosine = 1 / std::hypot(1.0, tangent);
  const double sine = cosine * tangent;
  const auto turn = [cosine, sine](double& left, double& right) {
    const double old = left;
    left = cosine * old - sine * right;
    right = sine * old + cosine * right;
  };
  for (std::size_t i = 0; i < a.rows; ++i) turn(a.at(i, p), a.at(i, q));
  for (std::size_t i = 0; i < a.rows; ++i) turn(a.at(p, i), a.at(q, i));
  for (std::size_t i = 0; i < a.rows; ++i) {
    turn(vectors.at(i, p), vectors.at(i, q));
  }
  return true;
}

}  // namespace

Eigen jacobi_eigen(const Matrix& symmetric) {
  Matrix a = symmetric;
  Matrix vectors = identity(a.rows);
  const double negligible =
      std::numeric_limits<double>::epsilon() / 64 * frobenius_norm(a);
  constexpr int kSweeps = 60;  // some ten are enough
  bool turned = true;
  for (int sweep = 0; turned && sweep < kSweeps; ++sweep) {
    turned = false;
    for (std::size_t p = 0; p + 1 < a.rows; ++p) {
      for (std::size_t q = p + 1; q < a.rows; ++q) {
        turned = annihilate(a, vectors, p, q, negligible) || turned;
      }
    }
  }
  std::vector<double> values(a.rows);
  for (std::size_t i = 0; i < a.rows; ++i) values[i] = a.at(i, i);
  const std::vector<std::size_t> order = descending(values);
  std::vector<double> sorted;
  for (const std::size_t i : order) sorted.push_back(values[i]);
  return {sorted, take_columns(vectors, order)};
}

namespace {

// m <- (I - 2 v v^T / v^T v) m.
void reflect(Matrix& m, const std::vector<double>& v) {
  double length = 0;
  for (const double value : v) length += value * value;
  if (length == 0) return;
  for (std::size_t j = 0; j < m.columns; ++j) {
    double along = 0;
    for (std::size_t i = 0; i < m.rows; ++i) along += v[i] * m.at(i, j);
    for (std::size_t i = 0; i < m.rows; ++i) {
      m.at(i, j) -= 2 * along / length * v[i];
    }
  }
}

}  // namespace

Matrix householder_q(const Matrix& a) {
  if (a.rows < a.columns) throw std::invalid_argument("householder_q: wide");
  Matrix r = a;
  std::vector<std::vector<double>> reflectors;
  for (std::size_t k = 0; k < a.columns; ++k) {
    // Scaled to largest entry 1, so that tiny columns keep their digits.
    double largest = 0;
    for (std::size_t i = k; i < a.rows; ++i) {
      largest = std::max(largest, std::abs(r.at(i, k)));
    }
    std::vector<double> v(a.rows, 0.0);
    double squares = 0;
    for (std::size_t i = k; largest > 0 && i < a.rows; ++i) {
      v[i] = r.at(i, k) / largest;
      squares += v[i] * v[i];
    }
    v[k] += std::copysign(std::sqrt(squares), v[k]);
    reflect(r, v);
    reflectors.push_back(v);
  }
  Matrix q(a.rows, a.columns);
  for (std::size_t k = 0; k < a.columns; ++k) q.at(k, k) = 1;
  for (std::size_t k = a.columns; k > 0; --k) reflect(q, reflectors[k - 1]);
  return q;
}

}  // namespace muonlab::reference
