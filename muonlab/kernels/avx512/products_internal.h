// The packed products in 512-bit vectors. Compiled twice, each time into an
// unnamed namespace: for AVX-512, and for AVX-512 with bfloat16 products.
#pragma once

#include <immintrin.h>

#include "muonlab/kernels/avx512/block_internal.h"
#include "muonlab/kernels/product_table_internal.h"

namespace muonlab::kernels {
namespace {

constexpr std::size_t kLineFloats = kLineBytes / sizeof(float);

// sums += both products of a pair of k in each 32-bit lane.
inline __m512 pair_product(__m512 sums, __m512i x, __m512i line) noexcept {
#ifdef __AVX512BF16__
  return _mm512_dpbf16_ps(sums, reinterpret_cast<__m512bh>(x),
                          reinterpret_cast<__m512bh>(line));
#else
  const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000U));
  const auto low_of = [](__m512i v) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
  };
  const auto high_of = [high](__m512i v) {
    return _mm512_castsi512_ps(_mm512_and_si512(v, high));
  };
  sums = _mm512_fmadd_ps(high_of(x), high_of(line), sums);
  return _mm512_fmadd_ps(low_of(x), low_of(line), sums);
#endif
}

// What a line holds, and how it is multiplied by one value (or pair) of the
// left side in every lane.
struct Float32 {
  using Vector = __m512;
  using Scalar = float;
  static Vector load(const char* line) { return _mm512_load_ps(line); }
  static Vector broadcast(Scalar x) { return _mm512_set1_ps(x); }
  static __m512 add_product(__m512 sums, Vector x, Vector line) {
    return _mm512_fmadd_ps(x, line, sums);
  }
};
struct BFloat16Pair {
  using Vector = __m512i;
  using Scalar = int;
  static Vector load(const char* line) { return _mm512_load_si512(line); }
  static Vector broadcast(Scalar x) { return _mm512_set1_epi32(x); }
  static __m512 add_product(__m512 sums, Vector x, Vector line) {
    return pair_product(sums, x, line);
  }
};

// 8 x 3 sums, 3 right lines and one broadcast: 28 of 32 registers. GCC keeps an
// array in registers only where every loop over it is unrolled.
template <typename Element, std::size_t kPanels>
void tile_of(const TileCall& call) noexcept {
  const auto* left = static_cast<const typename Element::Scalar*>(call.left);
  const auto* right = static_cast<const char*>(call.right);
  const auto* prefetch = static_cast<const char*>(call.prefetch);
  const std::size_t stride = call.right_stride;
  __m512 sums[kTileRows][kPanels];
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 3
    for (std::size_t p = 0; p < kPanels; ++p) {
      sums[r][p] = call.first
                       ? _mm512_setzero_ps()
                       : _mm512_load_ps(call.sums + p * kBlock + r * kPanel);
    }
  }
  const auto step = [&](std::size_t k) __attribute__((always_inline)) {
    typename Element::Vector line[kPanels];
#pragma GCC unroll 3
    for (std::size_t p = 0; p < kPanels; ++p) {
      line[p] = Element::load(right + p * stride + k * kLineBytes);
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTileRows; ++r) {
      const auto x = Element::broadcast(left[k * kLineFloats + r]);
#pragma GCC unroll 3
      for (std::size_t p = 0; p < kPanels; ++p) {
        sums[r][p] = Element::add_product(sums[r][p], x, line[p]);
      }
    }
  };
  // `lines` is a multiple of 8.
  for (std::size_t k = 0; k < call.lines; k += 2) {
    step(k);
    if (prefetch != nullptr) {
      _mm_prefetch(prefetch + k / 2 * kLineBytes, _MM_HINT_T1);
    }
    step(k + 1);
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 3
    for (std::size_t p = 0; p < kPanels; ++p) {
      _mm512_store_ps(call.sums + p * kBlock + r * kPanel, sums[r][p]);
    }
  }
}

template <typename Element>
void tile(const TileCall& call) noexcept {
  switch (call.panels) {
    case 1:
      return tile_of<Element, 1>(call);
    case 2:
      return tile_of<Element, 2>(call);
    default:
      return tile_of<Element, 3>(call);
  }
}

