#include "tests/study/step_zero.h"

namespace muonlab::study {
namespace {

TEST(PublishedStepZero, OfExperiment1) {
  const auto config =
      cell_of(published_plan(1), "muon", 0.01, "search", 42).model;
  expect_step_zero(config, 4, {10.860, .006, .321, 4.24, .386});
}

TEST(PublishedStepZero, OfTiny) {
  expect_step_zero_of_size("tiny", {10.838, .008, .278, 3.33, .319});
}

}  // namespace
}  // namespace muonlab::study
