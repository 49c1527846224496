#include "tests/reference/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/reference/coefficients.h"
#include "tests/reference/golden.h"
#include "tests/reference/trajectories.h"

namespace muonlab::reference {
namespace {

using namespace std::string_literals;

// Half a unit of the tenth printed digit, and room for a last digit that was
// rounded the other way.
constexpr double kTenDigits = 6e-11;

Matrix last(const std::string& rule, const Options& options) {
  return replay(rule, options, golden_weight(), golden_gradients(3)).back();
}

TEST(Golden, EveryPublishedTrajectory) {
  const Matrix e1(2, 1, {1, 0});
  for (const Golden& row : golden_rows()) {
    const std::vector<Matrix> weights =
        replay(row.rule, row.options, golden_weight(),
               golden_gradients(row.steps), row.with_q0 ? &e1 : nullptr);
    ASSERT_EQ(weights.size(), row.steps);
    EXPECT_LT(distance(weights.back(), {3, 2, row.weight}), kTenDigits)
        << row.name;
  }
  EXPECT_EQ(golden_rows().size(), 17U);
}

TEST(Golden, PolarFactorsOfTheFirstGradient) {
  const Matrix g = golden_gradients(1).front();
  const Matrix exact = {3,
                        2,
                        {.1077679306, -.2504896155, .7116788404, .6951667554,
                         -.6941896724, .6737938369}};
  const Matrix keller = {3,
                         2,
                         {.1013248149, -.2222263808, .5214938999, .5532124892,
                          -.5936318567, .6231752514}};
  EXPECT_LT(distance(polar_factor(g), exact), kTenDigits);
  EXPECT_LT(
      distance(newton_schulz(g, coefficient_table("keller"), 5, 1e-7, false),
               keller),
      kTenDigits);
  EXPECT_LT(distance(newton_schulz(g, coefficient_table("taylor"), 5, 0, false),
                     polar_factor(g)),
            1e-10);
}

TEST(Golden, KellerOfAColumnIsNotUnit) {
  const Matrix column(2, 1, {3, 4});
  const Matrix o =
      newton_schulz(column, coefficient_table("keller"), 5, 1e-7, false);
  EXPECT_NEAR(o.at(0, 0), .4178618580, kTenDigits);
  EXPECT_NEAR(o.at(1, 0), .5571491440, kTenDigits);
}

// The clamp does not touch a norm that is far above eps, so that torch's Muon
// is Keller's up to what eps adds to the norm.
TEST(Golden, TorchIsKellerUpToEps) {
  const Matrix keller = last("muon", {{"weight_decay", 0.1}});
  const Matrix torch = last("torch-muon", {{"lr", 0.02}});
  EXPECT_LT(distance(keller, torch), 1e-6);
  EXPECT_GT(distance(keller, torch), 1e-12);
  EXPECT_LT(distance(torch,
                     last("muon", {{"weight_decay", 0.1}, {"polar_eps", 0.0}})),
            1e-15);
}

struct Behaviour {
  std::string table;
  int steps;
  double slope;      // at 0
  double slope_off;  // half a unit of the last printed digit
  double lowest;     // on [0.1, 1]
  double highest;
};

// sigma -> its image after `steps`.
double image(const Table& table, int steps, double sigma) {
  double x = sigma / table.safety;
  for (int step = 0; step < steps; ++step) {
    const Coefficients& k = table.rows[std::min<std::size_t>(
        static_cast<std::size_t>(step), table.rows.size() - 1)];
    x = x * (k.a + x * x * (k.b + x * x * k.c));
  }
  return x;
}

// Slopes and ranges as published for each table, which a wrong digit of a
// coefficient would change.
TEST(Coefficients, BehaveAsPublished) {
  const std::vector<Behaviour> published = {
      {"cubic", 5, 7.6, .05, .659, 1},
      {"cubic", 10, 57.7, .05, 1, 1},
      {"taylor", 5, 23.2, .05, .996, 1},
      {"taylor", 10, 537, .5, 1, 1},
      {"simple", 12, 4096, .5, 1, 1},
      {"keller", 5, 485, .5, .682, 1.134},
      {"su1", 5, 438, .5, .821, 1.170},
      {"you5", 5, 493, .5, .978, 1.032},
      {"you6", 6, 1137, .5, .996, .999},
      {"su-x3", 5, 662, .5, .951, 1.050},
      {"polar-express", 5, 967, .5, .870, 1.124},
      {"polar-express", 8, 6300, 50, 1, 1},
      {"polar-express-modded", 5, 970, .5, .859, 1.141},
      {"polar-express-dao", 5, 804, .5, .846, 1.124},
      {"cans", 5, 1049, .5, .887, 1.113},
      {"deepseek-v4", 10, 7.9e4, 500, 1, 1.0005}};
  for (const Behaviour& b : published) {
    const Table table = coefficient_table(b.table);
    double lowest = 10;
    double highest = 0;
    for (int i = 0; i <= 20000; ++i) {
      const double y = image(table, b.steps, .1 + .9 * i / 20000);
      lowest = std::min(lowest, y);
      highest = std::max(highest, y);
    }
    const double tiny = 1e-9;
    EXPECT_NEAR(image(table, b.steps, tiny) / tiny, b.slope,
                b.slope_off + 1e-6 * b.slope)
        << b.table << b.steps;
    EXPECT_NEAR(lowest, b.lowest, 5.1e-4) << b.table << b.steps;
    EXPECT_NEAR(highest, b.highest, 5.1e-4) << b.table << b.steps;
  }
}

// Two tables are the published Polar Express rows, divided otherwise.
TEST(Coefficients, DaoIsPolarExpressWithAnotherSafety) {
  const Table express = coefficient_table("polar-express");
  const Table dao = coefficient_table("polar-express-dao");
  const double ratio = 1.01 / 1.05;
  ASSERT_EQ(express.rows.size(), 8U);
  ASSERT_EQ(dao.rows.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    const Coefficients& k = express.rows[i];
    EXPECT_NEAR(k.a * ratio, dao.rows[i].a, kTenDigits);
    EXPECT_NEAR(k.b * std::pow(ratio, 3), dao.rows[i].b, kTenDigits);
    EXPECT_NEAR(k.c * std::pow(ratio, 5), dao.rows[i].c, kTenDigits);
  }
}

TEST(Coefficients, LastRowIsRepeated) {
  const Matrix g = golden_gradients(1).front();
  const Table cans = coefficient_table("cans");
  Table longer = cans;
  longer.rows.push_back(cans.rows.back());
  longer.rows.push_back(cans.rows.back());
  EXPECT_EQ(distance(newton_schulz(g, cans, 7, 0, false),
                     newton_schulz(g, longer, 7, 0, false)),
            0);
  EXPECT_GT(distance(newton_schulz(g, cans, 7, 0, false),
                     newton_schulz(g, cans, 5, 0, false)),
            1e-4);
}

TEST(Replay, NamesEachTwinOnce) {
  const std::vector<std::string> names = twin_names();
  EXPECT_EQ(names.size(), 33U);
  EXPECT_EQ(std::count(names.begin(), names.end(), "random-spectrum"), 0);
  for (const std::string& name : names) {
    if (name == "dion") continue;  // needs q0
    const Options options =
        name == "muonclip" ? Options{{"qk_clip", 0.0}} : Options{};
    const Matrix w = last(name, options);
    EXPECT_TRUE(std::all_of(w.values.begin(), w.values.end(), [](double x) {
      return std::isfinite(x);
    })) << name;
    EXPECT_GT(distance(w, golden_weight()), 1e-5) << name;
  }
}

TEST(Replay, RefusesWhatARuleDoesNotHave) {
  EXPECT_THROW((void)last("muoon", {}), std::invalid_argument);
  EXPECT_THROW((void)last("random-spectrum", {}), std::invalid_argument);
  EXPECT_THROW((void)last("muon", {{"beta1", 0.9}}), std::invalid_argument);
  EXPECT_THROW((void)last("adamw", {{"polar_steps", 5.0}}),
               std::invalid_argument);
  EXPECT_THROW((void)last("muon", {{"pre_eps", 1e-8}}), std::invalid_argument);
  EXPECT_THROW((void)last("muon", {{"rho", 0.5}}), std::invalid_argument);
  EXPECT_THROW((void)last("schatten", {{"polar_steps", 5.0}}),
               std::invalid_argument);
  EXPECT_THROW((void)last("muon", {{"lr", "0.1"s}}), std::invalid_argument);
  EXPECT_THROW((void)last("dion", {}), std::invalid_argument);
}

TEST(Replay, RefusesUnknownValues) {
  for (const auto* option :
       {"pre", "direction", "post", "scale", "decay", "momentum_form",
        "polar_method", "polar_coefficients", "polar_eps_mode"}) {
    EXPECT_THROW((void)last("muon", {{option, "nonsense"s}}),
                 std::invalid_argument)
        << option;
  }
  EXPECT_THROW((void)last("adamw", {{"decay", "palm"s}}),
               std::invalid_argument);
  EXPECT_THROW((void)last("adamw", {{"eps_placement", "above"s}}),
               std::invalid_argument);
  EXPECT_THROW((void)last("shampoo", {{"graft", "lion"s}}),
               std::invalid_argument);
  EXPECT_THROW((void)last("muonclip", {}), std::invalid_argument);
  EXPECT_THROW((void)last("muonh", {{"weight_decay", 0.1}}),
               std::invalid_argument);
  EXPECT_THROW((void)last("scion", {{"weight_decay", 0.1}}),
               std::invalid_argument);
}

TEST(Replay, NoiseOfSizeZeroChangesNothing) {
  const std::vector<Matrix> plain =
      replay("muon", {}, golden_weight(), golden_gradients(2));
  const std::vector<Matrix> quiet = replay_with_noise(
      "muon", {}, golden_weight(), golden_gradients(2), nullptr, 0, 1);
  const std::vector<Matrix> noisy = replay_with_noise(
      "muon", {}, golden_weight(), golden_gradients(2), nullptr, 1e-6, 1);
  EXPECT_EQ(distance(plain.back(), quiet.back()), 0);
  EXPECT_GT(distance(plain.back(), noisy.back()), 1e-10);
  EXPECT_LT(distance(plain.back(), noisy.back()), 1e-6);
}

}  // namespace
}  // namespace muonlab::reference
