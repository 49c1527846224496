// The passes of attention in 256-bit vectors: 16 floats are two of them.
#include <immintrin.h>

#include "muonlab/kernels/attention_narrow_internal.h"

namespace muonlab::kernels {

namespace {

struct Two {
  __m256 low;
  __m256 high;
};

struct Avx2 : Narrow<Avx2> {
  using Row = Two;

  static Row load(const float* p) noexcept {
    return {_mm256_load_ps(p), _mm256_load_ps(p + 8)};
  }
  static void store(float* p, Row x) noexcept {
    _mm256_store_ps(p, x.low);
    _mm256_store_ps(p + 8, x.high);
  }
  static Row set(float x) noexcept {
    return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
  }
  static Row add(Row a, Row b) noexcept {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
  }
  static Row sub(Row a, Row b) noexcept {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
  }
  static Row mul(Row a, Row b) noexcept {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  static Row fma(Row a, Row b, Row c) noexcept {
    return {_mm256_fmadd_ps(a.low, b.low, c.low),
            _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static Row fms(Row a, Row b, Row c) noexcept {
    return {_mm256_fmsub_ps(a.low, b.low, c.low),
            _mm256_fmsub_ps(a.high, b.high, c.high)};
  }
  static Row max(Row a, Row b) noexcept {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
  }
  static Row nearest(Row x) noexcept {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(x.low, kNearest),
            _mm256_round_ps(x.high, kNearest)};
  }
  static Row scaled(Row y, Row whole) noexcept {
    return {scaled(y.low, whole.low), scaled(y.high, whole.high)};
  }

 private:
  // In two steps, since 2^whole may be no float.
  static __m256 scaled(__m256 y, __m256 whole) noexcept {
    const __m256i n =
        _mm256_cvtps_epi32(_mm256_min_ps(whole, _mm256_set1_ps(200)));
    const __m256i first = _mm256_srai_epi32(n, 1);
    const auto power = [](__m256i e) {
      return _mm256_castsi256_ps(
          _mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
    };
    return _mm256_mul_ps(_mm256_mul_ps(y, power(first)),
                         power(_mm256_sub_epi32(n, first)));
  }
};

}  // namespace

constinit const AttentionTable kAvx2Attention = table_of<Avx2>();

}  // namespace muonlab::kernels