// Replaces what is right of the corner's diagonal by its mirror image.
inline void mirror(__m512 (&v)[kTileRows], BlockShape shape) noexcept {
  const Columns t = transposed(v);
  const bool high = shape == BlockShape::kDiagonalHigh;
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileRows; ++r) {
    const auto right = static_cast<__mmask16>(0xff & ~((2U << r) - 1U));
    if (high) {
      const __m512 image =
          _mm512_insertf32x8(_mm512_setzero_ps(), t.column[8 + r], 1);
      v[r] =
          _mm512_mask_mov_ps(v[r], static_cast<__mmask16>(right << 8), image);
    } else {
      v[r] =
          _mm512_mask_mov_ps(v[r], right, _mm512_castps256_ps512(t.column[r]));
    }
  }
}

inline void store_direct(const __m512 (&v)[kTileRows],
                         const BlockTarget& target, bool half) noexcept {
  const __mmask16 lanes = half ? 0x00ff : 0xffff;
  if (!target.bfloat16) {
    auto* out = static_cast<float*>(target.direct);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTileRows; ++r) {
      _mm512_mask_store_ps(out + r * kPanel, lanes, v[r]);
    }
    return;
  }
  auto* out = static_cast<int*>(target.direct);
#pragma GCC unroll 4
  for (std::size_t pair = 0; pair < kTileRows / 2; ++pair) {
    _mm512_mask_store_epi32(
        out + pair * kPanel, lanes,
        interleave(narrow_pair(v[2 * pair], v[2 * pair + 1])));
  }
}

inline void store_transposed(const __m512 (&v)[kTileRows],
                             const BlockTarget& target, bool half) noexcept {
  if (target.bfloat16) {
    store_columns_bfloat16(v, static_cast<int*>(target.transposed), half);
  } else {
    store_columns_float32(v, static_cast<float*>(target.transposed), half);
  }
}

inline void store_rows(const __m512 (&v)[kTileRows],
                       const BlockCall& call) noexcept {
  if (!call.rows_transposed) {
    const auto lanes = static_cast<__mmask16>((1U << call.valid_columns) - 1U);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTileRows; ++r) {
      if (r < call.valid_rows) {
        _mm512_mask_storeu_ps(call.rows + r * call.rows_stride, lanes, v[r]);
      }
    }
    return;
  }
  const auto lanes = static_cast<__mmask8>((1U << call.valid_rows) - 1U);
  const Columns t = transposed(v);
#pragma GCC unroll 16
  for (std::size_t c = 0; c < kPanel; ++c) {
    if (c < call.valid_columns) {
      _mm256_mask_storeu_ps(call.rows + c * call.rows_stride, lanes,
                            t.column[c]);
    }
  }
}

void finish(const BlockCall& call) noexcept {
  __m512 v[kTileRows];
  const __m512 alpha = _mm512_set1_ps(call.alpha);
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileRows; ++r) {
    v[r] =
        _mm512_mul_ps(alpha, _mm512_loadu_ps(call.sums + r * call.sums_stride));
  }
  const __m512 beta = _mm512_set1_ps(call.beta);
  if (call.addend != nullptr && !call.addend_bfloat16) {
    const auto* add = static_cast<const float*>(call.addend);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTileRows; ++r) {
      v[r] = _mm512_fmadd_ps(beta, _mm512_load_ps(add + r * kPanel), v[r]);
    }
  } else if (call.addend != nullptr) {
    const auto* add = static_cast<const int*>(call.addend);
    const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000U));
