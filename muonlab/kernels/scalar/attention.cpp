// The passes of attention in plain C++: the reference of the other levels.
#include "muonlab/kernels/attention_narrow_internal.h"

namespace muonlab::kernels {

namespace {

struct Sixteen {
  float lane[kPanel];
};

template <typename Op>
inline Sixteen each(Op op) noexcept {
  Sixteen result;
  for (std::size_t i = 0; i < kPanel; ++i) result.lane[i] = op(i);
  return result;
}

struct Scalar : Narrow<Scalar> {
  using Row = Sixteen;

  static Row load(const float* p) noexcept {
    return each([p](std::size_t i) { return p[i]; });
  }
  static void store(float* p, const Row& x) noexcept {
    for (std::size_t i = 0; i < kPanel; ++i) p[i] = x.lane[i];
  }
  static Row set(float x) noexcept {
    return each([x](std::size_t) { return x; });
  }
  static Row add(const Row& a, const Row& b) noexcept {
    return each([&](std::size_t i) { return a.lane[i] + b.lane[i]; });
  }
  static Row sub(const Row& a, const Row& b) noexcept {
    return each([&](std::size_t i) { return a.lane[i] - b.lane[i]; });
  }
  static Row mul(const Row& a, const Row& b) noexcept {
    return each([&](std::size_t i) { return a.lane[i] * b.lane[i]; });
  }
  static Row fma(const Row& a, const Row& b, const Row& c) noexcept {
    return add(mul(a, b), c);
  }
  static Row fms(const Row& a, const Row& b, const Row& c) noexcept {
    return sub(mul(a, b), c);
  }
  static Row max(const Row& a, const Row& b) noexcept {
    return each([&](std::size_t i) {
      return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    });
  }
  // x is -160 at least, so that 2^23 and a half is far away unless it is huge.
  static Row nearest(const Row& x) noexcept {
    constexpr float kShift = 0x1.8p23F;
    return each([&](std::size_t i) {
      const float whole = (x.lane[i] + kShift) - kShift;
      return x.lane[i] < 0x1p22F ? whole : x.lane[i];
    });
  }
  // y 2^whole in two steps, since 2^whole may be no float.
  static Row scaled(const Row& y, const Row& whole) noexcept {
    return each([&](std::size_t i) {
      const float most = whole.lane[i] < 200.F ? whole.lane[i] : 200.F;
      const auto n = static_cast<std::int32_t>(most);
      const std::int32_t first = n >> 1;
      const auto power = [](std::int32_t e) {
        return float_of(static_cast<std::uint32_t>(e + 127) << 23);
      };
      return y.lane[i] * power(first) * power(n - first);
    });
  }
};

}  // namespace

constinit const AttentionTable kScalarAttention = table_of<Scalar>();

}  // namespace muonlab::kernels
