// Relations between rules that hold whatever the gradients are: Muon's family.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/reference/algebra.h"
#include "tests/reference/golden.h"
#include "tests/reference/replay.h"
#include "tests/reference/trajectories.h"

namespace muonlab::reference {
namespace {

using namespace std::string_literals;

TEST(Identity, SpectralDirectionsMeetAtTheirEnds) {
  const auto with = [](const Options& direction) {
    return tall("muon", direction);
  };
  const auto polar = with({{"polar_method", "svd"s}});
  EXPECT_LT(distance(with({{"direction", "schatten"s}}), polar), kExact);
  EXPECT_LT(distance(tall("schatten", {}), polar), kExact);
  EXPECT_EQ(distance(tall("schatten", {{"p", "inf"s}}), tall("schatten", {})),
            0);
  EXPECT_LT(distance(tall("power", {{"rho", 0.0}}), polar), kExact);
  EXPECT_LT(distance(with({{"direction", "ky-fan"s}, {"k", 2.0}}), polar),
            kExact);
  EXPECT_LT(distance(with({{"direction", "ky-fan"s}, {"k", 1.0}}),
                     tall("schatten", {{"p", 1.0}})),
            kExact);
  EXPECT_LT(distance(with({{"direction", "frobenius"s}}),
                     tall("schatten", {{"p", 2.0}})),
            kExact);
  EXPECT_GT(distance(tall("schatten", {{"p", 3.0}}), polar), 1e-3);
  EXPECT_GT(distance(tall("power", {}), polar), 1e-4);
}

double schatten_norm(const Matrix& a, double p) {
  double sum = 0;
  for (const double sigma : jacobi_svd(a).sigma) sum += std::pow(sigma, p);
  return std::pow(sum, 1 / p);
}

// Of all X of p-norm 1 it is the one for which <G, X> is the dual norm of G.
TEST(Identity, SchattenDirectionReachesTheDualNorm) {
  const Matrix g = golden_gradients(1).front();
  for (const double p : {1.5, 3.0, 8.0}) {
    const auto step =
        replay("schatten",
               {{"p", p}, {"lr", 1.0}, {"momentum", 0.0}, {"scale", "s1"s}},
               golden_weight(), {g});
    const Matrix x = update(golden_weight(), step[0], 1);
    EXPECT_NEAR(schatten_norm(x, p), 1, kExact);
    EXPECT_NEAR(inner(g, x), schatten_norm(g, p / (p - 1)), kExact);
  }
}

TEST(Identity, PowerOneIsTheMatrixOverItsLargestSingularValue) {
  const auto step =
      replay("power", {{"rho", 1.0}, {"lr", 1.0}, {"scale", "s1"s}},
             golden_weight(), golden_gradients(1));
  Matrix g = golden_gradients(1).front();
  const auto sigma = jacobi_svd(g).sigma;
  multiply_by(g, 1 / *std::max_element(sigma.begin(), sigma.end()));
  EXPECT_LT(distance(update(golden_weight(), step[0], 1), g), kExact);
}

TEST(Identity, HeavyBallAndAverageHaveOneDirection) {
  for (const bool nesterov : {false, true}) {
    const Options ema = {{"nesterov", nesterov}, {"polar_eps", 0.0}};
    Options heavy = ema;
    heavy["momentum_form"] = "heavy-ball"s;
    Options corrected = ema;
    corrected["momentum_form"] = "ema-corrected"s;
    EXPECT_LT(distance(tall("muon", ema), tall("muon", heavy)), kExact);
    // Without Nesterov its correction is a factor as well.
    const double apart = distance(tall("muon", ema), tall("muon", corrected));
    if (nesterov) {
      EXPECT_GT(apart, 1e-5);
    } else {
      EXPECT_LT(apart, kExact);
    }
  }
}

TEST(Identity, PolarGradStepsByTheNuclearNorm) {
  const Matrix g = golden_gradients(1).front();
  const auto step = replay("polargrad", {{"lr", 1.0}, {"momentum", 0.0}},
                           golden_weight(), {g});
  double nuclear = 0;
  for (const double sigma : jacobi_svd(g).sigma) nuclear += sigma;
  Matrix expected = polar_factor(g);
  multiply_by(expected, nuclear);
  EXPECT_LT(distance(update(golden_weight(), step[0], 1), expected), kExact);
}

TEST(Identity, PolarGradSeesTheLengthOfTheMomentum) {
  const auto ema = tall("polargrad", {{"lr", 0.1}});
  const auto heavy = tall("polargrad", {{"lr", 0.1 * (1 - 0.95)},
                                        {"momentum_form", "heavy-ball"s}});
  EXPECT_LT(distance(ema, heavy), kExact);
  const auto larger = tall("polargrad", {{"lr", 0.1 / 8}}, 8);
  EXPECT_LT(distance(ema, larger), kExact);
}

TEST(Identity, ScaleOfTheGradientsDoesNotMatter) {
  const Options no_eps = {{"polar_eps", 0.0}};
  for (const auto* rule : {"muon", "muonw", "simuon", "adamuon", "normuon",
                           "muon-plus", "muonh", "scion"}) {
    EXPECT_LT(distance(tall(rule, no_eps), tall(rule, no_eps, 3)), kExact)
        << rule;
  }
  // NAMO has 1e-8 beside the root of an average that is above 0.1.
  EXPECT_LT(distance(tall("namo", no_eps), tall("namo", no_eps, 3)), 1e-9);
  EXPECT_GT(distance(tall("sgd", {}), tall("sgd", {}, 3)), 1e-3);
}

TEST(Identity, NorMuonOfExactWideFactorsIsMuon) {
  const Options exact = {{"polar_method", "svd"s}};
  // post_eps = 1e-10 is added to norms, and lr = 0.02 multiplies.
  EXPECT_LT(distance(wide("normuon", exact), wide("muon", exact)), 1e-11);
  EXPECT_GT(distance(tall("normuon", exact), tall("muon", exact)), 1e-4);
}

TEST(Identity, MuonPlusOfExactFactorsIsMuon) {
  const Options exact = {{"polar_method", "svd"s}};
  EXPECT_LT(distance(tall("muon-plus", exact), tall("muon", exact)), kExact);
  EXPECT_GT(distance(tall("muon-plus", {}), tall("muon", {})), 1e-4);
}

TEST(Identity, AdaMuonStepsHaveRootMeanSquareOfAFifth) {
  const auto weights =
      tall("adamuon", {{"weight_decay", 0.0}, {"lr", 1.0}, {"post_eps", 0.0}});
  Matrix before = golden_weight();
  for (const Matrix& after : weights) {
    EXPECT_NEAR(rms(update(before, after, 1)), 0.2, kExact);
    before = after;
  }
  const auto first = tall("simuon", {{"weight_decay", 0.0}, {"lr", 1.0}})[0];
  const Matrix o = update(golden_weight(), first, 1);
  const Matrix u = update(golden_weight(), weights[0], 1);
  for (std::size_t i = 0; i < u.values.size(); ++i) {
    EXPECT_NEAR(u.values[i], o.values[i] > 0 ? 0.2 : -0.2, kExact);
  }
}

TEST(Identity, CautiousDecayOfNothingIsMuon) {
  EXPECT_EQ(distance(tall("muon-cautious", {{"weight_decay", 0.0}}),
                     tall("muon", {})),
            0);
  EXPECT_GT(distance(tall("muon-cautious", {}), tall("muon", {})), 1e-5);
}

// Decoupled decay is also what is added to the update, where nothing but the
// update is scaled.
TEST(Identity, AdditiveDecayIsDecoupled) {
  const auto decay = [](const std::string& kind) {
    return tall("muonw", {{"decay", kind}, {"lr", 0.1}});
  };
  EXPECT_LT(distance(decay("additive"), decay("decoupled")), kExact);
  for (const auto* other : {"scaled", "after", "independent", "palm",
                            "cautious", "cautious-palm", "l2"}) {
    EXPECT_GT(distance(decay(other), decay("decoupled")), 1e-6) << other;
  }
}

// (W - W') of one step with lr 0.5, lambda 0.2, scale 4 on W = 2 and on W = -2,
// where the update has the sign of the one and not of the other.
TEST(Decay, IsWhatItsFormulaSays) {
  struct Expected {
    std::string decay;
    double along;    // W = 2
    double against;  // W = -2
  };
  const std::vector<Expected> table = {
      {"decoupled", 2.2, 1.8},   {"additive", 2.2, 1.8},
      {"scaled", 2.8, 1.2},      {"after", 2.0, 1.6},
      {"independent", 2.4, 1.6}, {"palm", 2.1, 1.9},
      {"cautious", 2.2, 2.0},    {"cautious-palm", 2.1, 2.0},
      {"l2", 2.8, 1.2},          {"constrained", 3.0, 1.0}};
  for (const Expected& row : table) {
    const bool none = row.decay == "constrained";
    const Options options = {
        {"decay", row.decay},  {"weight_decay", none ? 0.0 : 0.2},
        {"lr", 0.5},           {"scale", "s1"s},
        {"scale_factor", 4.0}, {"momentum", 0.0},
        {"direction", "none"s}};
    const Matrix w0(1, 2, {2, -2});
    const auto step = replay("muon", options, w0, {{1, 2, {1, 1}}});
    EXPECT_NEAR(w0.at(0, 0) - step[0].at(0, 0), row.along, kExact) << row.decay;
    EXPECT_NEAR(w0.at(0, 1) - step[0].at(0, 1), row.against, kExact)
        << row.decay;
  }
}

TEST(Scale, IsWhatItsFormulaSays) {
  const std::vector<std::pair<std::string, double>> table = {
      {"s1", 1},
      {"s2", 2},
      {"s3", 2},
      {"s4", .2 * std::sqrt(8.0)},
      {"s5", std::sqrt(8.0)},
      {"s6", 3},
      {"s7", .2 * 4},
      {"s8", 2},
      {"unit", 1},
      {"original", 2},
      {"match-rms-adamw", .2 * std::sqrt(8.0)},
      {"nuclear", 3},
      {"rms", .2 * 4},
      {"radius", 2}};
  Matrix g(8, 2);
  g.at(0, 0) = 3;  // 3 times a matrix of norm 1
  for (const auto& [scale, factor] : table) {
    const Options options = {{"scale", scale},
                             {"scale_factor", 0.5},
                             {"direction", "frobenius"s},
                             {"momentum", 0.0},
                             {"lr", 1.0}};
    const auto step = replay("muon", options, Matrix(8, 2), {g});
    EXPECT_NEAR(step[0].at(0, 0), -factor / 2, kExact) << scale;
    if (scale == "s2" || scale == "s3" || scale == "s8") {
      const auto wide_step =
          replay("muon", options, Matrix(2, 8), {transpose(g)});
      EXPECT_NEAR(wide_step[0].at(0, 0), scale == "s2" ? -.5 : -.25, kExact)
          << scale;
    }
  }
}

TEST(Identity, MuonHTurnsByTheRate) {
  const Matrix g = golden_gradients(1).front();
  const double radius = frobenius_norm(golden_weight());
  const auto step = replay(
      "muonh", {{"lr", 0.3}, {"polar_method", "svd"s}, {"scale_factor", 2.0}},
      golden_weight(), {g});
  Matrix expected = golden_weight();
  add(expected, -0.6 * radius / std::sqrt(2.0), polar_factor(g));
  multiply_by(expected, radius / frobenius_norm(expected));
  EXPECT_LT(distance(step[0], expected), kExact);
}

TEST(Identity, MuonHKeepsTheNorm) {
  for (const Matrix& w : tall("muonh", {{"lr", 0.3}})) {
    EXPECT_NEAR(frobenius_norm(w), frobenius_norm(golden_weight()), kExact);
  }
}

TEST(Identity, EquilibrationForgetsTheScaleOfRowsOrColumns) {
  const auto step = [](const std::string& rule, bool rows, bool columns) {
    Matrix g = golden_gradients(1).front();
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 2; ++j) {
        if (rows) g.at(i, j) *= static_cast<double>(i + 1);
        if (columns) g.at(i, j) *= static_cast<double>(3 - j);
      }
    }
    return replay(rule, {{"pre_eps", 0.0}, {"momentum", 0.0}}, golden_weight(),
                  {g});
  };
  EXPECT_LT(
      distance(step("muoneq-r", true, false), step("muoneq-r", false, false)),
      kExact);
  EXPECT_LT(
      distance(step("muoneq-c", false, true), step("muoneq-c", false, false)),
      kExact);
  EXPECT_GT(
      distance(step("muoneq-c", true, false), step("muoneq-c", false, false)),
      1e-6);
  EXPECT_GT(
      distance(step("muoneq-rc", true, false), step("muoneq-rc", false, false)),
      1e-6);
}

}  // namespace
}  // namespace muonlab::reference
