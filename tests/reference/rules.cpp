#include "tests/reference/rules.h"

#include <algorithm>
#include <cmath>

namespace muonlab::reference {

double length_factor(Length length, std::size_t out, std::size_t in) {
  const auto rows = static_cast<double>(out);
  const auto columns = static_cast<double>(in);
  switch (length) {
    case Length::kOne:
      return 1;
    case Length::kAspect:
      return rows > columns ? std::sqrt(rows / columns) : 1;
    case Length::kSpectral:
      return std::sqrt(rows / columns);
    case Length::kRootMeanSquare:
      return 0.2 * std::sqrt(std::max(rows, columns));
  }
  return 0;
}

void muon_step(Matrix& weight, const Matrix& gradient, Matrix& buffer,
               const MuonSettings& s,
               const std::vector<std::size_t>& block_rows) {
  const double share = s.heavy_ball ? 1 : 1 - s.beta;  // of the gradient
  Matrix direction(weight.rows, weight.columns);
  for (std::size_t i = 0; i < weight.values.size(); ++i) {
    double& b = buffer.values[i];
    const double g = gradient.values[i];
    b = s.beta * b + share * g;
    direction.values[i] = s.nesterov ? share * g + s.beta * b : b;
  }
  for (double& w : weight.values) w -= s.lr * s.decay * w;

  const std::vector<std::size_t> heights =
      block_rows.empty() ? std::vector<std::size_t>{weight.rows} : block_rows;
  std::size_t first = 0;
  for (const std::size_t height : heights) {
    const Matrix block = row_block(direction, first, height);
    const Matrix update =
        s.exact ? polar_factor(block)
                : newton_schulz(block, s.coefficients, s.steps, s.eps);
    const double rate = s.lr * length_factor(s.length, height, weight.columns);
    for (std::size_t i = 0; i < height; ++i) {
      for (std::size_t j = 0; j < weight.columns; ++j) {
        weight.at(first + i, j) -= rate * update.at(i, j);
      }
    }
    first += height;
  }
}

void adamw_step(std::vector<double>& weight,
                const std::vector<double>& gradient, std::vector<double>& first,
                std::vector<double>& second, int step, const AdamWSettings& s) {
  const double correction1 = 1 - std::pow(s.beta1, step);
  const double correction2 = 1 - std::pow(s.beta2, step);
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const double g = gradient[i];
    first[i] = s.beta1 * first[i] + (1 - s.beta1) * g;
    second[i] = s.beta2 * second[i] + (1 - s.beta2) * g * g;
    weight[i] -= s.lr * s.decay * weight[i];
    weight[i] -= s.lr * (first[i] / correction1) /
                 (std::sqrt(second[i] / correction2) + s.eps);
  }
}

}  // namespace muonlab::reference
