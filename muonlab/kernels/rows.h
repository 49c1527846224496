// Row-major matrices in memory of others, of either element.
#pragma once

#include <cstddef>

#include "muonlab/kernels/packed.h"

namespace muonlab::kernels {

/// Row r begins at data + r * stride elements. bfloat16 is stored as the upper
/// 16 bits of a float32; where a kernel writes it, it rounds to nearest, ties
/// to even, and a NaN stays one.
struct ConstRows {
  const void* data = nullptr;
  std::size_t stride = 0;  ///< elements from row to row
  Element element = Element::kFloat32;
};
struct Rows {
  void* data = nullptr;
  std::size_t stride = 0;
  Element element = Element::kFloat32;

  operator ConstRows() const noexcept { return {data, stride, element}; }
};

[[nodiscard]] constexpr std::size_t bytes_of(Element element) noexcept {
  return element == Element::kFloat32 ? 4 : 2;
}

}  // namespace muonlab::kernels
