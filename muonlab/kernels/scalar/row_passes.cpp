// The reference level: 16 values one after the other.
#include "muonlab/kernels/row_passes_body_internal.h"

namespace muonlab::kernels {

namespace {

struct Sixteen {
  float v[kLanes];

  template <typename Op>
  static Sixteen of(Op op) {
    Sixteen result;
    for (std::size_t k = 0; k < kLanes; ++k) result.v[k] = op(k);
    return result;
  }

  template <typename T>
  static Sixteen load(const T* p) {
    return of([=](std::size_t k) { return widened(p[k]); });
  }
  template <typename T>
  static Sixteen load_first(const T* p, std::size_t count, float rest) {
    return of([=](std::size_t k) { return k < count ? widened(p[k]) : rest; });
  }
  template <typename T>
  static void store(T* p, const Sixteen& x) {
    for (std::size_t k = 0; k < kLanes; ++k) put(p + k, x.v[k]);
  }
  template <typename T>
  static void store_first(T* p, const Sixteen& x, std::size_t count) {
    for (std::size_t k = 0; k < count; ++k) put(p + k, x.v[k]);
  }
  static Sixteen set(float x) {
    return of([=](std::size_t) { return x; });
  }
  static float sum(Sixteen x) {
    for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
      for (std::size_t k = 0; k < width; ++k) x.v[k] += x.v[k + width];
    }
    return x.v[0];
  }
  /// The second where one is a NaN, as the instructions do.
  static Sixteen min(const Sixteen& a, const Sixteen& b) {
    return of([&](std::size_t k) { return a.v[k] < b.v[k] ? a.v[k] : b.v[k]; });
  }
  static Sixteen max(const Sixteen& a, const Sixteen& b) {
    return of([&](std::size_t k) { return a.v[k] > b.v[k] ? a.v[k] : b.v[k]; });
  }
  /// The number whose exponent is x's lowest bits.
  static Sixteen exponent(const Sixteen& x) {
    return of([&](std::size_t k) {
      const auto bits = __builtin_bit_cast(std::uint32_t, x.v[k]);
      return __builtin_bit_cast(float, bits << 23);
    });
  }

  friend Sixteen operator+(const Sixteen& a, const Sixteen& b) {
    return of([&](std::size_t k) { return a.v[k] + b.v[k]; });
  }
  friend Sixteen operator-(const Sixteen& a, const Sixteen& b) {
    return of([&](std::size_t k) { return a.v[k] - b.v[k]; });
  }
  friend Sixteen operator*(const Sixteen& a, const Sixteen& b) {
    return of([&](std::size_t k) { return a.v[k] * b.v[k]; });
  }
  friend Sixteen operator/(const Sixteen& a, const Sixteen& b) {
    return of([&](std::size_t k) { return a.v[k] / b.v[k]; });
  }
};

}  // namespace

constinit const RowPassesTable kScalarRowPasses = row_passes_of<Sixteen>();

}  // namespace muonlab::kernels
