// SOAP (arXiv 2409.11321) in the order of its authors' code: Adam in the
// eigenbasis of Shampoo's factors.
#include <cmath>

#include "tests/reference/algebra.h"
#include "tests/reference/twin.h"

namespace muonlab::reference {

namespace {

class Soap : public Twin {
 public:
  Soap(const Settings& settings, Noise noise) : Twin(noise), s_(settings) {}

  void step(Matrix& weight, const Matrix& gradient) override {
    if (s_.flag("skip_zero") && is_zero(gradient)) return;
    if (!started_) {
      start(gradient);
      return;  // the first gradient only makes the basis
    }
    ++k_;
    const double beta1 = s_.number("beta1");
    const double beta2 = s_.number("beta2");
    const Matrix turned = project(gradient);
    blend(m_, beta1, 1 - beta1, turned);
    blend(v_, beta2, 1 - beta2, squared(turned));
    double rate = s_.number("lr");
    if (s_.flag("correct_bias")) {
      rate *= std::sqrt(1 - std::pow(beta2, k_)) / (1 - std::pow(beta1, k_));
    }
    Matrix u = m_;
    for (std::size_t i = 0; i < u.values.size(); ++i) {
      u.values[i] /= std::sqrt(v_.values[i]) + s_.number("eps");
    }
    add(weight, -rate, project_back(u));
    multiply_by(weight, 1 - s_.number("lr") * s_.number("weight_decay"));

    const Matrix mean = project_back(m_);
    gather(gradient);
    if (k_ % static_cast<int>(s_.number("refresh")) == 0) {
      refresh_left();
      refresh_right();
    }
    m_ = project(mean);
  }

 private:
  [[nodiscard]] bool has(std::size_t side) const {
    return static_cast<double>(side) <= s_.number("max_dim");
  }

  void start(const Matrix& gradient) {
    started_ = true;
    m_ = Matrix(gradient.rows, gradient.columns);
    v_ = m_;
    left_ = Matrix(gradient.rows, gradient.rows);
    right_ = Matrix(gradient.columns, gradient.columns);
    gather(gradient);
    left_basis_ =
        has(left_.rows) ? jacobi_eigen(left_).vectors : identity(left_.rows);
    right_basis_ =
        has(right_.rows) ? jacobi_eigen(right_).vectors : identity(right_.rows);
  }

  void gather(const Matrix& gradient) {
    const double given = s_.number("shampoo_beta");
    const double beta = given < 0 ? s_.number("beta2") : given;
    blend(left_, beta, 1 - beta, multiply(gradient, transpose(gradient)));
    blend(right_, beta, 1 - beta, multiply(transpose(gradient), gradient));
    noise_.disturb_symmetric(left_);
    noise_.disturb_symmetric(right_);
  }

  [[nodiscard]] Matrix project(const Matrix& a) const {
    return multiply(multiply(transpose(left_basis_), a), right_basis_);
  }
  [[nodiscard]] Matrix project_back(const Matrix& a) const {
    return multiply(multiply(left_basis_, a), transpose(right_basis_));
  }

  // One step of power iteration. The columns are sorted by what they now say
  // the eigenvalues are; their order before is returned.
  static std::vector<std::size_t> refresh(const Matrix& factor, Matrix& basis) {
    const Matrix product = multiply(factor, basis);
    std::vector<double> estimates(basis.columns, 0.0);
    for (std::size_t j = 0; j < basis.columns; ++j) {
      for (std::size_t i = 0; i < basis.rows; ++i) {
        estimates[j] += basis.at(i, j) * product.at(i, j);
      }
    }
    std::vector<std::size_t> order = descending(estimates);
    basis = householder_q(take_columns(product, order));
    return order;
  }

  void refresh_left() {
    if (has(left_.rows)) v_ = take_rows(v_, refresh(left_, left_basis_));
  }
  void refresh_right() {
    if (has(right_.rows)) v_ = take_columns(v_, refresh(right_, right_basis_));
  }

  Settings s_;
  bool started_ = false;
  int k_ = 0;
  Matrix m_;  // in the basis, as v_
  Matrix v_;
  Matrix left_;
  Matrix right_;
  Matrix left_basis_;
  Matrix right_basis_;
};

}  // namespace

TwinPointer soap(const Settings& s, Noise noise) {
  return std::make_unique<Soap>(s, noise);
}

}  // namespace muonlab::reference
