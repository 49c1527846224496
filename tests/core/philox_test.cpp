#include "muonlab/core/philox.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

namespace muonlab::core {
namespace {

using Block = std::array<std::uint32_t, 4>;

// The known answers that Random123 ships (kat_vectors, philox4x32 10 rounds).
TEST(Philox, AgreesWithTheKnownAnswersOfRandom123) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                       {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, IsAPureFunctionOfSeedPurposeStepAndIndex) {
  const Random a(1, "order");
  EXPECT_EQ(a.bits(5, 7), Random(1, "order").bits(5, 7));
  std::set<std::uint64_t> values = {a.bits(5, 7),
                                    a.bits(7, 5),
                                    a.bits(5, 8),
                                    a.bits(std::uint64_t{1} << 32, 7),
                                    a.bits(5, std::uint64_t{1} << 32),
                                    Random(2, "order").bits(5, 7),
                                    Random(1, "init").bits(5, 7)};
  EXPECT_EQ(values.size(), 7U);
}

TEST(Random, UniformNumbersHaveTheRightMoments) {
  const Random random(3, "test");
  constexpr int kN = 100'000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kN; ++i) {
    const double u = random.uniform(0, static_cast<std::uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
  }
  // Five standard errors: the variance of u is 1/12, that of u^2 is 4/45.
  EXPECT_NEAR(sum / kN, 0.5, 5 * std::sqrt(1.0 / 12 / kN));
  EXPECT_NEAR(squares / kN, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kN));
}

TEST(Random, NormalNumbersHaveTheRightMoments) {
  const Random random(4, "test");
  constexpr int kN = 100'000;
  double sum = 0;
  double squares = 0;
  double fourth = 0;
  for (int i = 0; i < kN; ++i) {
    const double z = random.normal(9, static_cast<std::uint64_t>(i));
    ASSERT_TRUE(std::isfinite(z));
    sum += z;
    squares += z * z;
    fourth += z * z * z * z;
  }
  // Five standard errors; z^2 has variance 2, z^4 has 105 - 9.
  EXPECT_NEAR(sum / kN, 0, 5 * std::sqrt(1.0 / kN));
  EXPECT_NEAR(squares / kN, 1, 5 * std::sqrt(2.0 / kN));
  EXPECT_NEAR(fourth / kN, 3, 5 * std::sqrt(96.0 / kN));
}

}  // namespace
}  // namespace muonlab::core
