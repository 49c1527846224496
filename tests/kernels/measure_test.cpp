#include "muonlab/kernels/measure.h"

#include <gtest/gtest.h>

namespace muonlab::kernels {
namespace {

constexpr Effort kShort = {1e-4};

void expect_sound(const Measured& m) {
  EXPECT_GT(m.seconds, 0);
  EXPECT_GE(m.repetitions, 1U);
  EXPECT_GT(m.share, 0);
  EXPECT_LT(m.share, 3);  // a burst may be held up by another process
}

TEST(Measure, ProductsAndPolarFactorsAtEveryLevel) {
  core::ThreadPool pool(2);
  for (const SimdLevel level : available_simd_levels()) {
    for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
      const Measured full =
          measure_product({64, 48, 80}, element, pool, level, kShort);
      expect_sound(full);
      EXPECT_EQ(full.flops, 2.0 * 64 * 48 * 80);
      const Measured half =
          measure_product({64, 64, 80, true}, element, pool, level, kShort);
      expect_sound(half);
      EXPECT_EQ(half.flops, 1.0 * 64 * 64 * 80);
    }
    PolarSchedule schedule;
    schedule.form = PolarForm::kGram;
    schedule.precision = PolarPrecision::kMixed;
    schedule.steps.assign(5, {3.4445F, -4.7750F, 2.0315F});
    const PolarFlops flops = polar_flops(48, 96, schedule);
    const Measured polar = measure_polar(48, 96, schedule, pool, level, kShort);
    expect_sound(polar);
    EXPECT_EQ(polar.flops, flops.float32 + flops.bfloat16);
  }
}

TEST(Measure, ElementwisePassesTakeTime) {
  core::ThreadPool pool(2);
  for (const SimdLevel level : available_simd_levels()) {
    const ElementwiseTimes times =
        measure_elementwise(100000, pool, level, kShort);
    EXPECT_GT(times.adam, 0);
    EXPECT_GT(times.summarise, 0);
  }
}

TEST(Measure, EveryLevelGivesWhatPlainLoopsGive) {
  for (const std::size_t threads : {1U, 3U}) {
    core::ThreadPool pool(threads);
    for (const SimdLevel level : available_simd_levels()) {
      EXPECT_NO_THROW(check_kernels(pool, level)) << simd_level_name(level);
    }
  }
}

}  // namespace
}  // namespace muonlab::kernels
