#include "tests/reference/replay.h"

#include <cmath>
#include <stdexcept>

#include "tests/reference/twin.h"

namespace muonlab::reference {

double Noise::factor() {
  state_ = state_ * 6364136223846793005U + 1442695040888963407U;
  const double unit = static_cast<double>(state_ >> 11) * 0x1p-53;
  return 1 + size_ * (2 * unit - 1);
}

void Noise::disturb(Matrix& a) {
  if (size_ == 0) return;
  for (double& value : a.values) value *= factor();
}

void Noise::disturb_symmetric(Matrix& a) {
  if (size_ == 0) return;
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      a.at(i, j) *= factor();
      a.at(j, i) = a.at(i, j);
    }
  }
}

double sign_of(double value) {
  if (value > 0) return 1;
  return value < 0 ? -1 : 0;
}

void descend(Matrix& weight, const Matrix& update, const std::string& decay,
             double lr, double weight_decay, double factor) {
  for (std::size_t i = 0; i < weight.values.size(); ++i) {
    const double w = weight.values[i];
    const double u = update.values[i];
    const double masked = u * w >= 0 ? w : 0;  // only where u shrinks w as well
    double& next = weight.values[i];
    if (decay == "decoupled") {
      next = (1 - lr * weight_decay) * w - lr * u;
    } else if (decay == "scaled") {
      next = w - lr * (u + factor * weight_decay * w);
    } else if (decay == "additive") {
      next = w - lr * (u + weight_decay * w);
    } else if (decay == "after") {
      next = (1 - lr * weight_decay) * (w - lr * u);
    } else if (decay == "independent") {
      next = (1 - weight_decay) * w - lr * u;
    } else if (decay == "palm") {
      next = (1 - lr * lr * weight_decay) * w - lr * u;
    } else if (decay == "cautious") {
      next = w - lr * weight_decay * masked - lr * u;
    } else if (decay == "cautious-palm") {
      next = w - lr * lr * weight_decay * masked - lr * u;
    } else if (decay == "constrained") {
      if (weight_decay != 0) {
        throw std::invalid_argument("replay: constrained with weight_decay");
      }
      next = (1 - lr) * w - lr * u;
    } else if (decay == "l2") {
      next = w - lr * u;
    } else {
      throw std::invalid_argument("replay: no decay " + decay);
    }
  }
}

namespace {

TwinPointer make_twin(const std::string& rule, const Options& options,
                      const Matrix& w0, const Matrix* q0, Noise noise) {
  const Settings s(rule, options);
  if (rule == "dion") {
    if (q0 == nullptr || q0->rows != w0.columns) {
      throw std::invalid_argument("replay: dion needs q0 of (columns, rank)");
    }
    return dion(s, noise, *q0);
  }
  if (q0 != nullptr) throw std::invalid_argument("replay: q0 is for dion");
  if (rule == "adamw" || rule == "adam") return adam(s, noise);
  if (rule == "sgd") return sgd(s, noise);
  if (rule == "lion") return lion(s, noise);
  if (rule == "signum") return signum(s, noise);
  if (rule == "shampoo") return shampoo(s, noise);
  if (rule == "soap") return soap(s, noise);
  if (rule == "dion2") return dion2(s, noise);
  if (rule == "muown") return muown(s, noise);
  return matrix_family(s, noise);
}

}  // namespace

std::vector<Matrix> replay_with_noise(const std::string& rule,
                                      const Options& options, const Matrix& w0,
                                      const std::vector<Matrix>& gradients,
                                      const Matrix* q0, double size,
                                      std::uint64_t seed) {
  const TwinPointer twin = make_twin(rule, options, w0, q0, Noise(size, seed));
  std::vector<Matrix> weights;
  Matrix weight = w0;
  for (const Matrix& gradient : gradients) {
    if (gradient.rows != w0.rows || gradient.columns != w0.columns) {
      throw std::invalid_argument("replay: shape of a gradient");
    }
    twin->step(weight, gradient);
    weights.push_back(weight);
  }
  return weights;
}

std::vector<Matrix> replay(const std::string& rule, const Options& options,
                           const Matrix& w0,
                           const std::vector<Matrix>& gradients,
                           const Matrix* q0) {
  return replay_with_noise(rule, options, w0, gradients, q0, 0, 0);
}

}  // namespace muonlab::reference
