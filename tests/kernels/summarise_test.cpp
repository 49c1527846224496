#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "muonlab/kernels/elementwise.h"
#include "tests/kernels/padded.h"

namespace muonlab::kernels {
namespace {

using testing::normal_values;
using testing::Padded;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

void expect_same(const GradientSummary& a, const GradientSummary& b) {
  EXPECT_TRUE(testing::same_bits(a.sum_of_squares, b.sum_of_squares))
      << a.sum_of_squares << " and " << b.sum_of_squares;
  EXPECT_TRUE(testing::same_bits(a.largest_magnitude, b.largest_magnitude))
      << a.largest_magnitude << " and " << b.largest_magnitude;
  EXPECT_EQ(a.finite, b.finite);
}

// The definition in the header, word by word.
double by_definition(const std::vector<float>& g) {
  double sum = 0;
  for (std::size_t begin = 0; begin < g.size(); begin += 16384) {
    double lanes[16] = {};
    for (std::size_t i = begin; i < std::min(begin + 16384, g.size()); ++i) {
      lanes[(i - begin) % 16] += static_cast<double>(g[i]) * g[i];
    }
    for (const std::size_t width : {8, 4, 2, 1}) {
      for (std::size_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
    }
    sum += lanes[0];
  }
  return sum;
}

TEST(Summarise, EveryLevelAddsInTheOrderOfTheDefinition) {
  std::vector<std::size_t> lengths = {1000, 16383, 16384, 16385, 50001};
  for (std::size_t n = 0; n <= 67; ++n) lengths.push_back(n);
  for (const std::size_t n : lengths) {
    const std::vector<float> g = normal_values(n, n, 1e-3);
    const double expected = by_definition(g);
    for (const SimdLevel level : available_simd_levels()) {
      for (const std::size_t offset : {0, 1, 7}) {
        Padded padded(g, offset);
        const GradientSummary found = summarise(padded.data(), n, level);
        ASSERT_EQ(found.sum_of_squares, expected)
            << n << " values, " << simd_level_name(level);
        ASSERT_TRUE(found.finite) << n << " values";
        ASSERT_TRUE(padded.padding_is_untouched());
      }
    }
  }
}

TEST(Summarise, IsWithinItsBoundOfTheExactSum) {
  for (const double size : {1e-42, 1e-3, 1e30}) {
    const std::size_t n = 1000003;
    const std::vector<float> g = normal_values(n, 1, size);
    long double exact = 0;
    float largest = 0;
    for (const float x : g) {
      exact += static_cast<long double>(x) * x;
      largest = std::max(largest, std::abs(x));
    }
    const GradientSummary found = summarise(g.data(), n);
    const double roundings =
        kSummaryChunk / 16.0 + 4 + std::ceil(n / double{kSummaryChunk});
    // The long double sum errs by n 2^-64, a hundredth of that.
    EXPECT_NEAR(static_cast<double>(found.sum_of_squares / exact), 1,
                1.1 * roundings * 0x1p-53);
    EXPECT_EQ(found.largest_magnitude, largest);
    EXPECT_TRUE(found.finite);
  }
}

TEST(Summarise, OneValueThatIsNotFiniteIsFoundAnywhere) {
  const std::size_t n = 16384 + 37;
  for (const SimdLevel level : available_simd_levels()) {
    for (const float bad : {kNan, -kNan, kInfinity, -kInfinity}) {
      for (std::size_t i = 0; i < n; i += i < 64 || i + 64 > n ? 1 : 97) {
        std::vector<float> g(n, 1.F);
        g[i] = bad;
        const GradientSummary found = summarise(g.data(), n, level);
        ASSERT_FALSE(found.finite) << bad << " at " << i;
        expect_same(found, {std::abs(bad), std::abs(bad), false});
      }
    }
  }
}

TEST(Summarise, ANanAmongInfinitiesIsANan) {
  for (const SimdLevel level : available_simd_levels()) {
    std::vector<float> g(40, kInfinity);
    g[3] = kNan;
    expect_same(summarise(g.data(), g.size(), level), {kNan, kNan, false});
  }
}

TEST(Summarise, LargestValuesDoNotOverflow) {
  const std::vector<float> g(100, std::numeric_limits<float>::max());
  const GradientSummary found = summarise(g.data(), g.size());
  EXPECT_TRUE(found.finite);
  EXPECT_TRUE(std::isfinite(found.sum_of_squares));
  EXPECT_EQ(found.largest_magnitude, std::numeric_limits<float>::max());
}

TEST(Summarise, NothingIsZero) {
  expect_same(summarise(nullptr, 0), {0, 0, true});
}

}  // namespace
}  // namespace muonlab::kernels
