// A block of 8 rows and 16 columns in registers, turned over.
#pragma once

#include <immintrin.h>

#include "muonlab/kernels/avx512/bfloat16_internal.h"
#include "muonlab/kernels/product_table_internal.h"

namespace muonlab::kernels {
namespace {

// t[i] holds columns {0,4,8,12} + i of four rows, one in each 128-bit lane.
inline void transpose_lanes(const __m512* v, __m512d* t) noexcept {
  const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(v[0], v[1]));
  const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(v[0], v[1]));
  const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(v[2], v[3]));
  const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(v[2], v[3]));
  t[0] = _mm512_unpacklo_pd(a, c);
  t[1] = _mm512_unpackhi_pd(a, c);
  t[2] = _mm512_unpacklo_pd(b, d);
  t[3] = _mm512_unpackhi_pd(b, d);
}

// The 16 columns of a block, each 8 floats long.
struct Columns {
  __m256 column[kPanel];
};

inline Columns transposed(const __m512 (&v)[kTileRows]) noexcept {
  __m512d upper[4];
  __m512d lower[4];
  transpose_lanes(v, upper);
  transpose_lanes(v + 4, lower);
  const __m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
  const __m512i second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
  Columns t;
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 4; ++i) {
    const __m512 x =
        _mm512_castpd_ps(_mm512_permutex2var_pd(upper[i], first, lower[i]));
    const __m512 y =
        _mm512_castpd_ps(_mm512_permutex2var_pd(upper[i], second, lower[i]));
    t.column[i] = _mm512_castps512_ps256(x);
    t.column[4 + i] = _mm512_extractf32x8_ps(x, 1);
    t.column[8 + i] = _mm512_castps512_ps256(y);
    t.column[12 + i] = _mm512_extractf32x8_ps(y, 1);
  }
  return t;
}

// The columns as half lines of a panel of the block's rows, 16 floats (float32)
// or pairs (bfloat16) apart. With `half` columns 0-7 alone.
inline void store_columns_float32(const __m512 (&v)[kTileRows], float* out,
                                  bool half) noexcept {
  const Columns t = transposed(v);
#pragma GCC unroll 8
  for (std::size_t c = 0; c < kTileRows; ++c) {
    _mm256_store_ps(out + c * kPanel, t.column[c]);
  }
  if (half) return;
#pragma GCC unroll 8
  for (std::size_t c = kTileRows; c < kPanel; ++c) {
    _mm256_store_ps(out + c * kPanel, t.column[c]);
  }
}

// Dword d of row r is its columns 2d and 2d + 1: an 8 x 8 transposition.
inline void store_columns_bfloat16(const __m512 (&v)[kTileRows], int* out,
                                   bool half) noexcept {
  const __m512i a = narrow_pair(v[0], v[4]);
  const __m512i b = narrow_pair(v[1], v[5]);
  const __m512i c = narrow_pair(v[2], v[6]);
  const __m512i d = narrow_pair(v[3], v[7]);
  const __m512i ab_low = _mm512_unpacklo_epi32(a, b);
  const __m512i ab_high = _mm512_unpackhi_epi32(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi32(c, d);
  const __m512i cd_high = _mm512_unpackhi_epi32(c, d);
  const __m512i lanes[4] = {_mm512_unpacklo_epi64(ab_low, cd_low),
                            _mm512_unpackhi_epi64(ab_low, cd_low),
                            _mm512_unpacklo_epi64(ab_high, cd_high),
                            _mm512_unpackhi_epi64(ab_high, cd_high)};
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 4; ++i) {
    const __m512i both = _mm512_shuffle_i64x2(lanes[i], lanes[i], 0xd8);
    _mm256_store_si256(reinterpret_cast<__m256i*>(out + i * kPanel),
                       _mm512_castsi512_si256(both));
    if (!half) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + (4 + i) * kPanel),
                         _mm512_extracti64x4_epi64(both, 1));
    }
  }
}

}  // namespace
}  // namespace muonlab::kernels
