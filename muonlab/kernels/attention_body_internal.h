// The passes of attention over tiles, once for all levels.
//
// A level is a type L with Row, 16 floats, and the operations on it. All of
// this is in the unnamed namespace, so each level file has copies of its own.
// Arrays of rows stay in registers only where every loop over them is unrolled.
#pragma once

#include "muonlab/kernels/attention_table_internal.h"

namespace muonlab::kernels {
namespace {

constexpr float kMinusInfinity = -__builtin_inff();

// 2^x to 2^-22 of the result: 0 for what is below the denormals and for
// -infinity. Degree 6 is one more than that needs, and makes 2^0 exact.
template <typename L>
inline typename L::Row power_of_two(typename L::Row x) noexcept {
  // A NaN passes: max() gives its second operand then.
  x = L::max(L::set(-160.F), x);
  const auto whole = L::nearest(x);
  const auto f = L::sub(x, whole);
  auto y = L::set(0x1.41d334p-13F);
  y = L::fma(y, f, L::set(0x1.5f456ap-10F));
  y = L::fma(y, f, L::set(0x1.3b2dbcp-7F));
  y = L::fma(y, f, L::set(0x1.c6aed4p-5F));
  y = L::fma(y, f, L::set(0x1.ebfbdap-3F));
  y = L::fma(y, f, L::set(0x1.62e430p-1F));
  y = L::fma(y, f, L::set(1.F));
  return L::scaled(y, whole);
}

template <typename L, bool kMasked>
inline typename L::Row highest(const SoftmaxCall& call, std::size_t half,
                               typename L::Row highest) noexcept {
  using Row = typename L::Row;
  const float* tile = call.logits + half * call.stride;
  const Row scale = L::set(call.scale);
  Row other = highest;
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileRows; ++r) {
    Row x = L::mul(L::load(tile + r * kPanel), scale);
    if constexpr (kMasked) {
      const auto key = static_cast<std::ptrdiff_t>(half * kTileRows + r);
      x = L::from_lane(key + call.shift, L::set(kMinusInfinity), x);
    }
    // A NaN is skipped: its row becomes NaN by the exponential.
    if (r % 2 == 0) {
      highest = L::max(x, highest);
    } else {
      other = L::max(x, other);
    }
  }
  return L::max(other, highest);
}

template <typename L, bool kMasked>
inline void exponentials(const SoftmaxCall& call, std::size_t half,
                         typename L::Row maximum,
                         typename L::Row (&sum)[2]) noexcept {
  using Row = typename L::Row;
  const float* tile = call.logits + half * call.stride;
  const Row scale = L::set(call.scale);
  Row p[kTileRows];
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileRows; ++r) {
    const Row x = L::fms(L::load(tile + r * kPanel), scale, maximum);
    p[r] = power_of_two<L>(x);
    if constexpr (kMasked) {
      const auto key = static_cast<std::ptrdiff_t>(half * kTileRows + r);
      p[r] = L::from_lane(key + call.shift, L::set(0), p[r]);
    }
    sum[r % 2] = L::add(sum[r % 2], p[r]);
  }
  L::store_lines(p, static_cast<std::byte*>(call.lines), half, call.bfloat16);
}

template <typename L>
void softmax(const SoftmaxCall& call) noexcept {
  using Row = typename L::Row;
  // Keys of a tile before this one count for all queries.
  const auto masked = [&](std::size_t half) {
    const auto last = static_cast<std::ptrdiff_t>(half * kTileRows + 7);
    return last + call.shift > 0;
  };
  const Row before = L::load(call.maximum);
  Row maximum = before;
  for (std::size_t half = 0; half < call.halves; ++half) {
    maximum = masked(half) ? highest<L, true>(call, half, maximum)
                           : highest<L, false>(call, half, maximum);
  }
  Row sum[2] = {L::set(0), L::set(0)};
  for (std::size_t half = 0; half < call.halves; ++half) {
    if (masked(half)) {
      exponentials<L, true>(call, half, maximum, sum);
    } else {
      exponentials<L, false>(call, half, maximum, sum);
    }
  }
  const Row factor = power_of_two<L>(L::sub(before, maximum));
  L::store(call.maximum, maximum);
  L::store(call.factor, factor);
  L::store(call.sum, L::fma(L::load(call.sum), factor, L::add(sum[0], sum[1])));
}

