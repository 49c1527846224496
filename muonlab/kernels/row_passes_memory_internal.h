// Conversion, rounding at random, and the gradient of an embedding.
#pragma once

#include "muonlab/kernels/row_passes_places_internal.h"

namespace muonlab::kernels {
namespace {

template <typename V, typename F, typename T>
void convert(std::size_t rows, std::size_t columns, ConstRawRows from,
             RawRows to) noexcept {
  for (std::size_t r = 0; r < rows; ++r) {
    const F* in = row_of<F>(from, r);
    T* out = row_of<T>(to, r);
    each<V>(columns, [=](auto at) { at.store(out, at.load(in)); });
  }
}

constexpr std::size_t kBlocks = 16;
constexpr std::size_t kBlockValues = 8;

/// Philox4x32-10 of core/philox.h, 16 blocks side by side: plain loops, which
/// the compiler does in vectors.
[[maybe_unused]] void random_values(std::uint64_t key, std::uint64_t counter,
                                    std::uint16_t* values) {
  constexpr std::uint64_t kM0 = 0xD2511F53;
  constexpr std::uint64_t kM1 = 0xCD9E8D57;
  std::uint32_t c0[kBlocks];
  std::uint32_t c1[kBlocks];
  std::uint32_t c2[kBlocks] = {};
  std::uint32_t c3[kBlocks] = {};
  for (std::size_t k = 0; k < kBlocks; ++k) {
    const std::uint64_t block = counter + k;
    c0[k] = static_cast<std::uint32_t>(block);
    c1[k] = static_cast<std::uint32_t>(block >> 32);
  }
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t k = 0; k < kBlocks; ++k) {
      const std::uint64_t p0 = kM0 * c0[k];
      const std::uint64_t p1 = kM1 * c2[k];
      c0[k] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[k] ^ k0;
      c1[k] = static_cast<std::uint32_t>(p1);
      c2[k] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[k] ^ k1;
      c3[k] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  for (std::size_t k = 0; k < kBlocks; ++k) {
    const std::uint32_t words[4] = {c0[k], c1[k], c2[k], c3[k]};
    for (std::size_t w = 0; w < 4; ++w) {
      values[kBlockValues * k + 2 * w] = static_cast<std::uint16_t>(words[w]);
      values[kBlockValues * k + 2 * w + 1] =
          static_cast<std::uint16_t>(words[w] >> 16);
    }
  }
}

[[maybe_unused]] void round_stochastically(std::size_t n, const float* from,
                                           std::uint16_t* to, std::uint64_t key,
                                           std::uint64_t counter) noexcept {
  constexpr std::size_t kGroup = kBlocks * kBlockValues;
  std::uint16_t random[kGroup];
  for (std::size_t i = 0; i < n; i += kGroup) {
    random_values(key, counter + i / kBlockValues, random);
    const std::size_t size = n - i < kGroup ? n - i : kGroup;
    for (std::size_t k = 0; k < size; ++k) {
      const auto bits = __builtin_bit_cast(std::uint32_t, from[i + k]);
      const std::uint32_t upper = bits >> 16;
      const std::uint32_t up = (bits & 0xffff) > random[k] ? 1 : 0;
      // A NaN must not become infinity.
      const bool nan = (bits & 0x7fffffff) > 0x7f800000;
      to[i + k] =
          static_cast<std::uint16_t>(nan ? (upper | 0x40) : (upper + up));
    }
  }
}

template <typename V>
void add_rows_at(std::size_t rows, std::size_t columns, const float* from,
                 std::size_t from_stride, const std::int64_t* index,
                 std::int64_t begin, std::int64_t end, float* table,
                 std::size_t stride) noexcept {
  for (std::size_t r = 0; r < rows; ++r) {
    if (index[r] < begin || index[r] >= end) continue;
    const float* in = from + r * from_stride;
    float* out = table + static_cast<std::size_t>(index[r]) * stride;
    each<V>(columns,
            [=](auto at) { at.store(out, at.load(out) + at.load(in)); });
  }
}

}  // namespace
}  // namespace muonlab::kernels
