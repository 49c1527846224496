// The passes of attention in 512-bit vectors. Compiled twice, as the products
// are: for AVX-512, and for AVX-512 with bfloat16 conversions.
#pragma once

#include <immintrin.h>

#include "muonlab/kernels/attention_body_internal.h"
#include "muonlab/kernels/avx512/block_internal.h"

namespace muonlab::kernels {
namespace {

struct Avx512 {
  using Row = __m512;

  static Row load(const float* p) noexcept { return _mm512_load_ps(p); }
  static void store(float* p, Row x) noexcept { _mm512_store_ps(p, x); }
  static Row set(float x) noexcept { return _mm512_set1_ps(x); }
  static Row add(Row a, Row b) noexcept { return _mm512_add_ps(a, b); }
  static Row sub(Row a, Row b) noexcept { return _mm512_sub_ps(a, b); }
  static Row mul(Row a, Row b) noexcept { return _mm512_mul_ps(a, b); }
  static Row max(Row a, Row b) noexcept { return _mm512_max_ps(a, b); }
  static Row fma(Row a, Row b, Row c) noexcept {
    return _mm512_fmadd_ps(a, b, c);
  }
  static Row fms(Row a, Row b, Row c) noexcept {
    return _mm512_fmsub_ps(a, b, c);
  }
  static Row nearest(Row x) noexcept {
    return _mm512_roundscale_ps(x,
                                _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Row scaled(Row y, Row whole) noexcept {
    return _mm512_scalef_ps(y, whole);
  }
  // The first n lanes.
  static __mmask16 lanes(std::ptrdiff_t n) noexcept {
    if (n <= 0) return 0;
    return static_cast<__mmask16>(n >= 16 ? 0xffffU : (1U << n) - 1U);
  }
  static Row from_lane(std::ptrdiff_t first, Row below, Row above) noexcept {
    return _mm512_mask_mov_ps(above, lanes(first), below);
  }

  static void store_lines(const Row (&v)[kTileRows], std::byte* lines,
                          std::size_t half, bool bfloat16) noexcept {
    if (!bfloat16) {
      auto* out = reinterpret_cast<float*>(lines) + half * kBlock;
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kTileRows; ++r) {
        _mm512_store_ps(out + r * kPanel, v[r]);
      }
      return;
    }
    auto* out = reinterpret_cast<int*>(lines) + half * kBlock / 2;
#pragma GCC unroll 4
    for (std::size_t pair = 0; pair < kTileRows / 2; ++pair) {
      _mm512_store_si512(out + pair * kPanel,
                         interleave(narrow_pair(v[2 * pair], v[2 * pair + 1])));
    }
  }

  static void store_columns(const Row (&v)[kTileRows], std::byte* lines,
                            bool bfloat16) noexcept {
    if (bfloat16) {
      store_columns_bfloat16(v, reinterpret_cast<int*>(lines), false);
    } else {
      store_columns_float32(v, reinterpret_cast<float*>(lines), false);
    }
  }

  static void store_narrow(std::uint16_t* to, Row x, std::size_t n) noexcept {
    _mm256_mask_storeu_epi16(to, lanes(static_cast<std::ptrdiff_t>(n)),
                             narrow(x));
  }
  static void store_part(float* to, Row x, std::size_t n) noexcept {
    _mm512_mask_storeu_ps(to, lanes(static_cast<std::ptrdiff_t>(n)), x);
  }
  static Row load_wide(const std::uint16_t* from, std::size_t n) noexcept {
    const __m256i bits =
        _mm256_maskz_loadu_epi16(lanes(static_cast<std::ptrdiff_t>(n)), from);
    return widen(bits);
  }
  static Row load_part(const float* from, std::size_t n) noexcept {
    return _mm512_maskz_loadu_ps(lanes(static_cast<std::ptrdiff_t>(n)), from);
  }
};

}  // namespace
}  // namespace muonlab::kernels
