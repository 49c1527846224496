// Conversions between float32 and bfloat16 in 512-bit vectors. Compiled into
// every file that includes it: for AVX-512, and for AVX-512 with bfloat16
// instructions.
#pragma once

#include <immintrin.h>

namespace muonlab::kernels {
namespace {

inline __m512 widen(__m256i bits) noexcept {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

// To nearest, ties to even; a NaN stays one. Keeps denormals, which the
// conversion instruction would make zeros.
inline __m256i narrow_exactly(__m512 x) noexcept {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i upper = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
  const __m512i sum =
      _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m512i quiet = _mm512_or_si512(upper, _mm512_set1_epi32(0x40));
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(
      _mm512_mask_blend_epi32(nan, _mm512_srli_epi32(sum, 16), quiet));
}

// For operands of products, which take denormals for zeros as well: by the
// conversion instruction where there is one.
inline __m256i narrow(__m512 x) noexcept {
#ifdef __AVX512BF16__
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
#else
  return narrow_exactly(x);
#endif
}

// Words 0-15 are those of `low`, 16-31 those of `high`.
inline __m512i narrow_pair(__m512 low, __m512 high) noexcept {
#ifdef __AVX512BF16__
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
#else
  return _mm512_inserti64x4(_mm512_castsi256_si512(narrow_exactly(low)),
                            narrow_exactly(high), 1);
#endif
}

// Two rows of pairs: word 2j is the low row's column j, word 2j+1 the high's.
inline __m512i interleave(__m512i rows) noexcept {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11,
                                         26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, rows);
}

}  // namespace
}  // namespace muonlab::kernels
