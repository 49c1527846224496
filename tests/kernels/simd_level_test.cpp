#include "muonlab/kernels/simd_level.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "tests/support/expect_error.h"

namespace muonlab::kernels {
namespace {

TEST(SimdLevel, NamesAreThoseOfTheVariable) {
  for (const auto& [level, name] : {std::pair{SimdLevel::kScalar, "scalar"},
                                    {SimdLevel::kAvx2, "avx2"},
                                    {SimdLevel::kAvx512, "avx512"},
                                    {SimdLevel::kAvx512Bf16, "avx512-bf16"}}) {
    EXPECT_EQ(simd_level_name(level), name);
    EXPECT_EQ(simd_level_from_name(name), level);
  }
}

TEST(SimdLevel, AnotherNameThrowsWithTheValidOnes) {
  testing::expect_error(ErrorKind::kInvalidArgument,
                        {"got 'sse9'", "scalar, avx2, avx512, avx512-bf16"},
                        [] { (void)simd_level_from_name("sse9"); });
}

TEST(SimdLevel, LevelsStartAtScalarAndRise) {
  const auto levels = available_simd_levels();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.front(), SimdLevel::kScalar);
  EXPECT_TRUE(std::ranges::is_sorted(levels));
  for (const SimdLevel level : levels) EXPECT_TRUE(is_available(level));
}

TEST(SimdLevel, TheActiveOneIsTheForcedOrTheHighest) {
  const char* const forced = std::getenv("MUONLAB_SIMD");
  const SimdLevel expected = forced != nullptr ? simd_level_from_name(forced)
                                               : available_simd_levels().back();
  if (!is_available(expected)) GTEST_SKIP() << "this machine lacks " << forced;
  EXPECT_EQ(active_simd_level(), expected);
}

// Each in a process of its own, since the level is chosen once.
void active_level_with(const char* value) {
  setenv("MUONLAB_SIMD", value, /*overwrite=*/1);
  for (int call = 0; call < 2; ++call) {
    try {
      (void)active_simd_level();
      std::_Exit(0);
    } catch (const Error& error) {
      std::fprintf(stderr, "call %d: %s\n", call, error.what());
    }
  }
  std::_Exit(exit_code(ErrorKind::kInvalidArgument));
}

TEST(SimdLevelDeathTest, AWrongVariableThrowsOnEveryCall) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(active_level_with("sse9"), ::testing::ExitedWithCode(3),
              "call 0: MUONLAB_SIMD: got 'sse9', expected scalar(.|\n)*call 1");
  EXPECT_EXIT(active_level_with("scalar"), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(active_level_with(""), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace muonlab::kernels
