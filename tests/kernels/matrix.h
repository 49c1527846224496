// Row-major matrices of either element for the tests of kernels.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "muonlab/kernels/rows.h"
#include "tests/kernels/padded.h"

namespace muonlab::testing {

/// Adding 0x7fff and the last kept bit rounds to nearest, ties to even.
inline std::uint16_t to_bfloat16(float x) {
  if (std::isnan(x)) return 0x7fc0;
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline float from_bfloat16(std::uint16_t x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16);
}

/// Rows with NaN before, between and behind them; the first begins one entry
/// behind an aligned address.
class Matrix {
 public:
  Matrix(std::size_t rows, std::size_t columns, kernels::Element element,
         std::size_t gap = 3)
      : rows_(rows),
        columns_(columns),
        stride_(columns + gap),
        element_(element),
        words_(rows * stride_ + 2, kPoison),
        halves_(words_.size(), kPoison >> 16) {}
  static Matrix random(std::size_t rows, std::size_t columns,
                       kernels::Element element, std::uint64_t seed) {
    Matrix m(rows, columns, element);
    const std::vector<float> values = normal_values(rows * columns, seed);
    for (std::size_t i = 0; i < values.size(); ++i) {
      m.set(i / columns, i % columns, values[i]);
    }
    return m;
  }

  void set(std::size_t r, std::size_t c, float x) {
    const std::size_t i = 1 + r * stride_ + c;
    words_[i] = std::bit_cast<std::uint32_t>(x);
    halves_[i] = to_bfloat16(x);
  }
  [[nodiscard]] float at(std::size_t r, std::size_t c) const {
    const std::size_t i = 1 + r * stride_ + c;
    return element_ == kernels::Element::kFloat32
               ? std::bit_cast<float>(words_[i])
               : from_bfloat16(halves_[i]);
  }
  [[nodiscard]] kernels::Rows view() {
    void* data = element_ == kernels::Element::kFloat32
                     ? static_cast<void*>(words_.data() + 1)
                     : static_cast<void*>(halves_.data() + 1);
    return {data, stride_, element_};
  }
  [[nodiscard]] bool padding_is_untouched() const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const bool inside =
          i > 0 && i <= rows_ * stride_ && (i - 1) % stride_ < columns_;
      if (inside) continue;
      if (words_[i] != kPoison || halves_[i] != kPoison >> 16) return false;
    }
    return true;
  }
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t columns() const { return columns_; }

 private:
  static constexpr std::uint32_t kPoison = 0x7fc1dead;

  std::size_t rows_, columns_, stride_;
  kernels::Element element_;
  std::vector<std::uint32_t> words_;
  std::vector<std::uint16_t> halves_;
};

}  // namespace muonlab::testing
