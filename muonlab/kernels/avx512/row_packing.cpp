// Packing, a line or 16 lines at a time.
#include <immintrin.h>

#include "muonlab/kernels/row_packing_table_internal.h"

namespace muonlab::kernels {

namespace {

inline __m512 widen(__m256i x) noexcept {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

// To nearest, ties to even; a NaN stays one. The conversion instruction would
// lose denormals.
inline __m256i narrow(__m512 x) noexcept {
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

inline __mmask16 first(std::size_t n) noexcept {
  return static_cast<__mmask16>(n >= 16 ? 0xffffU : (1U << n) - 1U);
}

// The first `n` of 16 entries, zeros behind them.
template <bool kFromBf16>
inline __m512 floats(const void* from, std::size_t i, std::size_t n) noexcept {
  if constexpr (kFromBf16) {
    return widen(_mm256_maskz_loadu_epi16(
        first(n), static_cast<const std::uint16_t*>(from) + i));
  } else {
    return _mm512_maskz_loadu_ps(first(n), static_cast<const float*>(from) + i);
  }
}
template <bool kFromBf16>
inline __m256i halves(const void* from, std::size_t i, std::size_t n) noexcept {
  if constexpr (kFromBf16) {
    return _mm256_maskz_loadu_epi16(
        first(n), static_cast<const std::uint16_t*>(from) + i);
  } else {
    return narrow(floats<false>(from, i, n));
  }
}
inline __m512i join(__m256i low, __m256i high) noexcept {
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// What 16 lines take of one row.
template <bool kFromBf16, bool kToBf16>
inline __m512i words(const void* from, std::size_t i, std::size_t n) noexcept {
  if constexpr (!kToBf16) {
    return _mm512_castps_si512(floats<kFromBf16>(from, i, n));
  } else if constexpr (kFromBf16) {
    const auto lanes =
        static_cast<__mmask32>(n >= 32 ? 0xffffffffU : (1U << n) - 1U);
    return _mm512_maskz_loadu_epi16(
        lanes, static_cast<const std::uint16_t*>(from) + i);
  } else {
    const std::size_t rest = n > 16 ? n - 16 : 0;
    return join(
        halves<false>(from, i, n),
        rest == 0 ? _mm256_setzero_si256() : halves<false>(from, i + 16, rest));
  }
}

inline void transpose(__m512i (&v)[kPanel]) noexcept {
  __m512i t[kPanel];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kPanel; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  // v[4 q + j]: word j of each 128-bit lane, of rows 4 q to 4 q + 3.
#pragma GCC unroll 4
  for (std::size_t i = 0; i < kPanel; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (std::size_t j = 0; j < 4; ++j) {
    const __m512i a = _mm512_shuffle_i64x2(v[j], v[4 + j], 0x88);
    const __m512i b = _mm512_shuffle_i64x2(v[8 + j], v[12 + j], 0x88);
    const __m512i c = _mm512_shuffle_i64x2(v[j], v[4 + j], 0xdd);
    const __m512i d = _mm512_shuffle_i64x2(v[8 + j], v[12 + j], 0xdd);
    t[j] = _mm512_shuffle_i64x2(a, b, 0x88);
    t[4 + j] = _mm512_shuffle_i64x2(c, d, 0x88);
    t[8 + j] = _mm512_shuffle_i64x2(a, b, 0xdd);
    t[12 + j] = _mm512_shuffle_i64x2(c, d, 0xdd);
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kPanel; ++i) v[i] = t[i];
}

template <bool kFromBf16, bool kToBf16>
void rows(const PackCall& call) noexcept {
  constexpr std::size_t kGroup = kToBf16 ? 2 : 1;
  constexpr std::size_t kSize = kFromBf16 ? 2 : 4;
  const auto* from = static_cast<const char*>(call.from);
  auto* to = static_cast<char*>(call.to);
  for (std::size_t line = 0; line < call.lines; line += kPanel) {
    const std::size_t k = line * kGroup;
    const std::size_t n = call.depth > k ? call.depth - k : 0;
    __m512i v[kPanel];
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kPanel; ++r) {
      v[r] = r < call.rows && n > 0 ? words<kFromBf16, kToBf16>(
                                          from + r * call.stride * kSize, k, n)
                                    : _mm512_setzero_si512();
    }
    transpose(v);
    const std::size_t valid = call.lines - line;
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kPanel; ++i) {
      if (i < valid) _mm512_store_si512(to + (line + i) * kLineBytes, v[i]);
    }
  }
}

template <bool kFromBf16, bool kToBf16>
void columns(const PackCall& call) noexcept {
  constexpr std::size_t kGroup = kToBf16 ? 2 : 1;
  const std::size_t step = call.stride * (kFromBf16 ? 2 : 4);
  const auto* from = static_cast<const char*>(call.from);
  auto* to = static_cast<char*>(call.to);
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11,
                                         26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const std::size_t whole = call.depth / kGroup;
  std::size_t line = 0;
  for (; line < whole; ++line, from += kGroup * step) {
    __m512i v;
    if constexpr (kToBf16) {
      v = _mm512_permutexvar_epi16(
          order, join(halves<kFromBf16>(from, 0, call.rows),
                      halves<kFromBf16>(from + step, 0, call.rows)));
    } else {
      v = _mm512_castps_si512(floats<kFromBf16>(from, 0, call.rows));
    }
    _mm512_store_si512(to + line * kLineBytes, v);
  }
  if constexpr (kToBf16) {
    if (call.depth % 2 != 0) {
      _mm512_store_si512(
          to + line * kLineBytes,
          _mm512_cvtepu16_epi32(halves<kFromBf16>(from, 0, call.rows)));
      ++line;
    }
  }
  for (; line < call.lines; ++line) {
    _mm512_store_si512(to + line * kLineBytes, _mm512_setzero_si512());
  }
}

#define MUONLAB_DISPATCH(function)                                       \
  (call.to_bfloat16 ? (call.from_bfloat16 ? function<true, true>(call)   \
                                          : function<false, true>(call)) \
                    : (call.from_bfloat16 ? function<true, false>(call)  \
                                          : function<false, false>(call)))

void rows_any(const PackCall& call) noexcept { MUONLAB_DISPATCH(rows); }
void columns_any(const PackCall& call) noexcept { MUONLAB_DISPATCH(columns); }

#undef MUONLAB_DISPATCH

}  // namespace

constinit const PackingTable kAvx512Packing = {rows_any, columns_any};

}  // namespace muonlab::kernels
