// Matrices of either element for the tests of row kernels, their rows followed
// by NaN, which must be neither read into a result nor overwritten.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/kernels/rows.h"

namespace muonlab::testing {

class RowsMemory {
 public:
  RowsMemory(std::size_t rows, std::size_t columns, kernels::Element element,
             std::uint64_t seed = 0, double size = 1)
      : rows_(rows), columns_(columns), element_(element) {
    floats_.assign(kGap + rows * stride(), std::bit_cast<float>(kPoison));
    halves_.assign(kGap + rows * stride(), kPoisonHalf);
    const core::Random random(seed, "rows");
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        set(r, c, size * random.normal(r, c));
      }
    }
  }

  [[nodiscard]] kernels::Rows rows() {
    if (is_float()) return {floats(), stride(), element_};
    return {halves_.data() + kGap, stride(), element_};
  }
  [[nodiscard]] float* floats() { return floats_.data() + kGap; }
  [[nodiscard]] std::size_t stride() const { return columns_ + kGap; }

  [[nodiscard]] double at(std::size_t r, std::size_t c) const {
    const std::size_t i = kGap + r * stride() + c;
    if (is_float()) return floats_[i];
    return std::bit_cast<float>(std::uint32_t{halves_[i]} << 16);
  }
  /// Cut to bfloat16 where that is the element: any value does.
  void set(std::size_t r, std::size_t c, double x) {
    const std::size_t i = kGap + r * stride() + c;
    floats_[i] = is_float() ? static_cast<float>(x) : floats_[i];
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(x));
    if (!is_float()) halves_[i] = static_cast<std::uint16_t>(bits >> 16);
  }
  /// What storing x may add to its error.
  [[nodiscard]] double rounding(double x) const {
    return (x < 0 ? -x : x) * (is_float() ? 0x1p-24 : 0x1p-8) + 0x1p-126;
  }

  [[nodiscard]] bool padding_is_untouched() const {
    for (std::size_t i = 0; i < floats_.size(); ++i) {
      const bool inside =
          i >= kGap && rows_ > 0 && (i - kGap) % stride() < columns_;
      const bool same =
          is_float() ? std::bit_cast<std::uint32_t>(floats_[i]) == kPoison
                     : halves_[i] == kPoisonHalf;
      if (!inside && !same) return false;
    }
    return true;
  }
  /// Bits, a NaN being like another.
  [[nodiscard]] bool same(const RowsMemory& other) const {
    for (std::size_t r = 0; r < rows_; ++r) {
      for (std::size_t c = 0; c < columns_; ++c) {
        const double a = at(r, c);
        const double b = other.at(r, c);
        if (a != a && b != b) continue;
        if (std::bit_cast<std::uint64_t>(a) != std::bit_cast<std::uint64_t>(b))
          return false;
      }
    }
    return true;
  }

 private:
  static constexpr std::size_t kGap = 3;
  static constexpr std::uint32_t kPoison = 0x7fc0dead;
  static constexpr std::uint16_t kPoisonHalf = 0x7fde;

  [[nodiscard]] bool is_float() const {
    return element_ == kernels::Element::kFloat32;
  }

  std::size_t rows_;
  std::size_t columns_;
  kernels::Element element_;
  std::vector<float> floats_;
  std::vector<std::uint16_t> halves_;
};

}  // namespace muonlab::testing
