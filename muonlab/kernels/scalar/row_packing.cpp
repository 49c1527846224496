// Packing, entry by entry.
#include "muonlab/kernels/row_packing_table_internal.h"

namespace muonlab::kernels {

namespace {

inline std::uint32_t bits_of(float x) noexcept {
  return __builtin_bit_cast(std::uint32_t, x);
}

// To nearest, ties to even; a NaN stays one.
inline std::uint16_t narrow(float x) noexcept {
  const std::uint32_t bits = bits_of(x);
  if (x != x) return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >>
                                    16U);
}

template <typename To, typename From>
To converted(From x) noexcept {
  if constexpr (sizeof(To) == sizeof(From)) {
    return x;
  } else if constexpr (sizeof(To) == sizeof(float)) {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(x) << 16U);
  } else {
    return narrow(x);
  }
}

template <typename To, typename From, bool kColumns>
void pack(const PackCall& call) noexcept {
  // Entries of a row that a line holds.
  constexpr std::size_t kGroup = sizeof(float) / sizeof(To);
  const auto* from = static_cast<const From*>(call.from);
  auto* to = static_cast<To*>(call.to);
  const std::size_t row_step = kColumns ? 1 : call.stride;
  const std::size_t k_step = kColumns ? call.stride : 1;
  const std::size_t padded = call.lines * kGroup;
  const std::size_t whole = call.depth / kGroup * kGroup;
  for (std::size_t k = 0; k < whole; k += kGroup, to += kGroup * kPanel) {
    for (std::size_t r = 0; r < call.rows; ++r) {
      for (std::size_t i = 0; i < kGroup; ++i) {
        to[r * kGroup + i] =
            converted<To>(from[r * row_step + (k + i) * k_step]);
      }
    }
    for (std::size_t i = call.rows * kGroup; i < kPanel * kGroup; ++i) {
      to[i] = To{0};
    }
  }
  for (std::size_t k = whole; k < padded; k += kGroup, to += kGroup * kPanel) {
    for (std::size_t i = 0; i < kPanel * kGroup; ++i) {
      const std::size_t r = i / kGroup;
      const std::size_t at = k + i % kGroup;
      to[i] = r < call.rows && at < call.depth
                  ? converted<To>(from[r * row_step + at * k_step])
                  : To{0};
    }
  }
}

template <bool kColumns>
void pack_any(const PackCall& call) noexcept {
  if (call.to_bfloat16) {
    return call.from_bfloat16
               ? pack<std::uint16_t, std::uint16_t, kColumns>(call)
               : pack<std::uint16_t, float, kColumns>(call);
  }
  return call.from_bfloat16 ? pack<float, std::uint16_t, kColumns>(call)
                            : pack<float, float, kColumns>(call);
}

}  // namespace

constinit const PackingTable kScalarPacking = {pack_any<false>, pack_any<true>};

}  // namespace muonlab::kernels
