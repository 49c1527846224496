#include "muonlab/optim/schedule.h"

#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "muonlab/optim/presets.h"
#include "muonlab/optim/rule_table.h"
#include "tests/support/expect_error.h"

namespace muonlab::optim {
namespace {

using testing::expect_error;
constexpr auto kKind = ErrorKind::kInvalidArgument;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> factors(const Schedule& schedule) {
  validate(schedule);
  std::vector<double> values;
  for (std::int64_t s = 0; s < schedule.total; ++s) {
    values.push_back(schedule.factor(s));
  }
  return values;
}

void expect_factors(const Schedule& schedule,
                    const std::vector<double>& expected) {
  const auto actual = factors(schedule);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t s = 0; s < actual.size(); ++s) {
    EXPECT_DOUBLE_EQ(actual[s], expected[s]) << "step " << s;
  }
}

TEST(Schedule, ConstantIsOneAfterTheWarmup) {
  expect_factors({.shape = ScheduleShape::kConstant,
                  .total = 6,
                  .warmup = 4,
                  .floor = 0.5},
                 {.25, .5, .75, 1, 1, 1});
}

TEST(Schedule, LinearGoesStraightFromWarmupToFloor) {
  expect_factors(
      {.shape = ScheduleShape::kLinear, .total = 6, .warmup = 2, .floor = .2},
      {.5, 1, 1, .8, .6, .4});
  expect_factors({.shape = ScheduleShape::kLinear, .total = 4},
                 {1, .75, .5, .25});
}

TEST(Schedule, CosineIsHalfACosine) {
  expect_factors(
      {.shape = ScheduleShape::kCosine, .total = 4},
      {1, .5 + .5 * std::cos(M_PI / 4), .5, .5 + .5 * std::cos(3 * M_PI / 4)});
  expect_factors(
      {.shape = ScheduleShape::kCosine, .total = 3, .warmup = 1, .floor = .1},
      {1, 1, .55});
}

TEST(Schedule, TrapezoidDescendsOverTheLastSteps) {
  expect_factors({.shape = ScheduleShape::kTrapezoid,
                  .total = 8,
                  .warmup = 2,
                  .decay = 4,
                  .floor = 0},
                 {.5, 1, 1, 1, 1, .75, .5, .25});
  expect_factors(
      {.shape = ScheduleShape::kTrapezoid, .total = 4, .decay = 2, .floor = .5},
      {1, 1, 1, .75});
}

TEST(Schedule, AWarmupFromZeroBeginsWithoutAStep) {
  expect_factors({.shape = ScheduleShape::kCosine,
                  .total = 6,
                  .warmup = 4,
                  .floor = .1,
                  .warmup_from_zero = true},
                 {0, .25, .5, .75, 1, .55});
  expect_factors({.shape = ScheduleShape::kTrapezoid,
                  .total = 5,
                  .warmup = 2,
                  .decay = 2,
                  .warmup_from_zero = true},
                 {0, .5, 1, 1, .5});
  expect_factors({.total = 3, .warmup = 1, .warmup_from_zero = true},
                 {0, 1, 1});
  // Without a warm-up there is nothing to begin.
  expect_factors({.total = 2, .warmup_from_zero = true}, {1, 1});
}

TEST(Schedule, HoldsAtItsEdges) {
  expect_factors({.total = 1}, {1});
  expect_factors({.total = 3, .warmup = 3}, {1. / 3, 2. / 3, 1});
  expect_factors({.total = 3, .decay = 3}, {1, 2. / 3, 1. / 3});
  expect_factors({.total = 2, .warmup = 1, .decay = 1}, {1, 1});
  expect_factors({.shape = ScheduleShape::kLinear, .total = 3, .floor = 1},
                 {1, 1, 1});
}

TEST(Schedule, RefusesStepsOutsideTheRun) {
  const Schedule schedule{.total = 3};
  expect_error(kKind, {"step", "got -1"}, [&] { (void)schedule.factor(-1); });
  expect_error(kKind, {"step", "got 3", "0 to 2"},
               [&] { (void)schedule.factor(3); });
}

TEST(Schedule, RefusesFieldsOutsideTheirRange) {
  const auto refuse = [](const Schedule& s, std::vector<std::string> words) {
    expect_error(kKind, words, [&] { validate(s); });
  };
  refuse({.total = 0}, {"total", "got 0"});
  refuse({.total = 3, .warmup = -1}, {"warmup", "got -1"});
  refuse({.total = 3, .warmup = 4}, {"warmup", "got 4"});
  refuse({.total = 3, .floor = -.1}, {"floor", "got -0.1"});
  refuse({.total = 3, .floor = 1.5}, {"floor", "got 1.5"});
  refuse({.total = 3, .floor = kNan}, {"floor", "nan"});
  refuse({.total = 3, .warmup = 2, .decay = 2}, {"decay", "got 2"});
  refuse({.total = 3, .decay = -1}, {"decay", "got -1"});
}

TEST(ScheduleShape, HasANameForEach) {
  std::set<ScheduleShape> shapes;
  for (const std::string& name : schedule_shape_names()) {
    shapes.insert(schedule_shape_from_name(name));
  }
  EXPECT_EQ(shapes.size(), 4U);
  expect_error(kKind, {"'cosin'", "did you mean 'cosine'"},
               [] { (void)schedule_shape_from_name("cosin"); });
}

TEST(Presets, HaveTheirDocumentedSettings) {
  EXPECT_EQ(muon().lr(), 0.02);
  EXPECT_EQ(muon().weight_decay(), 0.0);
  const auto k = std::get<MatrixRule>(muon().update());
  EXPECT_EQ(k.momentum_form, MomentumForm::kEma);
  EXPECT_EQ(k.momentum, 0.95);
  EXPECT_TRUE(k.nesterov);
  EXPECT_EQ(k.scale, Scale::kAspect);
  EXPECT_EQ(k.polar, PolarOptions{});
  EXPECT_EQ(muonw().lr(), 1e-3);
  EXPECT_EQ(muonw().weight_decay(), 0.1);
  const auto w = std::get<MatrixRule>(muonw().update());
  EXPECT_EQ(w.momentum_form, MomentumForm::kHeavyBall);
  EXPECT_EQ(w.scale, Scale::kMatchRms);
  const auto a = std::get<AdamRule>(adamw().update());
  EXPECT_EQ(a.beta1, 0.9);
  EXPECT_EQ(a.beta2, 0.95);
  EXPECT_EQ(a.eps, 1e-8);
}

TEST(Presets, AreFoundByNameAndListedInTheTable) {
  const std::string table = rule_table();
  for (const std::string& name : preset_names()) {
    EXPECT_EQ(rule_name(preset(name).update()), name);
    EXPECT_NE(table.find(name), std::string::npos) << table;
  }
  expect_error(kKind, {"'muonx'", "muon"}, [] { (void)preset("muonx"); });
}

TEST(Presets, RefuseOptionsOutsideTheirRange) {
  const auto refuse = [](const GroupOptions& options,
                         std::vector<std::string> words) {
    words.push_back("group x");
    expect_error(kKind, words, [&] { validate(options, "group x"); });
  };
  refuse(muon().lr(-1), {"lr", "got -1"});
  refuse(muon().lr(kNan), {"lr", "nan"});
  refuse(muon().lr(INFINITY), {"lr", "inf"});
  refuse(muon().weight_decay(-0.5), {"weight_decay", "got -0.5"});
  refuse(GroupOptions(MatrixRule{.name = "x", .momentum = 1}),
         {"momentum", "got 1"});
  refuse(GroupOptions(MatrixRule{.name = "x", .momentum = kNan}),
         {"momentum", "nan"});
  refuse(GroupOptions(MatrixRule{.name = "x", .polar = {.steps = 0}}),
         {"steps"});
  refuse(GroupOptions(AdamRule{.name = "x", .beta1 = 1}), {"beta1", "got 1"});
  refuse(GroupOptions(AdamRule{.name = "x", .beta2 = -0.1}),
         {"beta2", "got -0.1"});
  refuse(GroupOptions(AdamRule{.name = "x", .eps = 0}), {"eps", "got 0"});
}

TEST(Scale, IsFoundByName) {
  for (const std::string& name : scale_names()) {
    // The first of a scale's names is the one that is printed.
    const Scale scale = scale_from_name(name);
    EXPECT_EQ(scale_from_name(scale_name(scale)), scale);
    EXPECT_FALSE(scale_formula(scale_from_name(name)).empty());
  }
  EXPECT_EQ(scale_from_name("s4"), Scale::kMatchRms);
  EXPECT_EQ(scale_from_name("original"), Scale::kAspect);
  EXPECT_EQ(scale_name(Scale::kAspect), "s2");
  expect_error(kKind, {"'s10'"}, [] { (void)scale_from_name("s10"); });
}

}  // namespace
}  // namespace muonlab::optim
