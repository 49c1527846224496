// Dion (arXiv 2504.05295) and Dion2 (arXiv 2512.16928): only a part of the
// matrix is orthogonalised, and the rest stays in the momentum.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "tests/reference/algebra.h"
#include "tests/reference/twin.h"

namespace muonlab::reference {

namespace {

double spectral_scale(const Matrix& weight) {
  return std::sqrt(static_cast<double>(weight.rows) /
                   static_cast<double>(weight.columns));
}

std::size_t part_of(double fraction, std::size_t whole) {
  return static_cast<std::size_t>(
      std::ceil(fraction * static_cast<double>(whole)));
}

class Dion : public Twin {
 public:
  Dion(const Settings& settings, Noise noise, const Matrix& q)
      : Twin(noise), s_(settings), q_(q) {}

  void step(Matrix& weight, const Matrix& gradient) override {
    if (s_.flag("skip_zero") && is_zero(gradient)) return;
    if (momentum_.values.empty()) start(weight);
    Matrix b = momentum_;
    add(b, 1, gradient);
    noise_.disturb(b);
    const Matrix p = householder_q(multiply(b, q_));
    const Matrix r = multiply(transpose(b), p);
    momentum_ = b;  // what P R^T has caught decays, the rest stays whole
    add(momentum_, -(1 - s_.number("momentum")), multiply(p, transpose(r)));
    q_ = r;
    for (std::size_t j = 0; j < q_.columns; ++j) {
      const double norm = frobenius_norm(take_columns(r, {j}));
      for (std::size_t i = 0; i < q_.rows; ++i) {
        q_.at(i, j) /= norm + s_.number("eps");
      }
    }
    Matrix update = multiply(p, transpose(q_));
    multiply_by(update, spectral_scale(weight));
    descend(weight, update, "decoupled", s_.number("lr"),
            s_.number("weight_decay"), 1);
  }

 private:
  void start(const Matrix& weight) {
    momentum_ = Matrix(weight.rows, weight.columns);
    const auto given = static_cast<std::size_t>(s_.number("rank"));
    const std::size_t rank =
        given > 0 ? given
                  : part_of(s_.number("rank_fraction"),
                            std::min(weight.rows, weight.columns));
    if (q_.columns != rank) {
      throw std::invalid_argument("replay: dion needs q0 of (columns, rank)");
    }
  }

  Settings s_;
  Matrix momentum_;
  Matrix q_;
};

class Dion2 : public Twin {
 public:
  Dion2(const Settings& settings, Noise noise) : Twin(noise), s_(settings) {}

  void step(Matrix& weight, const Matrix& gradient) override {
    if (s_.flag("skip_zero") && is_zero(gradient)) return;
    if (momentum_.values.empty()) {
      momentum_ = Matrix(weight.rows, weight.columns);
    }
    add(momentum_, 1, gradient);
    // Slices are rows here; those of a tall matrix are its columns.
    const bool tall = weight.rows > weight.columns;
    Matrix slices = tall ? transpose(momentum_) : momentum_;
    const std::vector<std::size_t> chosen = largest_rows(slices);
    Matrix taken = take_rows(slices, chosen);
    noise_.disturb(taken);
    const Matrix o = polar(s_, taken);
    Matrix update(slices.rows, slices.columns);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      for (std::size_t j = 0; j < slices.columns; ++j) {
        slices.at(chosen[i], j) *= s_.number("momentum");
        update.at(chosen[i], j) = o.at(i, j) * spectral_scale(weight);
      }
    }
    momentum_ = tall ? transpose(slices) : slices;
    descend(weight, tall ? transpose(update) : update, "decoupled",
            s_.number("lr"), s_.number("weight_decay"), 1);
  }

 private:
  // Those of the largest sum of magnitudes, in the order of their places.
  [[nodiscard]] std::vector<std::size_t> largest_rows(const Matrix& a) const {
    std::vector<double> sums(a.rows, 0.0);
    for (std::size_t i = 0; i < a.rows; ++i) {
      for (std::size_t j = 0; j < a.columns; ++j)
        sums[i] += std::abs(a.at(i, j));
    }
    std::vector<std::size_t> order = descending(sums);
    order.resize(part_of(s_.number("fraction"), a.rows));
    std::sort(order.begin(), order.end());
    return order;
  }

  Settings s_;
  Matrix momentum_;
};

}  // namespace

TwinPointer dion(const Settings& s, Noise noise, const Matrix& q) {
  return std::make_unique<Dion>(s, noise, q);
}
TwinPointer dion2(const Settings& s, Noise noise) {
  return std::make_unique<Dion2>(s, noise);
}

}  // namespace muonlab::reference
