#include "tests/reference/cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "tests/reference/case_choices.h"
#include "tests/reference/case_inputs.h"
#include "tests/reference/trajectories.h"

namespace muonlab::reference {
namespace {

using namespace std::string_literals;

Trajectory example(const std::string& rule, const Options& options = {}) {
  return {rule, options, golden_weight(), golden_gradients(3), {}};
}

TEST(Decimals, HaveThreeDigitsAndNoZero) {
  Decimals decimals(7);
  std::set<int> seen;
  for (int i = 0; i < 2000; ++i) {
    const int number = decimals.next();
    EXPECT_NE(number, 0);
    EXPECT_LE(std::abs(number), 999);
    seen.insert(number);
  }
  EXPECT_GT(seen.size(), 1000U);
  // The first ones, which must be the same on any machine.
  Decimals first(1);
  const std::vector<int> expected = {886, -45, 711, 888, 530};
  for (const int number : expected) EXPECT_EQ(first.next(), number);
}

TEST(Decimals, RankOneIsExact) {
  const Matrix m = Decimals(3).rank_one({3, 4});
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 4; ++j) {
      EXPECT_EQ(m.at(i, j) * m.at(0, 0), m.at(0, j) * m.at(i, 0));
    }
  }
}

// One SGD step is W - lr G, whose displacement changes as G does.
TEST(Tolerance, OfAStepOfSgdIsTheFormulas) {
  Trajectory t = example("sgd", {{"lr", 0.5}});
  t.gradients.resize(1);
  const double eps = std::numeric_limits<double>::epsilon();
  const double weight = 1.25;       // of the row 1 and gradient -0.5
  const double displacement = 0.3;  // kappa is a little less at random
  const double expected = eps * ((4 + 2 * 5) * weight + 64 * 5 * displacement);
  EXPECT_NEAR(tolerance_of(t).float64, expected, 1e-6 * expected);
}

TEST(Tolerance, GrowsWithTheCondition) {
  const double mild = tolerance_of(example("muon")).float64;
  Trajectory nearly = example("muon", {{"polar_method", "svd"s}});
  for (Matrix& g : nearly.gradients) {  // almost of rank 1
    for (std::size_t i = 0; i < 3; ++i) {
      g.at(i, 1) = 2 * g.at(i, 0) + 1e-4 * g.at(i, 1);
    }
  }
  EXPECT_GT(tolerance_of(nearly).float64, 30 * mild);
}

TEST(Tolerance, FollowsTheDtypeOfThePolarFactor) {
  const double plain = tolerance_of(example("muon")).float64;
  const double coarse =
      tolerance_of(example("muon", {{"polar_dtype", "float32"s}})).float64;
  EXPECT_GT(coarse, 1e6 * plain);
}

TEST(Tolerance, NoneInFloat32WhereSquaresVanish) {
  Trajectory t = example("muonw", {{"polar_eps", 1e-30}});
  EXPECT_TRUE(tolerance_of(t).float32.has_value());
  for (Matrix& g : t.gradients) multiply_by(g, 1e-20);
  EXPECT_FALSE(tolerance_of(t).float32.has_value());
  t.rule = "lion";
  t.options = {};
  EXPECT_TRUE(tolerance_of(t).float32.has_value());
}

// The sign of an element that is all but zero hangs on a rounding.
TEST(Tolerance, SeesWhatHangsOnARounding) {
  Trajectory t = example("lion", {{"beta1", 0.5}, {"beta2", 0.0}});
  EXPECT_TRUE(tolerance_of(t).settled);
  t.gradients[1] = t.gradients[0];
  multiply_by(t.gradients[1], -1 + 1e-9);
  EXPECT_FALSE(tolerance_of(t).settled);
}

TEST(Cases, OfEveryRuleVaryEveryChoice) {
  for (const std::string& rule : twin_names()) {
    const RuleCases made = cases_of(rule);
    std::set<std::string> names;
    for (const Case& c : made.cases) {
      names.insert(c.name);
      ASSERT_EQ(c.weights.size(), c.steps_checked.size()) << c.name;
      EXPECT_TRUE(is_allowed(rule, c.input.options)) << c.name;
      EXPECT_TRUE(c.tolerance.settled) << c.name;
      for (const Matrix& w : c.weights) {
        EXPECT_TRUE(std::all_of(w.values.begin(), w.values.end(), [](double x) {
          return std::isfinite(x);
        })) << c.name;
      }
    }
    for (const Choice& choice : choices_of(rule)) {
      EXPECT_TRUE(names.contains(rule + "/" + choice_name(choice)))
          << rule << ": " << choice_name(choice);
    }
  }
}

}  // namespace
}  // namespace muonlab::reference
