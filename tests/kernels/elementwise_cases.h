// Every element-wise kernel with every option that changes its formula.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "muonlab/kernels/simd_level.h"
#include "tests/kernels/rounded.h"

namespace muonlab::kernels {

struct ElementwiseCase {
  std::string name;
  std::size_t arrays;    ///< how many it takes, each of n values
  std::size_t positive;  ///< the one without negative values, or `arrays`
  /// The kernel, on arrays[0], arrays[1], ...
  std::function<void(std::span<float* const> arrays, std::size_t n, SimdLevel)>
      run;
  /// The same on one value of each array, by the formulas of the header.
  std::function<void(std::span<testing::Rounded> values)> reference;
};

[[nodiscard]] const std::vector<ElementwiseCase>& elementwise_cases();

}  // namespace muonlab::kernels
