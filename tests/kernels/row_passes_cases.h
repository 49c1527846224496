// What the tests of the row passes share: every level, and references.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "muonlab/kernels/row_passes.h"
#include "tests/kernels/rows_memory.h"

namespace muonlab::testing {

/// Each file derives a suite of its own from it.
class AtEveryLevel : public ::testing::TestWithParam<kernels::SimdLevel> {};

inline auto every_level() {
  const auto levels = kernels::available_simd_levels();
  return ::testing::ValuesIn(levels.begin(), levels.end());
}

inline std::string level_name(
    const ::testing::TestParamInfo<kernels::SimdLevel>& level) {
  std::string name(kernels::simd_level_name(level.param));
  std::ranges::replace(name, '-', '_');
  return name;
}

inline constexpr double kUnit = 0x1p-24;
inline constexpr double kExp =
    0x1p-21;  // relative error that the header states
inline constexpr std::array kElements = {kernels::Element::kFloat32,
                                         kernels::Element::kBFloat16};
inline constexpr std::array<std::size_t, 9> kWidths = {1,  2,  15,  16, 34,
                                                       64, 96, 130, 259};
inline constexpr std::array kActivations = {
    kernels::Activation::kSilu, kernels::Activation::kGelu,
    kernels::Activation::kRelu2, kernels::Activation::kSwiGlu,
    kernels::Activation::kGeGlu};
inline constexpr std::size_t kRows = 3;
inline constexpr float kEps = 1e-5F;

/// A central difference of a reference. kDifference: step^2 third derivatives,
/// and 2^-52 / step.
inline double difference(
    const std::function<double(const std::vector<double>&)>& f,
    std::vector<double> x, std::size_t i) {
  constexpr double kStep = 1e-5;
  const double start = x[i];
  x[i] = start + kStep;
  const double above = f(x);
  x[i] = start - kStep;
  return (above - f(x)) / (2 * kStep);
}
inline constexpr double kDifference = 1e-7;

inline std::vector<double> row(const RowsMemory& m, std::size_t r,
                               std::size_t n) {
  std::vector<double> values(n);
  for (std::size_t c = 0; c < n; ++c) values[c] = m.at(r, c);
  return values;
}

/// Three heads in a context of five, which starts at position four.
struct Heads {
  kernels::HeadPass pass;
  std::vector<float> cosine, sine;
};

inline Heads heads_of(std::size_t features, bool norm, bool rotate) {
  Heads h{{.heads = 3,
           .features = features,
           .first_position = 4,
           .context = 5,
           .norm = norm,
           .eps = kEps},
          {},
          {}};
  for (std::size_t i = 0; i < 5 * (features / 2); ++i) {
    const double angle = 0.37 * static_cast<double>(i);
    h.cosine.push_back(static_cast<float>(std::cos(angle)));
    h.sine.push_back(static_cast<float>(std::sin(angle)));
  }
  if (rotate) {
    h.pass.cosine = h.cosine.data();
    h.pass.sine = h.sine.data();
  }
  return h;
}

}  // namespace muonlab::testing
