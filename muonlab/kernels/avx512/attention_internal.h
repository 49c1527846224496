// The passes of attention in 512-bit vectors. Compiled twice, as the products
// are: for AVX-512, and for AVX-512 with bfloat16 conversions.
#pragma once

#include <immintrin.h>

#include "muonlab/kernels/attention_body_internal.h"

namespace muonlab::kernels {
namespace {

// The bfloat16 values of x: nearest, ties to even; a NaN stays one.
inline __m256i narrowed(__m512 x) noexcept {
#ifdef __AVX512BF16__
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
#else
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i upper = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
  const __m512i even = _mm512_srli_epi32(
      _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))),
      16);
  const __m512i quiet = _mm512_or_si512(upper, _mm512_set1_epi32(0x40));
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(nan, even, quiet));
#endif
}

// Words 0-15 are those of `low`, 16-31 those of `high`.
inline __m512i narrowed_pair(__m512 low, __m512 high) noexcept {
#ifdef __AVX512BF16__
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
#else
  return _mm512_inserti64x4(_mm512_castsi256_si512(narrowed(low)),
                            narrowed(high), 1);
#endif
}

// Two rows of pairs: word 2j is the low row's column j, word 2j+1 the high's.
inline __m512i line_of_pair(__m512 low, __m512 high) noexcept {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11,
                                         26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, narrowed_pair(low, high));
}

// Rows 0-3 and 4-7 of columns: t[i] holds columns {0,4,8,12} + i of four rows,
// one in each 128-bit lane.
inline void four_columns(const __m512* v, __m512d* t) noexcept {
  const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(v[0], v[1]));
  const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(v[0], v[1]));
  const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(v[2], v[3]));
  const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(v[2], v[3]));
  t[0] = _mm512_unpacklo_pd(a, c);
  t[1] = _mm512_unpackhi_pd(a, c);
  t[2] = _mm512_unpacklo_pd(b, d);
  t[3] = _mm512_unpackhi_pd(b, d);
}

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
                         line_of_pair(v[2 * pair], v[2 * pair + 1]));
    }
  }

  static void store_columns(const Row (&v)[kTileRows], std::byte* lines,
                            bool bfloat16) noexcept {
    if (bfloat16) {
      store_pairs_of_columns(v, reinterpret_cast<int*>(lines));
      return;
    }
    auto* out = reinterpret_cast<float*>(lines);
    __m512d upper[4];
    __m512d lower[4];
    four_columns(v, upper);
    four_columns(v + 4, lower);
    const __m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
    const __m512i second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      const __m512 x =
          _mm512_castpd_ps(_mm512_permutex2var_pd(upper[i], first, lower[i]));
      const __m512 y =
          _mm512_castpd_ps(_mm512_permutex2var_pd(upper[i], second, lower[i]));
      _mm256_store_ps(out + i * kPanel, _mm512_castps512_ps256(x));
      _mm256_store_ps(out + (4 + i) * kPanel, _mm512_extractf32x8_ps(x, 1));
      _mm256_store_ps(out + (8 + i) * kPanel, _mm512_castps512_ps256(y));
      _mm256_store_ps(out + (12 + i) * kPanel, _mm512_extractf32x8_ps(y, 1));
    }
  }

  static void store_narrow(std::uint16_t* to, Row x, std::size_t n) noexcept {
    _mm256_mask_storeu_epi16(to, lanes(static_cast<std::ptrdiff_t>(n)),
                             narrowed(x));
  }
  static void store_part(float* to, Row x, std::size_t n) noexcept {
    _mm512_mask_storeu_ps(to, lanes(static_cast<std::ptrdiff_t>(n)), x);
  }
  static Row load_wide(const std::uint16_t* from, std::size_t n) noexcept {
    const __m256i bits =
        _mm256_maskz_loadu_epi16(lanes(static_cast<std::ptrdiff_t>(n)), from);
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static Row load_part(const float* from, std::size_t n) noexcept {
    return _mm512_maskz_loadu_ps(lanes(static_cast<std::ptrdiff_t>(n)), from);
  }

 private:
  // Dword d of row r is its columns 2d and 2d + 1: an 8 x 8 transposition.
  static void store_pairs_of_columns(const Row (&v)[kTileRows],
                                     int* out) noexcept {
    const __m512i a = narrowed_pair(v[0], v[4]);
    const __m512i b = narrowed_pair(v[1], v[5]);
    const __m512i c = narrowed_pair(v[2], v[6]);
    const __m512i d = narrowed_pair(v[3], v[7]);
    const __m512i ab_low = _mm512_unpacklo_epi32(a, b);
    const __m512i ab_high = _mm512_unpackhi_epi32(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi32(c, d);
    const __m512i cd_high = _mm512_unpackhi_epi32(c, d);
    const __m512i columns[4] = {_mm512_unpacklo_epi64(ab_low, cd_low),
                                _mm512_unpackhi_epi64(ab_low, cd_low),
                                _mm512_unpacklo_epi64(ab_high, cd_high),
                                _mm512_unpackhi_epi64(ab_high, cd_high)};
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      const __m512i both = _mm512_shuffle_i64x2(columns[i], columns[i], 0xd8);
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + i * kPanel),
                         _mm512_castsi512_si256(both));
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + (4 + i) * kPanel),
                         _mm512_extracti64x4_epi64(both, 1));
    }
  }
};

}  // namespace
}  // namespace muonlab::kernels
