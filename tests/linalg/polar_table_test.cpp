// The published tables against their scalar behaviour and their generator.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>
#include <string>
#include <string_view>

#include "muonlab/linalg/polar_convergence.h"
#include "muonlab/linalg/polar_express.h"
#include "tests/reference/coefficients.h"
#include "tests/support/expect_error.h"

namespace muonlab {
namespace {

using testing::expect_error;

constexpr double kPaperCushion = 0.02407327424182761;

// A number as a table prints it is right to half a unit of its last digit, and
// a little more: the table was measured on a grid.
struct Printed {
  double value = 0;
  double off = 0;
};
Printed printed(std::string_view text) {
  Printed p;
  std::from_chars(text.data(), text.data() + text.size(), p.value);
  const auto e = text.find('e');
  const std::string_view digits = text.substr(0, e);
  const auto point = digits.find('.');
  double unit = 1;
  if (point != std::string_view::npos) {
    unit = std::pow(10.0, -static_cast<double>(digits.size() - point - 1));
  }
  if (e != std::string_view::npos) {
    int exponent = 0;
    const std::string_view power = text.substr(e + 1);
    std::from_chars(power.data(), power.data() + power.size(), exponent);
    unit *= std::pow(10.0, exponent);
  }
  p.off = 0.6 * unit;
  return p;
}
void expect_printed(double value, std::string_view text,
                    const std::string& what) {
  const Printed p = printed(text);
  EXPECT_NEAR(value, p.value, p.off) << what;
}

// Table and steps, slope at zero, range of p on [.1, 1], [.01, 1] and [.001,
// 1], the first sigma with p >= .7. Measured independently of this code,
// relative to the norm.
constexpr const char* kBehaviours[] = {
    "cubic 5  7.6  .659 1.000  .076 1.000  .008 1.000  .109",
    "cubic 10  57.7  1.000 1.000  .529 1.000  .058 1.000  .0144",
    "cubic 20  3325  1.000 1.000  1.000 1.000  .9999 1.000  2.5e-4",
    "taylor 5  23.2  .996 1.000  .229 1.000  .023 1.000  .0358",
    "taylor 10  537  1.000 1.000  1.000 1.000  .499 1.000  1.54e-3",
    "taylor 12  1888  1.000 1.000  1.000 1.000  .981 1.000  4.4e-4",
    "simple 12  4096  1.000 1.000  1.000 1.000  1.000 1.000  2.0e-4",
    "keller 5  485  .682 1.134  .682 1.134  .470 1.202  1.55e-3",
    "keller 6  1670  .682 1.134  .682 1.134  .682 1.202  4.5e-4",
    "keller 10  2.35e5  .682 1.134  .682 1.134  .682 1.134  3.2e-6",
    "su1 5  438  .821 1.170  .821 1.183  .427 1.183  1.73e-3",
    "you5 5  493  .978 1.032  .978 1.032  .475 1.145  1.55e-3",
    "you6 6  1137  .996 .999  .996 .999  .866 .999  7.1e-4",
    "su-x3 5  662  .951 1.050  .951 1.050  .612 1.050  1.18e-3",
    "polar-express 5  967  .870 1.124  .870 1.124  .840 1.124  7.9e-4",
    "polar-express 8  6300  1.000 1.000  1.000 1.000  1.000 1.000  1.3e-4",
    "polar-express-modded 5  970  .859 1.141  .859 1.141  .847 1.141  7.8e-4",
    "polar-express-nanochat 5  980  .859 1.141  .859 1.141  .853 1.141  7.8e-4",
    "polar-express-dao 5  804  .846 1.124  .846 1.124  .729 1.124  9.5e-4",
    "cans 5  1049  .887 1.113  .887 1.113  .887 1.113  7.3e-4",
    "cubic5 5  119  .774 1.300  .774 1.300  .119 1.300  6.2e-3",
    "deepseek-v4 10  7.9e4  1.000 1.0005  1.000 1.0005  1.000 1.0005  1.0e-5",
};

TEST(PolarTable, BehavesAsPublished) {
  for (const char* line : kBehaviours) {
    std::istringstream words(line);
    std::string table;
    int steps = 0;
    std::string slope;
    words >> table >> steps >> slope;
    for (const double lower : {0.1, 0.01, 0.001}) {
      std::string smallest;
      std::string largest;
      words >> smallest >> largest;
      const auto c = polar_convergence(polar_table(table), steps, lower);
      const std::string what = concat(table, " ", steps, ", from ", lower);
      expect_printed(c.smallest, smallest, what + ", smallest");
      expect_printed(c.largest, largest, what + ", largest");
      expect_printed(c.slope, slope, what + ", slope");
      EXPECT_FALSE(c.stray) << what;
    }
    std::string lifted;
    words >> lifted;
    expect_printed(polar_convergence(polar_table(table), steps, 0.1).lifted,
                   lifted, concat(table, " ", steps, ", lifted"));
  }
}

// Above .884 the first row of Turbo-Muon's table is negative.
TEST(PolarTable, OfTurboMuonChangesSignsNearOne) {
  const PolarTable& turbo = polar_table("aol-turbo");
  EXPECT_TRUE(turbo.aol);
  EXPECT_NEAR(polar_value(turbo, 1, 1), -0.5852, 1e-12);
  EXPECT_GT(polar_value(turbo, 1, 0.883), 0);
  EXPECT_LT(polar_value(turbo, 1, 0.885), 0);
  const auto c = polar_convergence(turbo, 4, 0.1);
  ASSERT_TRUE(c.stray);
  EXPECT_EQ(c.stray->sigma, 1);
  EXPECT_EQ(c.stray->step, 1);
}

TEST(PolarTable, OfDionBehindAolKeepsSigns) {
  const PolarTable& dion = polar_table("aol-dion");
  EXPECT_TRUE(dion.aol);
  const auto c = polar_convergence(dion, 4, 0.01);
  EXPECT_FALSE(c.stray);
  expect_printed(c.slope, "147", "slope");
  expect_printed(c.lifted, "5.3e-3", "lifted");
  expect_printed(c.smallest, "0.941", "smallest");
  expect_printed(c.largest, "1.050", "largest");
}

TEST(PolarTable, SaysWhichSchedulesSettle) {
  for (const char* name : {"cubic", "taylor", "simple", "polar-express",
                           "polar-express-eo", "deepseek-v4"}) {
    EXPECT_TRUE(polar_convergence(polar_table(name), 12, 0.01).settles) << name;
  }
  for (const char* name : {"keller", "su1", "you5", "su-x3",
                           "polar-express-modded", "polar-express-dao"}) {
    EXPECT_FALSE(polar_convergence(polar_table(name), 5, 0.01).settles) << name;
  }
}

TEST(PolarTable, EqualsTheReferenceDigitByDigit) {
  for (const std::string& name : reference::coefficient_names()) {
    const PolarTable& table = polar_table(name);
    const reference::Table expected = reference::coefficient_table(name);
    EXPECT_EQ(table.safety, expected.safety) << name;
    ASSERT_EQ(table.rows.size(), expected.rows.size()) << name;
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      EXPECT_EQ(table.rows[i], (Quintic{expected.rows[i].a, expected.rows[i].b,
                                        expected.rows[i].c}))
          << name << ", row " << i + 1;
    }
  }
}

// Every coefficient within `off` of the published one, relative to it.
void expect_rows(const std::vector<Quintic>& rows,
                 const std::vector<Quintic>& published, double off,
                 const char* what) {
  ASSERT_GE(rows.size(), published.size()) << what;
  for (std::size_t i = 0; i < published.size(); ++i) {
    const Quintic& q = rows[i];
    const Quintic& p = published[i];
    EXPECT_NEAR(q.a, p.a, off * std::abs(p.a)) << what << ", row " << i + 1;
    EXPECT_NEAR(q.b, p.b, off * std::abs(p.b)) << what << ", row " << i + 1;
    EXPECT_NEAR(q.c, p.c, off * std::abs(p.c)) << what << ", row " << i + 1;
  }
}

std::vector<Quintic> first(std::vector<Quintic> rows, std::size_t count) {
  rows.resize(count);
  return rows;
}

TEST(PolarExpress, MakesThePublishedTables) {
  const auto paper = polar_express_table({.lower = 1e-3, .steps = 8}).rows;
  EXPECT_EQ(PolarExpressOptions{}.cushion, kPaperCushion);
  const auto official = polar_table("polar-express").rows;
  const auto made = damped(paper, 1.01);
  expect_rows(first(made, 6), first(official, 6), 1e-12, "official");
  // From here on the interval is so short that the exchange's system loses
  // half its digits, in the published rows too.
  expect_rows(made, official, 1e-8, "official, end");
  expect_rows(polar_express_table(
                  {.lower = 1e-3, .steps = 5, .cushion = 0.02, .safety = 1.02})
                  .rows,
              polar_table("polar-express-modded").rows, 1e-11, "modded");
  // Ten decimals are printed.
  auto dao = first(paper, 6);
  expect_rows(damped(dao, 1.05), polar_table("polar-express-dao").rows, 2e-10,
              "dao");
  expect_rows(
      polar_express_table({.lower = 1e-3, .steps = 5, .cushion = 0}).rows,
      polar_table("cans").rows, 2e-12, "cans");
  // Four decimals, some of them cut, not rounded.
  for (std::size_t i = 0; i < official.size(); ++i) {
    const Quintic& q = polar_table("polar-express-eo").rows[i];
    EXPECT_NEAR(q.a, official[i].a, 1e-4);
    EXPECT_NEAR(q.b, official[i].b, 1e-4);
    EXPECT_NEAR(q.c, official[i].c, 1e-4);
  }
}

TEST(PolarExpress, WithTheCushionOfItsCodeIsAnotherTable) {
  const Quintic q =
      polar_express_table({.lower = 1e-3, .cushion = 0.02}).rows[0];
  EXPECT_NEAR(q.a, 8.319686, 1e-6);
  EXPECT_NEAR(q.b, -23.859450, 1e-6);
  EXPECT_NEAR(q.c, 17.531445, 1e-6);
}

// The error of a minimax polynomial touches its largest value four times (three
// for a cubic), with changing sign.
TEST(PolarExpress, StepsAreMinimax) {
  for (const auto& [l, u] : {std::pair(0.01, 1.0), {0.3, 1.7}, {0.9, 1.1}}) {
    for (const bool cubic : {false, true}) {
      const Quintic q = cubic ? optimal_cubic(l, u) : optimal_quintic(l, u);
      const PolarTable table = {"", {q}};
      double smallest = 1e9;
      double largest = -1e9;
      for (int i = 0; i <= 100000; ++i) {
        const double p = polar_value(table, 1, l + (u - l) * i / 100000);
        smallest = std::min(smallest, p);
        largest = std::max(largest, p);
      }
      EXPECT_NEAR(1 - smallest, largest - 1, 1e-8);
      EXPECT_NEAR(polar_value(table, 1, l), smallest, 1e-8);
      EXPECT_NEAR(polar_value(table, 1, u), cubic ? smallest : largest, 1e-8);
    }
  }
  const Quintic end = optimal_quintic(2 * (1 - 1e-6), 2);
  EXPECT_NEAR(end.a, 15.0 / 16, 1e-12);
  EXPECT_EQ(optimal_cubic(1, 1), (Quintic{1.5, -0.5, 0}));
}

TEST(PolarExpress, OfDegreeThreeConverges) {
  const auto table =
      polar_express_table({.lower = 1e-3, .steps = 10, .degree = 3});
  for (const Quintic& q : table.rows) EXPECT_EQ(q.c, 0);
  const auto c = polar_convergence(table, 10, 1e-3);
  EXPECT_NEAR(c.smallest, 1, 1e-3);
  EXPECT_NEAR(c.largest, 1, 1e-3);
  EXPECT_FALSE(c.stray);
}

TEST(PolarExpress, RefusesWhatItCannotMake) {
  constexpr auto kKind = ErrorKind::kInvalidArgument;
  const auto make = [](const PolarExpressOptions& options) {
    return [=] { (void)polar_express_table(options); };
  };
  expect_error(kKind, {"lower", "got 0"}, make({.lower = 0}));
  expect_error(kKind, {"lower", "got 2"}, make({.lower = 2}));
  expect_error(kKind, {"upper", "got nan"}, make({.upper = std::nan("")}));
  expect_error(kKind, {"steps", "got 0"}, make({.steps = 0}));
  expect_error(kKind, {"degree", "got 4"}, make({.degree = 4}));
  expect_error(kKind, {"cushion", "got 1"}, make({.cushion = 1}));
  expect_error(kKind, {"safety", "got 0.9"}, make({.safety = 0.9}));
}

}  // namespace
}  // namespace muonlab
