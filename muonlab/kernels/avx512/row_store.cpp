#include <immintrin.h>

#include "muonlab/kernels/row_store_table_internal.h"

namespace muonlab::kernels {

namespace {

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

template <bool kAdd, bool kBFloat16>
void store_of(const RowStoreCall& call) noexcept {
  const __m512 scale = _mm512_set1_ps(call.scale);
  for (std::size_t r = 0; r < call.rows; ++r) {
    for (std::size_t c = 0; c < call.columns; c += kPanel) {
      const std::size_t rest = call.columns - c;
      const auto lanes =
          static_cast<__mmask16>(rest >= kPanel ? 0xffffU : (1U << rest) - 1U);
      __m512 v = _mm512_mul_ps(
          scale, _mm512_load_ps(call.sums + c / kPanel * kBlock + r * kPanel));
      if constexpr (kAdd) {
        v = _mm512_add_ps(
            v, _mm512_maskz_loadu_ps(lanes,
                                     call.addend + r * call.addend_stride + c));
      }
      const std::size_t at = r * call.result_stride + c;
      if constexpr (kBFloat16) {
        auto* result = static_cast<std::uint16_t*>(call.result) + at;
        _mm256_mask_storeu_epi16(result, lanes, narrow(v));
      } else {
        _mm512_mask_storeu_ps(static_cast<float*>(call.result) + at, lanes, v);
      }
    }
  }
}

void store(const RowStoreCall& call) noexcept {
  if (call.result_bfloat16) {
    return call.addend != nullptr ? store_of<true, true>(call)
                                  : store_of<false, true>(call);
  }
  return call.addend != nullptr ? store_of<true, false>(call)
                                : store_of<false, false>(call);
}

}  // namespace

constinit const RowStoreTable kAvx512RowStore = {store};

}  // namespace muonlab::kernels
