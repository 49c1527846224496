#include <immintrin.h>

#include "muonlab/kernels/avx512/bfloat16_internal.h"
#include "muonlab/kernels/row_store_table_internal.h"

namespace muonlab::kernels {

namespace {

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
        _mm256_mask_storeu_epi16(result, lanes, narrow_exactly(v));
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
