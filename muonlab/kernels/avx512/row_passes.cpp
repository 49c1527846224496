// 16 values in a register, the last ones under a mask.
#include <immintrin.h>

#include "muonlab/kernels/avx512/bfloat16_internal.h"
#include "muonlab/kernels/row_passes_body_internal.h"

namespace muonlab::kernels {

namespace {

struct Sixteen {
  __m512 v;

  static __mmask16 mask_of(std::size_t count) {
    return static_cast<__mmask16>((1U << count) - 1);
  }
  static Sixteen widened_of(__m256i bits) { return {widen(bits)}; }

  static Sixteen load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Sixteen load(const Half* p) {
    return widened_of(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Sixteen load_first(const float* p, std::size_t count, float rest) {
    return {_mm512_mask_loadu_ps(_mm512_set1_ps(rest), mask_of(count), p)};
  }
  static Sixteen load_first(const Half* p, std::size_t count, float rest) {
    const __mmask16 mask = mask_of(count);
    const Sixteen values = widened_of(_mm256_maskz_loadu_epi16(mask, p));
    return {_mm512_mask_mov_ps(_mm512_set1_ps(rest), mask, values.v)};
  }
  static void store(float* p, Sixteen x) { _mm512_storeu_ps(p, x.v); }
  static void store(Half* p, Sixteen x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_exactly(x.v));
  }
  static void store_first(float* p, Sixteen x, std::size_t count) {
    _mm512_mask_storeu_ps(p, mask_of(count), x.v);
  }
  static void store_first(Half* p, Sixteen x, std::size_t count) {
    _mm256_mask_storeu_epi16(p, mask_of(count), narrow_exactly(x.v));
  }
  static Sixteen set(float x) { return {_mm512_set1_ps(x)}; }
  /// Lane j and j + 8, then j + 4, j + 2 and j + 1.
  static float sum(Sixteen x) {
    const __m256 pairs =
        _mm512_castps512_ps256(x.v) + _mm512_extractf32x8_ps(x.v, 1);
    const __m128 four =
        _mm256_castps256_ps128(pairs) + _mm256_extractf128_ps(pairs, 1);
    const __m128 two = four + _mm_movehl_ps(four, four);
    return _mm_cvtss_f32(two + _mm_movehdup_ps(two));
  }
  static Sixteen min(Sixteen a, Sixteen b) { return {_mm512_min_ps(a.v, b.v)}; }
  static Sixteen max(Sixteen a, Sixteen b) { return {_mm512_max_ps(a.v, b.v)}; }
  static Sixteen exponent(Sixteen x) {
    return {
        _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(x.v), 23))};
  }

  friend Sixteen operator+(Sixteen a, Sixteen b) { return {a.v + b.v}; }
  friend Sixteen operator-(Sixteen a, Sixteen b) { return {a.v - b.v}; }
  friend Sixteen operator*(Sixteen a, Sixteen b) { return {a.v * b.v}; }
  friend Sixteen operator/(Sixteen a, Sixteen b) { return {a.v / b.v}; }
};

}  // namespace

constinit const RowPassesTable kAvx512RowPasses = row_passes_of<Sixteen>();

}  // namespace muonlab::kernels
