#include "muonlab/kernels/row_store_table_internal.h"

namespace muonlab::kernels {

namespace {

// To nearest, ties to even; a NaN stays one.
inline std::uint16_t narrow(float x) noexcept {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  if (x != x) return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >>
                                    16U);
}

// `n` columns from `begin` of row `r`: a constant where it is inlined.
inline void store_some(const RowStoreCall& call, std::size_t r,
                       std::size_t begin, std::size_t n) noexcept {
  const float* sums = call.sums + begin / kPanel * kBlock + r * kPanel;
  float v[kPanel];
  for (std::size_t c = 0; c < n; ++c) v[c] = call.scale * sums[c];
  if (call.addend != nullptr) {
    const float* addend = call.addend + r * call.addend_stride + begin;
    for (std::size_t c = 0; c < n; ++c) v[c] += addend[c];
  }
  const std::size_t at = r * call.result_stride + begin;
  if (call.result_bfloat16) {
    auto* result = static_cast<std::uint16_t*>(call.result) + at;
    for (std::size_t c = 0; c < n; ++c) result[c] = narrow(v[c]);
  } else {
    auto* result = static_cast<float*>(call.result) + at;
    for (std::size_t c = 0; c < n; ++c) result[c] = v[c];
  }
}

void store(const RowStoreCall& call) noexcept {
  for (std::size_t r = 0; r < call.rows; ++r) {
    for (std::size_t begin = 0; begin < call.columns; begin += kPanel) {
      const std::size_t rest = call.columns - begin;
      if (rest >= kPanel) {
        store_some(call, r, begin, kPanel);
      } else {
        store_some(call, r, begin, rest);
      }
    }
  }
}

}  // namespace

constinit const RowStoreTable kScalarRowStore = {store};

}  // namespace muonlab::kernels
