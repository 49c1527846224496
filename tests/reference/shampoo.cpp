// Shampoo (arXiv 1802.09568) with momentum, relative damping and grafting.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "tests/reference/algebra.h"
#include "tests/reference/twin.h"

namespace muonlab::reference {

namespace {

// A^(-exponent) with the eigenvalues lifted by eps times the largest one;
// zero for a zero matrix.
Matrix inverse_root(const Matrix& a, double exponent, double eps) {
  const Eigen eigen = jacobi_eigen(a);
  const double largest = eigen.values.front();
  Matrix root(a.rows, a.columns);
  if (largest <= 0) return root;
  for (std::size_t k = 0; k < a.rows; ++k) {
    const double power =
        std::pow(std::max(eigen.values[k], 0.0) + eps * largest, -exponent);
    for (std::size_t i = 0; i < a.rows; ++i) {
      for (std::size_t j = 0; j < a.rows; ++j) {
        root.at(i, j) +=
            power * eigen.vectors.at(i, k) * eigen.vectors.at(j, k);
      }
    }
  }
  return root;
}

class Shampoo : public Twin {
 public:
  Shampoo(const Settings& settings, Noise noise) : Twin(noise), s_(settings) {}

  void step(Matrix& weight, const Matrix& gradient) override {
    if (s_.flag("skip_zero") && is_zero(gradient)) return;
    if (t_ == 0) {
      m_ = Matrix(weight.rows, weight.columns);
      v_ = m_;
      left_ = Matrix(weight.rows, weight.rows);
      right_ = Matrix(weight.columns, weight.columns);
    }
    ++t_;
    const double beta1 = s_.number("beta1");
    const double beta2 = s_.number("beta2");
    blend(m_, beta1, 1 - beta1, gradient);
    blend(left_, beta2, 1 - beta2, multiply(gradient, transpose(gradient)));
    blend(right_, beta2, 1 - beta2, multiply(transpose(gradient), gradient));
    blend(v_, beta2, 1 - beta2, squared(gradient));
    refresh();
    Matrix mean = m_;
    multiply_by(mean, 1 / (1 - std::pow(beta1, t_)));
    descend(weight, grafted(preconditioned(mean), mean), "decoupled",
            s_.number("lr"), s_.number("weight_decay"), 1);
  }

 private:
  [[nodiscard]] bool has(std::size_t side) const {
    return static_cast<double>(side) <= s_.number("max_dim");
  }

  void refresh() {
    if ((t_ - 1) % static_cast<int>(s_.number("refresh")) != 0) return;
    const bool both = has(left_.rows) && has(right_.rows);
    const double exponent = s_.number("exponent") * (both ? 1 : 2);
    const double correction = 1 - std::pow(s_.number("beta2"), t_);
    const auto root = [&](Matrix factor) {
      multiply_by(factor, 1 / correction);
      noise_.disturb_symmetric(factor);
      return inverse_root(factor, exponent, s_.number("eps"));
    };
    if (has(left_.rows)) left_root_ = root(left_);
    if (has(right_.rows)) right_root_ = root(right_);
  }

  [[nodiscard]] Matrix preconditioned(Matrix u) const {
    if (has(left_.rows)) u = multiply(left_root_, u);
    if (has(right_.rows)) u = multiply(u, right_root_);
    return u;
  }

  // The direction of `u` with the length of another rule's update.
  [[nodiscard]] Matrix grafted(Matrix u, const Matrix& mean) const {
    const std::string graft = s_.text("graft");
    if (graft == "none") return u;
    Matrix other = mean;
    if (graft == "adam") {
      const double correction = 1 - std::pow(s_.number("beta2"), t_);
      for (std::size_t i = 0; i < other.values.size(); ++i) {
        other.values[i] /= std::sqrt(v_.values[i] / correction) + 1e-8;
      }
    } else if (graft != "sgd") {
      throw std::invalid_argument("replay: no graft " + graft);
    }
    const double norm = frobenius_norm(u);
    multiply_by(u, norm > 0 ? frobenius_norm(other) / norm : 0);
    return u;
  }

  Settings s_;
  int t_ = 0;
  Matrix m_;
  Matrix v_;
  Matrix left_;
  Matrix right_;
  Matrix left_root_;
  Matrix right_root_;
};

}  // namespace

TwinPointer shampoo(const Settings& s, Noise noise) {
  return std::make_unique<Shampoo>(s, noise);
}

}  // namespace muonlab::reference
