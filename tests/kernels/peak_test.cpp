#include "muonlab/kernels/peak.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/expect_error.h"

namespace muonlab::kernels {
namespace {

TEST(Peak, IsPositiveAtEveryLevelAndThreadCount) {
  for (const std::size_t threads : {1U, 2U}) {
    core::ThreadPool pool(threads);
    for (const SimdLevel level : available_simd_levels()) {
      const Peak peak = measure_peak(pool, level, 2e-3);
      // No machine that runs this is slower, none is faster.
      for (const double rate : {peak.float32, peak.bfloat16}) {
        EXPECT_GT(rate, 1e6) << simd_level_name(level);
        EXPECT_LT(rate, 1e15) << simd_level_name(level);
      }
    }
  }
}

TEST(Peak, OneMeterGivesManyBursts) {
  core::ThreadPool pool(2);
  PeakMeter meter(pool, SimdLevel::kScalar, Element::kBFloat16, 1e-4);
  for (int i = 0; i < 20; ++i) {
    const double rate = meter.burst();
    EXPECT_TRUE(std::isfinite(rate));
    EXPECT_GT(rate, 0);
  }
}

TEST(Peak, RefusesADurationThatIsNone) {
  core::ThreadPool pool(1);
  for (const double seconds :
       {0.0, -1.0, 11.0, std::numeric_limits<double>::quiet_NaN()}) {
    testing::expect_error(ErrorKind::kInvalidArgument, {"seconds"}, [&] {
      (void)measure_peak(pool, SimdLevel::kScalar, seconds);
    });
  }
}

}  // namespace
}  // namespace muonlab::kernels
