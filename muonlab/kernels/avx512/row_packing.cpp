// Packing, a line or 16 lines at a time.
#include <immintrin.h>

#include "muonlab/kernels/avx512/bfloat16_internal.h"
#include "muonlab/kernels/row_packing_table_internal.h"

namespace muonlab::kernels {

namespace {

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
    return narrow_exactly(floats<false>(from, i, n));
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
void panel_of_rows(const PackCall& call, std::size_t begin) noexcept {
  constexpr std::size_t kGroup = kToBf16 ? 2 : 1;
  const std::size_t step = call.stride * (kFromBf16 ? 2 : 4);
  const auto* from = static_cast<const char*>(call.from) + begin * step;
  auto* to =
      static_cast<char*>(call.to) + begin / kPanel * call.lines * kLineBytes;
  for (std::size_t line = 0; line < call.lines; line += kPanel) {
    const std::size_t k = line * kGroup;
    const std::size_t n = call.depth > k ? call.depth - k : 0;
    __m512i v[kPanel];
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kPanel; ++r) {
      v[r] = begin + r < call.rows && n > 0
                 ? words<kFromBf16, kToBf16>(from + r * step, k, n)
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
void rows(const PackCall& call) noexcept {
  for (std::size_t r = 0; r < call.rows; r += kPanel) {
    panel_of_rows<kFromBf16, kToBf16>(call, r);
  }
}

// A line of up to 16 columns, n > 0 of them. `low` and `high` are its rows,
// of which float32 takes the first alone; without `high`, that is zero.
template <bool kFromBf16, bool kToBf16>
inline __m512i line_of(const char* low, const char* high, std::size_t i,
                       std::size_t n) noexcept {
  if constexpr (kToBf16) {
    return interleave(join(halves<kFromBf16>(low, i, n),
                           high == nullptr ? _mm256_setzero_si256()
                                           : halves<kFromBf16>(high, i, n)));
  } else {
    return _mm512_castps_si512(floats<kFromBf16>(low, i, n));
  }
}

// Several panels at a time, since a row's next line is cheap to read.
constexpr std::size_t kTogether = 4;

template <bool kFromBf16, bool kToBf16>
void some_columns(const PackCall& call, std::size_t begin,
                  std::size_t end) noexcept {
  constexpr std::size_t kGroup = kToBf16 ? 2 : 1;
  const std::size_t step = call.stride * (kFromBf16 ? 2 : 4);
  const std::size_t panel = call.lines * kLineBytes;
  const std::size_t whole = call.depth / kGroup;
  const auto* from = static_cast<const char*>(call.from);
  auto* to = static_cast<char*>(call.to) + begin / kPanel * panel;
  const auto store = [&](std::size_t line, std::size_t i, __m512i v) {
    _mm512_store_si512(to + (i - begin) / kPanel * panel + line * kLineBytes,
                       v);
  };
  std::size_t line = 0;
  if (end - begin == kTogether * kPanel) {
    for (; line < whole; ++line, from += kGroup * step) {
#pragma GCC unroll 4
      for (std::size_t p = 0; p < kTogether; ++p) {
        const std::size_t i = begin + p * kPanel;
        store(line, i,
              line_of<kFromBf16, kToBf16>(from, from + step, i, kPanel));
      }
    }
  }
  for (; line < whole; ++line, from += kGroup * step) {
    for (std::size_t i = begin; i < end; i += kPanel) {
      store(line, i,
            line_of<kFromBf16, kToBf16>(from, from + step, i, end - i));
    }
  }
  if (whole * kGroup < call.depth) {
    for (std::size_t i = begin; i < end; i += kPanel) {
      store(line, i, line_of<kFromBf16, kToBf16>(from, nullptr, i, end - i));
    }
    ++line;
  }
  for (; line < call.lines; ++line) {
    for (std::size_t i = begin; i < end; i += kPanel) {
      store(line, i, _mm512_setzero_si512());
    }
  }
}

template <bool kFromBf16, bool kToBf16>
void columns(const PackCall& call) noexcept {
  constexpr std::size_t kStep = kTogether * kPanel;
  for (std::size_t c = 0; c < call.rows; c += kStep) {
    some_columns<kFromBf16, kToBf16>(
        call, c, call.rows - c < kStep ? call.rows : c + kStep);
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
