// 16 values in two registers; the last ones go through memory.
#include <immintrin.h>

#include "muonlab/kernels/row_passes_body_internal.h"

namespace muonlab::kernels {

namespace {

__m256 eight(const float* p) { return _mm256_loadu_ps(p); }
__m256 eight(const Half* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

/// narrowed() of rows of 8, in the lower 16 bits of each.
__m256i rounded(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i upper = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
  const __m256i number = _mm256_srli_epi32(_mm256_add_epi32(bits, up), 16);
  const __m256i nan = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
  const __m256 is_nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  return _mm256_blendv_epi8(number, nan, _mm256_castps_si256(is_nan));
}

struct Sixteen {
  __m256 low;
  __m256 high;

  template <typename T>
  static Sixteen load(const T* p) {
    return {eight(p), eight(p + 8)};
  }
  template <typename T>
  static Sixteen load_first(const T* p, std::size_t count, float rest) {
    float values[kLanes];
    for (std::size_t k = 0; k < kLanes; ++k) {
      values[k] = k < count ? widened(p[k]) : rest;
    }
    return load(values);
  }
  static void store(float* p, Sixteen x) {
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
  }
  static void store(Half* p, Sixteen x) {
    // Packs within the halves of a register; the permutation undoes that.
    const __m256i mixed = _mm256_packus_epi32(rounded(x.low), rounded(x.high));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm256_permute4x64_epi64(mixed, 0xd8));
  }
  template <typename T>
  static void store_first(T* p, Sixteen x, std::size_t count) {
    T values[kLanes];
    store(values, x);
    for (std::size_t k = 0; k < count; ++k) p[k] = values[k];
  }
  static Sixteen set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  /// Lane j and j + 8, then j + 4, j + 2 and j + 1.
  static float sum(Sixteen x) {
    const __m256 pairs = x.low + x.high;
    const __m128 four =
        _mm256_castps256_ps128(pairs) + _mm256_extractf128_ps(pairs, 1);
    const __m128 two = four + _mm_movehl_ps(four, four);
    return _mm_cvtss_f32(two + _mm_movehdup_ps(two));
  }
  static Sixteen min(Sixteen a, Sixteen b) {
    return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
  }
  static Sixteen max(Sixteen a, Sixteen b) {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
  }
  static Sixteen exponent(Sixteen x) {
    const __m256i low = _mm256_castps_si256(x.low);
    const __m256i high = _mm256_castps_si256(x.high);
    return {_mm256_castsi256_ps(_mm256_slli_epi32(low, 23)),
            _mm256_castsi256_ps(_mm256_slli_epi32(high, 23))};
  }

  friend Sixteen operator+(Sixteen a, Sixteen b) {
    return {a.low + b.low, a.high + b.high};
  }
  friend Sixteen operator-(Sixteen a, Sixteen b) {
    return {a.low - b.low, a.high - b.high};
  }
  friend Sixteen operator*(Sixteen a, Sixteen b) {
    return {a.low * b.low, a.high * b.high};
  }
  friend Sixteen operator/(Sixteen a, Sixteen b) {
    return {a.low / b.low, a.high / b.high};
  }
};

}  // namespace

constinit const RowPassesTable kAvx2RowPasses = row_passes_of<Sixteen>();

}  // namespace muonlab::kernels