template <typename L, bool kMasked>
inline void gradient_tile(const GradientCall& call,
                          std::size_t panel) noexcept {
  using Row = typename L::Row;
  const float* logits = call.logits + panel * kBlock;
  const float* d_probs = call.d_probs + panel * kBlock;
  const Row scale = L::set(call.scale);
  Row p[kTileRows];
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileRows; ++r) {
    const Row x =
        L::fms(L::load(logits + r * kPanel), scale, L::set(call.lse[r]));
    p[r] = power_of_two<L>(x);
    if constexpr (kMasked) {
      const auto end = static_cast<std::ptrdiff_t>(r) + call.shift + 1 -
                       static_cast<std::ptrdiff_t>(panel * kPanel);
      p[r] = L::from_lane(end, p[r], L::set(0));
    }
  }
  L::store_lines(p, call.p + panel * call.panel_bytes, 0, call.bfloat16);
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileRows; ++r) {
    p[r] = L::mul(p[r],
                  L::sub(L::load(d_probs + r * kPanel), L::set(call.delta[r])));
    if constexpr (kMasked) {
      // d_probs may be infinite where p is 0.
      const auto end = static_cast<std::ptrdiff_t>(r) + call.shift + 1 -
                       static_cast<std::ptrdiff_t>(panel * kPanel);
      p[r] = L::from_lane(end, p[r], L::set(0));
    }
  }
  L::store_lines(p, call.ds + panel * call.panel_bytes, 0, call.bfloat16);
  const std::size_t lines = call.bfloat16 ? kPanel / 2 : kPanel;
  L::store_columns(p, call.ds_rows + panel * lines * kLineBytes, call.bfloat16);
}

template <typename L>
void gradient(const GradientCall& call) noexcept {
  for (std::size_t panel = 0; panel < call.panels; ++panel) {
    const auto last = static_cast<std::ptrdiff_t>(panel * kPanel + kPanel - 1);
    if (last > call.shift) {
      gradient_tile<L, true>(call, panel);
    } else {
      gradient_tile<L, false>(call, panel);
    }
  }
}

template <typename L>
void rescale(float* sums, std::size_t panels, const float* factor) noexcept {
  for (std::size_t panel = 0; panel < panels; ++panel) {
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTileRows; ++r) {
      float* row = sums + panel * kBlock + r * kPanel;
      L::store(row, L::mul(L::load(row), L::set(factor[r])));
    }
  }
}

template <typename L>
void store(const StoreCall& call) noexcept {
  for (std::size_t r = 0; r < call.rows; ++r) {
    const auto factor = L::set(call.factor[r]);
    for (std::size_t c = 0; c < call.columns; c += kPanel) {
      const auto x =
          L::mul(L::load(call.sums + c * kTileRows + r * kPanel), factor);
      const std::size_t left = call.columns - c;
      const std::size_t n = left < kPanel ? left : kPanel;
      const std::size_t at = r * call.stride + c;
      if (call.bfloat16) {
        L::store_narrow(static_cast<std::uint16_t*>(call.to) + at, x, n);
      } else {
        L::store_part(static_cast<float*>(call.to) + at, x, n);
      }
    }
  }
}

template <typename L>
float dot(const void* a, const void* b, std::size_t n, bool bfloat16) noexcept {
  auto sum = L::set(0);
  for (std::size_t i = 0; i < n; i += kPanel) {
    const std::size_t count = n - i < kPanel ? n - i : kPanel;
    if (bfloat16) {
      const auto* x = static_cast<const std::uint16_t*>(a) + i;
      const auto* y = static_cast<const std::uint16_t*>(b) + i;
      sum = L::fma(L::load_wide(x, count), L::load_wide(y, count), sum);
    } else {
      const auto* x = static_cast<const float*>(a) + i;
      const auto* y = static_cast<const float*>(b) + i;
      sum = L::fma(L::load_part(x, count), L::load_part(y, count), sum);
    }
  }
  alignas(kLineBytes) float lanes[kPanel];
  L::store(lanes, sum);
  for (std::size_t width = kPanel / 2; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

template <typename L>
constexpr AttentionTable table_of() {
  return {.softmax = softmax<L>,
          .gradient = gradient<L>,
          .rescale = rescale<L>,
          .store = store<L>,
          .dot = dot<L>};
}

}  // namespace
}  // namespace muonlab::kernels
