// The end of a block in plain loops, for levels whose vectors are narrower than
// a line. Each level file that includes this gets a copy of its own, compiled
// with its own flags: everything is in an unnamed namespace.
#pragma once

#include "muonlab/kernels/product_table_internal.h"

namespace muonlab::kernels {
namespace {

float widen(std::uint16_t bits) noexcept {
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
  float value;
  __builtin_memcpy(&value, &wide, sizeof value);
  return value;
}

// Round to nearest, ties to even; a NaN stays one.
std::uint16_t narrow(float value) noexcept {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffU) > 0x7f800000U) {
    return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  }
  bits += 0x7fffU + ((bits >> 16) & 1U);
  return static_cast<std::uint16_t>(bits >> 16);
}

using Block = float[kTileRows][kPanel];

// The plain transposition of a block; levels may have a better one.
[[maybe_unused]] void transpose_plain(const Block& v,
                                      float (&t)[kPanel][kTileRows]) noexcept {
  for (std::size_t c = 0; c < kPanel; ++c) {
    for (std::size_t r = 0; r < kTileRows; ++r) t[c][r] = v[r][c];
  }
}

void mirror(Block& v, BlockShape shape) noexcept {
  const std::size_t corner = shape == BlockShape::kDiagonalHigh ? kTileRows : 0;
  for (std::size_t r = 0; r < kTileRows; ++r) {
    for (std::size_t c = r + 1; c < kTileRows; ++c) {
      v[r][corner + c] = v[c][corner + r];
    }
  }
}

void store_direct(const Block& v, const BlockTarget& target,
                  std::size_t lanes) noexcept {
  if (!target.bfloat16) {
    auto* out = static_cast<float*>(target.direct);
    for (std::size_t r = 0; r < kTileRows; ++r) {
      for (std::size_t c = 0; c < lanes; ++c) out[r * kPanel + c] = v[r][c];
    }
    return;
  }
  auto* out = static_cast<std::uint16_t*>(target.direct);
  for (std::size_t pair = 0; pair < kTileRows / 2; ++pair) {
    for (std::size_t c = 0; c < lanes; ++c) {
      out[(pair * kPanel + c) * 2] = narrow(v[2 * pair][c]);
      out[(pair * kPanel + c) * 2 + 1] = narrow(v[2 * pair + 1][c]);
    }
  }
}

void store_transposed(const float (&t)[kPanel][kTileRows],
                      const BlockTarget& target, std::size_t columns) noexcept {
  if (!target.bfloat16) {
    auto* out = static_cast<float*>(target.transposed);
    for (std::size_t c = 0; c < columns; ++c) {
      for (std::size_t r = 0; r < kTileRows; ++r) {
        out[c * kPanel + r] = t[c][r];
      }
    }
    return;
  }
  auto* out = static_cast<std::uint16_t*>(target.transposed);
  for (std::size_t pair = 0; pair < columns / 2; ++pair) {
    for (std::size_t r = 0; r < kTileRows; ++r) {
      out[(pair * kPanel + r) * 2] = narrow(t[2 * pair][r]);
      out[(pair * kPanel + r) * 2 + 1] = narrow(t[2 * pair + 1][r]);
    }
  }
}

template <typename Transpose>
void finish_block(const BlockCall& call, Transpose transpose) noexcept {
  alignas(64) Block v;
  alignas(64) float t[kPanel][kTileRows];
  for (std::size_t r = 0; r < kTileRows; ++r) {
    const float* sums = call.sums + r * call.sums_stride;
    for (std::size_t c = 0; c < kPanel; ++c) v[r][c] = call.alpha * sums[c];
  }
  if (call.addend != nullptr && !call.addend_bfloat16) {
    const auto* add = static_cast<const float*>(call.addend);
    for (std::size_t r = 0; r < kTileRows; ++r) {
      for (std::size_t c = 0; c < kPanel; ++c) {
        v[r][c] += call.beta * add[r * kPanel + c];
      }
    }
  } else if (call.addend != nullptr) {
    const auto* add = static_cast<const std::uint16_t*>(call.addend);
    for (std::size_t r = 0; r < kTileRows; ++r) {
      for (std::size_t c = 0; c < kPanel; ++c) {
        v[r][c] += call.beta * widen(add[((r / 2) * kPanel + c) * 2 + r % 2]);
      }
    }
  }
  const bool diagonal = call.shape != BlockShape::kFull;
  const bool low = call.shape == BlockShape::kDiagonalLow;
  if (diagonal) mirror(v, call.shape);
  for (std::size_t i = 0; i < call.target_count; ++i) {
    const BlockTarget& target = call.targets[i];
    const bool shift = diagonal && target.diagonal != 0;
    const std::size_t corner = low ? 0 : kTileRows;
    float kept[kTileRows];
    for (std::size_t r = 0; shift && r < kTileRows; ++r) {
      kept[r] = v[r][corner + r];
      v[r][corner + r] += target.diagonal;
    }
    if (target.direct != nullptr) {
      store_direct(v, target, low ? kTileRows : kPanel);
    }
    // The first corner is symmetric and written already.
    if (target.transposed != nullptr && !low) {
      transpose(v, t);
      store_transposed(t, target, diagonal ? kTileRows : kPanel);
    }
    for (std::size_t r = 0; shift && r < kTileRows; ++r) {
      v[r][corner + r] = kept[r];
    }
  }
  if (call.rows == nullptr) return;
  for (std::size_t r = 0; r < call.valid_rows; ++r) {
    for (std::size_t c = 0; c < call.valid_columns; ++c) {
      call.rows[call.rows_transposed ? c * call.rows_stride + r
                                     : r * call.rows_stride + c] = v[r][c];
    }
  }
}

}  // namespace
}  // namespace muonlab::kernels
