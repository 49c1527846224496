#include "tests/reference/spectral.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/reference/algebra.h"
#include "tests/reference/twin.h"

namespace muonlab::reference {

namespace {

// U diag(f(sigma)) V^T, the singular values from the largest down. Those that
// count as zero are left out.
Matrix of_spectrum(
    const Matrix& a,
    const std::function<std::vector<double>(const std::vector<double>&)>& f) {
  const Svd svd = jacobi_svd(a);
  const std::vector<std::size_t> order = descending(svd.sigma);
  const double negligible = static_cast<double>(std::max(a.rows, a.columns)) *
                            std::numeric_limits<double>::epsilon() *
                            svd.sigma[order[0]];
  std::vector<double> sigma;
  for (const std::size_t k : order) {
    if (svd.sigma[k] > negligible) sigma.push_back(svd.sigma[k]);
  }
  Matrix result(a.rows, a.columns);
  if (sigma.empty()) return result;
  const std::vector<double> shaped = f(sigma);
  for (std::size_t k = 0; k < shaped.size(); ++k) {
    for (std::size_t i = 0; i < a.rows; ++i) {
      for (std::size_t j = 0; j < a.columns; ++j) {
        result.at(i, j) +=
            svd.u.at(i, order[k]) * shaped[k] * svd.v.at(j, order[k]);
      }
    }
  }
  return result;
}

std::vector<double> power_spectrum(std::vector<double> sigma, double rho) {
  const double largest = sigma[0];
  for (double& value : sigma) value = std::pow(value / largest, rho);
  return sigma;
}

// Where <A, X> is largest among the X of Schatten p-norm 1.
std::vector<double> schatten_spectrum(std::vector<double> sigma, double p) {
  if (p < 1) throw std::invalid_argument("replay: p < 1");
  if (p == 1) return {1.0};  // q is infinite: the largest one alone
  const double q = std::isinf(p) ? 1 : p / (p - 1);
  const double largest = sigma[0];  // taken out, so that no power overflows
  double sum = 0;
  for (const double value : sigma) sum += std::pow(value / largest, q);
  const double norm = largest * std::pow(sum, 1 / q);
  for (double& value : sigma) value = std::pow(value / norm, q - 1);
  return sigma;
}

}  // namespace

Matrix rows_to_unit(const Matrix& a) {
  Matrix unit = a;
  for (std::size_t i = 0; i < a.rows; ++i) {
    const double norm = frobenius_norm(row_block(a, i, 1));
    for (std::size_t j = 0; norm > 0 && j < a.columns; ++j) {
      unit.at(i, j) /= norm;
    }
  }
  return unit;
}

Matrix direction_of(const Settings& s, const Matrix& a) {
  const std::string direction = s.text("direction");
  if (direction == "none" || is_zero(a)) return a;
  if (direction == "polar") return polar(s, a);
  if (direction == "power") {
    const double rho = s.number("rho");
    return of_spectrum(
        a, [rho](const auto& sigma) { return power_spectrum(sigma, rho); });
  }
  if (direction == "schatten") {
    const double p = s.number("p");
    return of_spectrum(
        a, [p](const auto& sigma) { return schatten_spectrum(sigma, p); });
  }
  if (direction == "ky-fan") {
    const auto k = static_cast<std::size_t>(s.number("k"));
    return of_spectrum(a, [k](const auto& sigma) {
      return std::vector<double>(std::min(k, sigma.size()), 1.0);
    });
  }
  if (direction == "rows") return rows_to_unit(a);
  if (direction == "columns") return transpose(rows_to_unit(transpose(a)));
  Matrix result = a;
  if (direction == "sign") {
    for (double& value : result.values) value = sign_of(value);
  } else if (direction == "frobenius") {
    multiply_by(result, 1 / frobenius_norm(a));
  } else {
    throw std::invalid_argument("replay: no direction " + direction);
  }
  return result;
}

}  // namespace muonlab::reference
