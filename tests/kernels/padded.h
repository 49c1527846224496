// Arrays for the tests of kernels: values, and what lies around them.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "muonlab/core/philox.h"

namespace muonlab::testing {

/// An array between two stretches of NaN, which must be neither read into a
/// result nor written.
class Padded {
 public:
  /// `offset` values after a cache line's start.
  Padded(std::span<const float> values, std::size_t offset)
      : storage_(values.size() + 3 * kPad, std::bit_cast<float>(kPoison)),
        size_(values.size()) {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    const std::size_t behind_line = address / sizeof(float) % kLine;
    begin_ = kPad + (kLine - behind_line) % kLine + offset;
    for (std::size_t i = 0; i < size_; ++i) storage_[begin_ + i] = values[i];
  }

  [[nodiscard]] float* data() { return storage_.data() + begin_; }
  [[nodiscard]] std::span<const float> values() const {
    return std::span(storage_).subspan(begin_, size_);
  }
  [[nodiscard]] bool padding_is_untouched() const {
    for (std::size_t i = 0; i < storage_.size(); ++i) {
      const bool inside = i >= begin_ && i < begin_ + size_;
      if (!inside && std::bit_cast<std::uint32_t>(storage_[i]) != kPoison) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr std::size_t kLine = 16;
  static constexpr std::size_t kPad = 48;
  static constexpr std::uint32_t kPoison = 0x7fc0dead;

  std::vector<float> storage_;
  std::size_t size_;
  std::size_t begin_ = 0;
};

/// The same bits, or both NaN: the sign and payload of a NaN are no result.
template <typename T>
[[nodiscard]] bool same_bits(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b && std::signbit(a) == std::signbit(b);
}

inline ::testing::AssertionResult same_array(std::span<const float> a,
                                             std::span<const float> b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << "sizes";
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!same_bits(a[i], b[i])) {
      return ::testing::AssertionFailure()
             << "value " << i << ": " << a[i] << " and " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

/// Standard normal values, others for another seed.
[[nodiscard]] inline std::vector<float> normal_values(std::size_t n,
                                                      std::uint64_t seed,
                                                      double size = 1) {
  const core::Random random(seed, "kernels");
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    values[i] = static_cast<float>(size * random.normal(0, i));
  }
  return values;
}

}  // namespace muonlab::testing
