// What the twins have in common.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/reference/matrix.h"
#include "tests/reference/settings.h"

namespace muonlab::reference {

/// Random relative changes; none by default. The numbers are those of Knuth's
/// 64-bit congruential generator and the same anywhere.
class Noise {
 public:
  Noise() = default;
  Noise(double size, std::uint64_t seed) : size_(size), state_(seed) {}
  /// Each element times 1 + size u, u uniform in (-1, 1).
  void disturb(Matrix& a);
  /// Likewise, and a symmetric matrix stays so.
  void disturb_symmetric(Matrix& a);

 private:
  double factor();

  double size_ = 0;
  std::uint64_t state_ = 0;
};

/// One rule with its state, for one matrix.
class Twin {
 public:
  explicit Twin(Noise noise) : noise_(noise) {}
  Twin(const Twin&) = delete;
  Twin& operator=(const Twin&) = delete;
  virtual ~Twin() = default;
  virtual void step(Matrix& weight, const Matrix& gradient) = 0;

 protected:
  Noise noise_;
};

using TwinPointer = std::unique_ptr<Twin>;

[[nodiscard]] TwinPointer matrix_family(const Settings& s, Noise noise);
[[nodiscard]] TwinPointer adam(const Settings& s, Noise noise);
[[nodiscard]] TwinPointer sgd(const Settings& s, Noise noise);
[[nodiscard]] TwinPointer lion(const Settings& s, Noise noise);
[[nodiscard]] TwinPointer signum(const Settings& s, Noise noise);
[[nodiscard]] TwinPointer shampoo(const Settings& s, Noise noise);
[[nodiscard]] TwinPointer soap(const Settings& s, Noise noise);
[[nodiscard]] TwinPointer dion(const Settings& s, Noise noise, const Matrix& q);
[[nodiscard]] TwinPointer dion2(const Settings& s, Noise noise);
[[nodiscard]] TwinPointer muown(const Settings& s, Noise noise);

/// The polar factor of `a` as polar_method, polar_steps, ... say.
[[nodiscard]] Matrix polar(const Settings& s, const Matrix& a);
/// 1, 0 or -1.
[[nodiscard]] double sign_of(double value);

/// W <- W - lr U with weight decay. `factor` is what multiplies the weight in
/// `scaled`. `l2` is no decay here: it has been put into the gradient.
void descend(Matrix& weight, const Matrix& update, const std::string& decay,
             double lr, double weight_decay, double factor);

}  // namespace muonlab::reference
