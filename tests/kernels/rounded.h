// Running error analysis: a float64 value, and how far float32 arithmetic may
// be from it.
//
// One float32 operation with exact operands errs by at most u |result|, u =
// 2^-24, or by half the smallest denormal. The operators add to that what their
// operands' errors can do.
#pragma once

#include <cmath>
#include <limits>

namespace muonlab::testing {

struct Rounded {
  double value = 0;
  double error = 0;

  // NOLINTNEXTLINE(google-explicit-constructor): formulas mix both.
  Rounded(double exact = 0) : value(exact) {}
  Rounded(double result, double inherited) : value(result) {
    constexpr double kUnit = 0x1p-24;
    constexpr double kTiny = 0x1p-150;
    // Float64's own error is far below the margin.
    error = inherited + kUnit * (std::abs(result) + inherited) + kTiny;
    error *= 1 + 1e-6;
    // A zero times an unknown value.
    if (std::isnan(error)) error = std::numeric_limits<double>::infinity();
  }

  [[nodiscard]] bool allows(float computed) const {
    return std::isinf(error) || std::abs(computed - value) <= error;
  }
  /// The sign is that of the float32 result, too.
  [[nodiscard]] bool has_sure_sign() const { return std::abs(value) > error; }
};

inline Rounded operator+(Rounded a, Rounded b) {
  return {a.value + b.value, a.error + b.error};
}

inline Rounded operator-(Rounded a, Rounded b) {
  return {a.value - b.value, a.error + b.error};
}

inline Rounded operator*(Rounded a, Rounded b) {
  return {a.value * b.value, std::abs(a.value) * b.error +
                                 std::abs(b.value) * a.error +
                                 a.error * b.error};
}

inline Rounded operator/(Rounded a, Rounded b) {
  const double smallest = std::abs(b.value) - b.error;
  if (smallest <= 0) return {0, std::numeric_limits<double>::infinity()};
  const double quotient = a.value / b.value;
  return {quotient, (a.error + std::abs(quotient) * b.error) / smallest};
}

inline Rounded root(Rounded a) {
  const double result = std::sqrt(a.value);
  // |sqrt(x) - sqrt(y)| is at most |x-y| / sqrt(x) and at most sqrt(|x-y|).
  const double spread = std::sqrt(a.error);
  return {result, result > spread ? a.error / result : spread};
}

/// Any sign when it is in doubt.
inline Rounded sign(Rounded a) {
  if (a.has_sure_sign()) return a.value > 0 ? 1 : -1;
  Rounded result = 0;
  result.error = a.error == 0 ? 0 : 1;
  return result;
}

}  // namespace muonlab::testing
