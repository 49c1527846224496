// Operations on 16 floats for levels whose vectors are narrower than a line,
// in plain loops. Each level file that includes this gets a copy of its own.
#pragma once

#include "muonlab/kernels/attention_body_internal.h"

namespace muonlab::kernels {
namespace {

inline std::uint32_t bits_of(float x) noexcept {
  return __builtin_bit_cast(std::uint32_t, x);
}
inline float float_of(std::uint32_t bits) noexcept {
  return __builtin_bit_cast(float, bits);
}

// The upper 16 bits: nearest, ties to even; a NaN stays one.
inline std::uint32_t rounded_bits(float x) noexcept {
  const std::uint32_t bits = bits_of(x);
  const std::uint32_t quiet = (bits >> 16) | 0x40U;
  const std::uint32_t even = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  return (bits & 0x7fffffffU) > 0x7f800000U ? quiet : even;
}

// What a level has in terms of load() and store(), through memory.
template <typename L>
struct Narrow {
  template <typename Row>
  static Row from_lane(std::ptrdiff_t first, Row below, Row above) noexcept {
    alignas(kLineBytes) float a[kPanel];
    alignas(kLineBytes) float b[kPanel];
    L::store(a, below);
    L::store(b, above);
    for (std::size_t i = 0; i < kPanel; ++i) {
      a[i] = static_cast<std::ptrdiff_t>(i) < first ? a[i] : b[i];
    }
    return L::load(a);
  }

  template <typename Row>
  static void store_lines(const Row (&v)[kTileRows], std::byte* lines,
                          std::size_t half, bool bfloat16) noexcept {
    if (!bfloat16) {
      auto* out = reinterpret_cast<float*>(lines) + half * kBlock;
      for (std::size_t r = 0; r < kTileRows; ++r) {
        L::store(out + r * kPanel, v[r]);
      }
      return;
    }
    auto* out = reinterpret_cast<std::uint32_t*>(lines) + half * kBlock / 2;
    for (std::size_t pair = 0; pair < kTileRows / 2; ++pair) {
      alignas(kLineBytes) float low[kPanel];
      alignas(kLineBytes) float high[kPanel];
      L::store(low, v[2 * pair]);
      L::store(high, v[2 * pair + 1]);
      for (std::size_t c = 0; c < kPanel; ++c) {
        out[pair * kPanel + c] =
            rounded_bits(low[c]) | (rounded_bits(high[c]) << 16);
      }
    }
  }

  template <typename Row>
  static void store_columns(const Row (&v)[kTileRows], std::byte* lines,
                            bool bfloat16) noexcept {
    alignas(kLineBytes) float x[kTileRows][kPanel];
    for (std::size_t r = 0; r < kTileRows; ++r) L::store(x[r], v[r]);
    if (!bfloat16) {
      auto* out = reinterpret_cast<float*>(lines);
      for (std::size_t c = 0; c < kPanel; ++c) {
        for (std::size_t r = 0; r < kTileRows; ++r) {
          out[c * kPanel + r] = x[r][c];
        }
      }
      return;
    }
    auto* out = reinterpret_cast<std::uint32_t*>(lines);
    for (std::size_t pair = 0; pair < kPanel / 2; ++pair) {
      for (std::size_t r = 0; r < kTileRows; ++r) {
        out[pair * kPanel + r] = rounded_bits(x[r][2 * pair]) |
                                 (rounded_bits(x[r][2 * pair + 1]) << 16);
      }
    }
  }

  template <typename Row>
  static void store_narrow(std::uint16_t* to, Row x, std::size_t n) noexcept {
    alignas(kLineBytes) float lanes[kPanel];
    L::store(lanes, x);
    for (std::size_t i = 0; i < n; ++i) {
      to[i] = static_cast<std::uint16_t>(rounded_bits(lanes[i]));
    }
  }
  template <typename Row>
  static void store_part(float* to, Row x, std::size_t n) noexcept {
    alignas(kLineBytes) float lanes[kPanel];
    L::store(lanes, x);
    for (std::size_t i = 0; i < n; ++i) to[i] = lanes[i];
  }
  static auto load_wide(const std::uint16_t* from, std::size_t n) noexcept {
    alignas(kLineBytes) float lanes[kPanel] = {};
    for (std::size_t i = 0; i < n; ++i) {
      lanes[i] = float_of(static_cast<std::uint32_t>(from[i]) << 16);
    }
    return L::load(lanes);
  }
  static auto load_part(const float* from, std::size_t n) noexcept {
    alignas(kLineBytes) float lanes[kPanel] = {};
    for (std::size_t i = 0; i < n; ++i) lanes[i] = from[i];
    return L::load(lanes);
  }
};

}  // namespace
}  // namespace muonlab::kernels