#pragma GCC unroll 4
    for (std::size_t pair = 0; pair < kTileRows / 2; ++pair) {
      const __m512i line = _mm512_load_si512(add + pair * kPanel);
      v[2 * pair] = _mm512_fmadd_ps(
          beta, _mm512_castsi512_ps(_mm512_slli_epi32(line, 16)), v[2 * pair]);
      v[2 * pair + 1] = _mm512_fmadd_ps(
          beta, _mm512_castsi512_ps(_mm512_and_si512(line, high)),
          v[2 * pair + 1]);
    }
  }
  const bool diagonal = call.shape != BlockShape::kFull;
  const bool low = call.shape == BlockShape::kDiagonalLow;
  if (diagonal) mirror(v, call.shape);
  const auto store = [&](const __m512(&x)[kTileRows],
                         const BlockTarget& target) {
    if (target.direct != nullptr) store_direct(x, target, low);
    // The first corner is symmetric and written already.
    if (target.transposed != nullptr && !low) {
      store_transposed(x, target, diagonal);
    }
  };
  for (std::size_t i = 0; i < call.target_count; ++i) {
    const BlockTarget& target = call.targets[i];
    if (!diagonal || target.diagonal == 0) {
      store(v, target);
      continue;
    }
    __m512 shifted[kTileRows];
    const __m512 shift = _mm512_set1_ps(target.diagonal);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTileRows; ++r) {
      const auto lane = static_cast<__mmask16>(1U << (low ? r : kTileRows + r));
      shifted[r] = _mm512_mask_add_ps(v[r], lane, v[r], shift);
    }
    store(shifted, target);
  }
  if (call.rows != nullptr) store_rows(v, call);
}

double sum_of_squares(const float* x, std::size_t n) noexcept {
  __m512d low = _mm512_setzero_pd();
  __m512d high = _mm512_setzero_pd();
  for (std::size_t i = 0; i < n; i += kPanel) {
    const std::size_t left = n - i;
    const auto lanes =
        static_cast<__mmask16>(left >= kPanel ? 0xffffU : (1U << left) - 1U);
    const __m512 v = _mm512_maskz_loadu_ps(lanes, x + i);
    const __m512d a = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    const __m512d b = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    low = _mm512_add_pd(low, _mm512_mul_pd(a, a));
    high = _mm512_add_pd(high, _mm512_mul_pd(b, b));
  }
  alignas(64) double lanes[kPanel];
  _mm512_store_pd(lanes, low);
  _mm512_store_pd(lanes + 8, high);
  for (std::size_t width = kPanel / 2; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

// 24 chains hide a latency of 6 at two instructions a cycle.
constexpr std::size_t kChains = 24;

float burst_float32(std::size_t rounds) noexcept {
  __m512 sums[kChains];
#pragma GCC unroll 24
  for (std::size_t i = 0; i < kChains; ++i) {
    sums[i] = _mm512_set1_ps(static_cast<float>(i));
  }
  const __m512 x = _mm512_set1_ps(0.999F);
  const __m512 y = _mm512_set1_ps(0.001F);
  for (std::size_t k = 0; k < rounds; ++k) {
#pragma GCC unroll 24
    for (std::size_t i = 0; i < kChains; ++i) {
      sums[i] = _mm512_fmadd_ps(sums[i], x, y);
    }
  }
  __m512 all = sums[0];
#pragma GCC unroll 23
  for (std::size_t i = 1; i < kChains; ++i) all = _mm512_add_ps(all, sums[i]);
  return _mm512_reduce_add_ps(all);
}

[[maybe_unused]] float burst_bfloat16(std::size_t rounds) noexcept {
  __m512 sums[kChains];
#pragma GCC unroll 24
  for (std::size_t i = 0; i < kChains; ++i) {
    sums[i] = _mm512_set1_ps(static_cast<float>(i));
  }
  // 0x3c00 is 1/128: the sums stay small.
  const __m512i x = _mm512_set1_epi32(0x3c003c00);
  for (std::size_t k = 0; k < rounds; ++k) {
#pragma GCC unroll 24
    for (std::size_t i = 0; i < kChains; ++i) {
      sums[i] = pair_product(sums[i], x, x);
    }
  }
  __m512 all = sums[0];
#pragma GCC unroll 23
  for (std::size_t i = 1; i < kChains; ++i) all = _mm512_add_ps(all, sums[i]);
  return _mm512_reduce_add_ps(all);
}

constexpr std::size_t kFlopsFloat32 = kChains * 16 * 2;

}  // namespace
}  // namespace muonlab::kernels
