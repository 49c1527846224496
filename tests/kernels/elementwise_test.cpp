// Every kernel at every level against the scalar level, bit by bit, and the
// scalar level against float64 formulas with their running error bound.
#include "muonlab/kernels/elementwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/kernels/elementwise_internal.h"
#include "tests/kernels/elementwise_cases.h"
#include "tests/kernels/padded.h"
#include "tests/support/expect_error.h"

namespace muonlab::kernels {

void PrintTo(SimdLevel level, std::ostream* out) {
  *out << simd_level_name(level);
}

namespace {

using testing::normal_values;
using testing::Padded;
using testing::Rounded;
using testing::same_array;

// What the values are like. The last three are compared between levels alone.
enum class Kind { kOrdinary, kHuge, kDenormal, kSpecial };
constexpr std::array<Kind, 4> kKinds = {Kind::kOrdinary, Kind::kHuge,
                                        Kind::kDenormal, Kind::kSpecial};

float value_of(Kind kind, double normal, std::uint64_t draw) {
  constexpr std::array<float, 8> kSpecial = {
      0.F,
      -0.F,
      std::numeric_limits<float>::infinity(),
      -std::numeric_limits<float>::infinity(),
      std::numeric_limits<float>::quiet_NaN(),
      std::numeric_limits<float>::max(),
      std::numeric_limits<float>::denorm_min(),
      -1.F};
  switch (kind) {
    case Kind::kOrdinary:
      // Over some orders of magnitude, with zeros.
      return draw % 16 == 0 ? 0.F
                            : static_cast<float>(std::ldexp(
                                  normal, -static_cast<int>(draw % 12)));
    case Kind::kHuge:
      return static_cast<float>(normal * 1e30);
    case Kind::kDenormal:
      return static_cast<float>(normal * 1e-40);
    case Kind::kSpecial:
      return draw % 3 == 0 ? static_cast<float>(normal)
                           : kSpecial[draw / 3 % kSpecial.size()];
  }
  return 0;
}

constexpr std::size_t kLongest = kSummaryChunk + 33;

// The first n of values that are made once.
std::vector<float> values(const ElementwiseCase& test, std::size_t array,
                          std::size_t n, Kind kind) {
  static std::map<std::pair<std::size_t, Kind>, std::vector<float>> made;
  std::vector<float>& all = made[{array, kind}];
  if (all.empty()) {
    const core::Random random(array, "elementwise");
    for (std::size_t i = 0; i < kLongest; ++i) {
      all.push_back(value_of(kind, random.normal(0, i), random.bits(1, i)));
    }
  }
  std::vector<float> first(all.begin(),
                           all.begin() + static_cast<std::ptrdiff_t>(n));
  if (array == test.positive) {
    for (float& x : first) x = std::abs(x);
  }
  return first;
}

std::vector<Padded> arrays_of(const ElementwiseCase& test, std::size_t n,
                              Kind kind, std::size_t offset) {
  std::vector<Padded> arrays;
  for (std::size_t i = 0; i < test.arrays; ++i) {
    // Not all alike: each array lies differently to a cache line.
    arrays.emplace_back(values(test, i, n, kind), (offset * (i + 1)) % 16);
  }
  return arrays;
}

void run(const ElementwiseCase& test, std::vector<Padded>& arrays,
         std::size_t n, SimdLevel level) {
  std::vector<float*> pointers;
  for (Padded& array : arrays) pointers.push_back(array.data());
  test.run(pointers, n, level);
}

std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all;
  for (std::size_t n = 0; n <= 67; ++n) all.push_back(n);
  all.insert(all.end(), {1000, 4099, kLongest});
  return all;
}

class ElementwiseLevel : public ::testing::TestWithParam<SimdLevel> {};

INSTANTIATE_TEST_SUITE_P(Levels, ElementwiseLevel,
                         ::testing::ValuesIn(available_simd_levels().begin(),
                                             available_simd_levels().end()),
                         [](const auto& level) {
                           std::string name(simd_level_name(level.param));
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST_P(ElementwiseLevel, HasTheScalarLevelsBits) {
  for (const ElementwiseCase& test : elementwise_cases()) {
    for (const std::size_t n : lengths()) {
      for (const Kind kind : kKinds) {
        std::vector<Padded> expected = arrays_of(test, n, kind, 0);
        run(test, expected, n, SimdLevel::kScalar);
        for (const std::size_t offset : {0, 1, 7}) {
          std::vector<Padded> found = arrays_of(test, n, kind, offset);
          run(test, found, n, GetParam());
          for (std::size_t i = 0; i < test.arrays; ++i) {
            ASSERT_TRUE(same_array(found[i].values(), expected[i].values()))
                << test.name << ", array " << i << " of " << n << " values, "
                << "kind " << static_cast<int>(kind) << ", offset " << offset;
            ASSERT_TRUE(found[i].padding_is_untouched())
                << test.name << ", array " << i << " of " << n << " values";
          }
        }
      }
    }
  }
}

TEST(Elementwise, ScalarLevelIsWithinItsFormulasErrorBound) {
  constexpr std::size_t kN = 4000;
  for (const ElementwiseCase& test : elementwise_cases()) {
    const std::vector<Padded> start =
        arrays_of(test, kN, Kind::kOrdinary, /*offset=*/1);
    std::vector<Padded> found = start;
    run(test, found, kN, SimdLevel::kScalar);
    std::size_t sure = 0;
    for (std::size_t i = 0; i < kN; ++i) {
      std::vector<Rounded> expected;
      for (const Padded& array : start) {
        expected.emplace_back(array.values()[i]);
      }
      test.reference(expected);
      for (std::size_t k = 0; k < test.arrays; ++k) {
        const float computed = found[k].values()[i];
        ASSERT_TRUE(expected[k].allows(computed))
            << test.name << ", array " << k << ", value " << i << ": "
            << computed << ", expected " << expected[k].value << " +- "
            << expected[k].error;
        sure += expected[k].error <= 1e-3 * std::abs(expected[k].value) ||
                expected[k].value == 0;
      }
    }
    // Where the sign is in doubt the bound says nothing; it seldom is.
    EXPECT_GT(sure, kN * test.arrays * 9 / 10) << test.name;
  }
}

TEST_P(ElementwiseLevel, DirectionMayBeWrittenOverTheGradient) {
  const MomentumScalars s{
      .nesterov = true, .momentum = 0.9F, .one_minus_momentum = 0.1F};
  std::vector<float> g = normal_values(1000, 1);
  std::vector<float> buffer = g;
  std::vector<float> direction(1000);
  momentum_rows(g.data(), nullptr, buffer.data(), direction.data(), 1000, s);
  std::vector<float> buffer_again = g;
  momentum_rows(g.data(), nullptr, buffer_again.data(), g.data(), 1000, s,
                GetParam());
  EXPECT_TRUE(same_array(g, direction));
  EXPECT_TRUE(same_array(buffer_again, buffer));
}

TEST_P(ElementwiseLevel, AHugeGradientStopsAWeightAndKeepsItFinite) {
  const AdamScalars s{.beta1 = 0.9F,
                      .one_minus_beta1 = 0.1F,
                      .beta2 = 0.95F,
                      .one_minus_beta2 = 0.05F,
                      .eps = 1e-8F,
                      .coupling = {.step = 0.1F}};
  std::vector<float> w(37, 1.F);
  const std::vector<float> g(37, 1e30F);
  std::vector<float> m(37);
  std::vector<float> v(37);
  adam_step(w.data(), g.data(), m.data(), v.data(), 37, s, GetParam());
  // The square is infinite, so the update is zero.
  EXPECT_EQ(w, std::vector<float>(37, 1.F));
  EXPECT_TRUE(std::isinf(v[36]));
}

TEST_P(ElementwiseLevel, SignOfANanIsZeroAndL2OfZeroDoesNotReadTheWeight) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const SignumScalars signum{.coupling = {.step = 0.5F}};
  std::vector<float> w(21, 1.F);
  std::vector<float> m(21);
  const std::vector<float> g(21, kNan);
  signum_step(w.data(), g.data(), m.data(), 21, signum, GetParam());
  EXPECT_EQ(w, std::vector<float>(21, 1.F));
  EXPECT_TRUE(std::isnan(m[20]));

  const SgdScalars sgd{.momentum = 0.5F};
  std::vector<float> infinite(21, std::numeric_limits<float>::infinity());
  std::vector<float> buffer(21, 2.F);
  const std::vector<float> ones(21, 1.F);
  sgd_step(infinite.data(), ones.data(), buffer.data(), 21, sgd, GetParam());
  EXPECT_EQ(buffer, std::vector<float>(21, 2.F));
}

TEST_P(ElementwiseLevel, DivideAddsUpTheSquaresItWrites) {
  const SecondMomentScalars s{
      .beta = 0.9F, .one_minus_beta = 0.1F, .eps = 1e-8F};
  const std::size_t n = 2 * kSummaryChunk + 5;
  std::vector<float> o = normal_values(n, 2);
  std::vector<float> v(n, 1.F);
  const double sum = second_moment_divide(o.data(), v.data(), n, s, GetParam());
  EXPECT_EQ(sum, summarise(o.data(), n, SimdLevel::kScalar).sum_of_squares);
}

TEST(Elementwise, EveryInstructionSetHasATableOfItsOwn) {
  std::set<const ElementwiseTable*> tables;
  for (const SimdLevel level : available_simd_levels()) {
    tables.insert(&elementwise_table(level));
  }
  // AVX-512 with products of bfloat16 has no element-wise kernels of its own.
  const std::size_t shared = is_available(SimdLevel::kAvx512Bf16) ? 1 : 0;
  EXPECT_EQ(tables.size(), available_simd_levels().size() - shared);
}

TEST(Elementwise, ALevelThatTheMachineLacksIsRefused) {
  if (is_available(SimdLevel::kAvx512Bf16)) {
    GTEST_SKIP() << "this machine has every level";
  }
  testing::expect_error(ErrorKind::kUnsupported, {"got 'avx512-bf16'"}, [] {
    (void)summarise(nullptr, 0, SimdLevel::kAvx512Bf16);
  });
}

}  // namespace
}  // namespace muonlab::kernels
