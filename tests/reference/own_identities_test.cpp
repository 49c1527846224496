// Relations between rules that hold whatever the gradients are: the rules with
// a structure of their own.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/reference/algebra.h"
#include "tests/reference/golden.h"
#include "tests/reference/replay.h"
#include "tests/reference/spectral.h"
#include "tests/reference/trajectories.h"

namespace muonlab::reference {
namespace {

using namespace std::string_literals;

// The damping lowers an inverse root by a quarter of itself times the condition
// number of the factor, here 3, on each of two sides; and where the factor of
// rank 2 has eigenvalue 0 it multiplies a rounding by damping^(-1/4) = 1000.
constexpr double kDamping = 1e-12;
constexpr double kDamped = 1.5 * kDamping + 1000 * 8 * 2.2e-16;

TEST(Identity, ShampooOfOneGradientIsMuon) {
  const auto step = replay("shampoo",
                           {{"beta1", 0.0},
                            {"beta2", 0.0},
                            {"eps", kDamping},
                            {"graft", "none"s},
                            {"lr", 1.0},
                            {"weight_decay", 0.0}},
                           golden_weight(), golden_gradients(1));
  EXPECT_LT(distance(update(golden_weight(), step[0], 1),
                     polar_factor(golden_gradients(1)[0])),
            kDamped);
}

TEST(Identity, ShampooOnOneSideIsMuonToo) {
  const auto step = replay("shampoo",
                           {{"beta1", 0.0},
                            {"beta2", 0.0},
                            {"eps", kDamping},
                            {"graft", "none"s},
                            {"max_dim", 2.0},
                            {"lr", 1.0},
                            {"weight_decay", 0.0}},
                           golden_weight(), golden_gradients(1));
  EXPECT_LT(distance(update(golden_weight(), step[0], 1),
                     polar_factor(golden_gradients(1)[0])),
            kDamped);
}

TEST(Identity, ShampooTakesTheLengthItGraftsFrom) {
  const Options common = {{"lr", 1.0}, {"weight_decay", 0.0}, {"beta1", 0.0}};
  Options sgd = common;
  sgd["graft"] = "sgd"s;
  const Matrix g = golden_gradients(1)[0];
  const auto by_sgd = replay("shampoo", sgd, golden_weight(), {g});
  EXPECT_NEAR(frobenius_norm(update(golden_weight(), by_sgd[0], 1)),
              frobenius_norm(g), kExact);
  const auto by_adam = replay("shampoo", common, golden_weight(), {g});
  // Adam's first step is a matrix of signs, up to its eps.
  EXPECT_NEAR(rms(update(golden_weight(), by_adam[0], 1)), 1, 1e-7);
}

TEST(Identity, SoapWithoutMemoryIsMuon) {
  const Matrix g = golden_gradients(1).front();
  const auto steps = replay(
      "soap",
      {{"beta1", 0.0}, {"beta2", 0.0}, {"lr", 1.0}, {"weight_decay", 0.0}},
      golden_weight(), {g, g});
  EXPECT_EQ(distance(steps[0], golden_weight()), 0);
  // eps = 1e-8 beside a singular value of 0.5, and rounding over eps.
  EXPECT_LT(distance(update(golden_weight(), steps[1], 1), polar_factor(g)),
            1e-7);
}

TEST(Identity, DionOfFullRankBecomesMuon) {
  const std::vector<Matrix> same(60, golden_gradients(1).front());
  const Matrix q0(2, 2, {1, .3, -.2, 1});
  const auto weights = replay("dion", {{"weight_decay", 0.0}, {"lr", 1.0}},
                              golden_weight(), same, &q0);
  Matrix expected = polar_factor(same[0]);
  multiply_by(expected, std::sqrt(1.5));
  const Matrix u = update(weights[58], weights[59], 1);
  // eps = 1e-8 beside columns of R longer than 1, and rounding of W near 60.
  EXPECT_LT(distance(u, expected), 2e-8);
}

TEST(Identity, WholeDion2IsMuon) {
  const auto dion2 = tall("dion2", {{"fraction", 1.0}});
  const auto muon = tall("muon", {{"momentum_form", "heavy-ball"s},
                                  {"nesterov", false},
                                  {"scale", "s3"s},
                                  {"lr", 0.01},
                                  {"weight_decay", 0.01}});
  EXPECT_LT(distance(dion2, muon), kExact);
  EXPECT_GT(distance(dion2, tall("dion2", {{"fraction", 0.5}})), 1e-3);
}

// The gains see one number per row, which Adam can be given from outside.
TEST(Identity, MuownRowNormsAreAdamsGains) {
  const auto weights = tall("muown", {{"lr", 0.05}});
  Matrix gains(3, 1);
  std::vector<Matrix> gradients;
  Matrix before = golden_weight();
  for (std::size_t t = 0; t < 4; ++t) {
    const Matrix u = rows_to_unit(before);
    Matrix gradient(3, 1);
    for (std::size_t i = 0; i < 3; ++i) {
      gradient.at(i, 0) =
          inner(row_block(u, i, 1), row_block(golden_gradients(4)[t], i, 1));
      if (t == 0) gains.at(i, 0) = frobenius_norm(row_block(before, i, 1));
    }
    gradients.push_back(gradient);
    before = weights[t];
  }
  const auto adam =
      replay("adamw", {{"lr", 0.05}, {"decay", "after"s}}, gains, gradients);
  for (std::size_t t = 0; t < 4; ++t) {
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(frobenius_norm(row_block(weights[t], i, 1)), adam[t].at(i, 0),
                  kExact);
    }
  }
}

TEST(Identity, SkippedZeroGradientLeavesNoTrace) {
  const Matrix zero(3, 2);
  const auto all = golden_gradients(4);
  for (const auto* rule : {"muon", "namo", "adamuon", "muonh", "shampoo",
                           "soap", "dion2", "muown"}) {
    const auto with = replay(rule, {{"skip_zero", true}}, golden_weight(),
                             {all[0], all[1], zero, all[2]});
    const auto without =
        replay(rule, {}, golden_weight(), {all[0], all[1], all[2]});
    EXPECT_EQ(distance(with[2], with[1]), 0) << rule;
    EXPECT_EQ(distance(with[3], without[2]), 0) << rule;
    const auto moved = replay(rule, {{"skip_zero", false}}, golden_weight(),
                              {all[0], all[1], zero, all[2]});
    EXPECT_GT(distance(moved[2], moved[1]), 1e-6) << rule;
  }
}

}  // namespace
}  // namespace muonlab::reference
