#include "tests/study/step_zero.h"

namespace muonlab::study {
namespace {

TEST(PublishedStepZeroLarge, OfSmall) {
  expect_step_zero_of_size("small", {10.876, .013, .393, 5.36, .560});
}

TEST(PublishedStepZeroLarge, OfMedium) {
  expect_step_zero_of_size("medium", {10.917, .013, .453, 5.99, .773});
}

TEST(PublishedStepZeroLarge, OfLarge) {
  expect_step_zero_of_size("large", {10.968, .012, .555, 6.92, 1.226});
}

}  // namespace
}  // namespace muonlab::study
