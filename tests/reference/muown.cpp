// Muown (arXiv 2605.10797): W = g v / |v| row by row; v takes Muon's step and
// the gains g Adam's.
#include <algorithm>
#include <cmath>

#include "tests/reference/algebra.h"
#include "tests/reference/spectral.h"
#include "tests/reference/twin.h"

namespace muonlab::reference {

namespace {

class Muown : public Twin {
 public:
  Muown(const Settings& settings, Noise noise) : Twin(noise), s_(settings) {}

  void step(Matrix& weight, const Matrix& gradient) override {
    if (s_.flag("skip_zero") && is_zero(gradient)) return;
    if (t_ == 0) start(weight);
    ++t_;
    const Matrix u = rows_to_unit(v_);
    Matrix grad_v = gradient;
    std::vector<double> grad_g(weight.rows);
    for (std::size_t i = 0; i < weight.rows; ++i) {
      const Matrix row = row_block(u, i, 1);
      grad_g[i] = inner(row_block(gradient, i, 1), row);
      const double norm = frobenius_norm(row_block(v_, i, 1));
      for (std::size_t j = 0; j < weight.columns; ++j) {
        grad_v.at(i, j) =
            g_[i] / norm * (gradient.at(i, j) - u.at(i, j) * grad_g[i]);
      }
    }
    step_directions(grad_v);
    step_gains(grad_g);
    weight = rows_to_unit(v_);
    for (std::size_t i = 0; i < weight.rows; ++i) {
      for (std::size_t j = 0; j < weight.columns; ++j) {
        weight.at(i, j) *= g_[i];
      }
    }
  }

 private:
  void start(const Matrix& weight) {
    v_ = weight;
    buffer_ = Matrix(weight.rows, weight.columns);
    for (std::size_t i = 0; i < weight.rows; ++i) {
      g_.push_back(frobenius_norm(row_block(weight, i, 1)));
    }
    first_.assign(weight.rows, 0.0);
    second_.assign(weight.rows, 0.0);
  }

  void step_directions(const Matrix& grad_v) {
    const double beta = s_.number("momentum");
    blend(buffer_, beta, 1 - beta, grad_v);
    Matrix d = buffer_;
    if (s_.flag("nesterov")) blend(d, beta, 1 - beta, grad_v);
    noise_.disturb(d);
    const auto longest = static_cast<double>(std::max(d.rows, d.columns));
    add(v_, -s_.number("lr") * 0.2 * std::sqrt(longest), polar(s_, d));
  }

  // Adam as PyTorch has it, and the decay after it.
  void step_gains(const std::vector<double>& grad_g) {
    const double beta1 = s_.number("beta1");
    const double beta2 = s_.number("beta2");
    const double lr = s_.number("lr");
    for (std::size_t i = 0; i < g_.size(); ++i) {
      first_[i] = beta1 * first_[i] + (1 - beta1) * grad_g[i];
      second_[i] = beta2 * second_[i] + (1 - beta2) * grad_g[i] * grad_g[i];
      const double mean = first_[i] / (1 - std::pow(beta1, t_));
      const double square = second_[i] / (1 - std::pow(beta2, t_));
      g_[i] -= lr * mean / (std::sqrt(square) + s_.number("eps"));
      g_[i] *= 1 - lr * s_.number("weight_decay");
    }
  }

  Settings s_;
  int t_ = 0;
  Matrix v_;
  Matrix buffer_;
  std::vector<double> g_;
  std::vector<double> first_;
  std::vector<double> second_;
};

}  // namespace

TwinPointer muown(const Settings& s, Noise noise) {
  return std::make_unique<Muown>(s, noise);
}

}  // namespace muonlab::reference
