// The tables of the study "Muon vs AdamW: Learning Rate And Scaling Small LLMs"
// (github.com/vukrosic/muon-optimizer-research, results of experiment 2),
// recomputed from its per-seed finals in tests/golden/seed-study/finals.csv.
//
// The finals are rounded as its logs print them. So each published number must
// lie in the range that the unrounded finals allow, widened by half of its own
// last digit.
#include <gtest/gtest.h>

#include <array>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <map>
#include <sstream>
#include <string>

#include "muonlab/core/files.h"
#include "muonlab/statistics/holm.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/statistics/t_tests.h"

namespace muonlab::statistics {
namespace {

using Pair = std::array<double, 2>;  // seeds 42 and 1042

struct Metric {
  const char* name;
  std::size_t column;  // of finals.csv
  double half_digit;   // of the finals
  bool higher_is_better;
};
constexpr std::array<Metric, 4> kMetrics = {{{"loss", 3, 5e-5, false},
                                             {"accuracy", 4, 5e-5, true},
                                             {"perplexity", 5, 5e-3, false},
                                             {"time", 8, 5e-2, false}}};
const std::array<std::string, 4> kSizes = {"Tiny", "Small", "Medium", "Large"};

struct Published {
  double adamw, adamw_sd, muon, muon_sd, improvement, p;
};
// By size, then metric: means and deviations to 1e-4, improvements to 0.1 %, p
// to 1e-3.
const std::map<std::string, std::array<Published, 4>> kTable = {
    {"Tiny",
     {{{0.8112, 0.0261, 0.9434, 0.0011, -16.3, 0.037},
       {0.7941, 0.0066, 0.7836, 0.0005, -1.3, 0.250},
       {2.2513, 0.0588, 2.5687, 0.0027, -14.1, 0.033},
       {273.9437, 0.8401, 283.6248, 2.1028, -3.5, 0.051}}}},
    {"Small",
     {{{0.1939, 0.0009, 0.1588, 0.0005, 18.1, 0.001},
       {0.9496, 0.0001, 0.9625, 0.0002, 1.4, 0.000},
       {1.2140, 0.0011, 1.1721, 0.0006, 3.5, 0.001},
       {268.2420, 0.0808, 278.0209, 0.1158, -3.6, 0.000}}}},
    {"Medium",
     {{{0.3098, 0.0112, 0.1609, 0.0034, 48.0, 0.006},
       {0.9173, 0.0031, 0.9614, 0.0010, 4.8, 0.005},
       {1.3632, 0.0152, 1.1746, 0.0040, 13.8, 0.007},
       {203.0001, 0.2817, 211.5403, 0.0063, -4.2, 0.001}}}},
    {"Large",
     {{{3.7607, 0.0533, 0.2210, 0.0050, 94.1, 0.000},
       {0.2835, 0.0043, 0.9464, 0.0011, 233.9, 0.000},
       {43.0399, 2.2938, 1.2474, 0.0062, 97.1, 0.003},
       {205.2436, 0.0727, 215.7518, 0.0853, -5.1, 0.000}}}}};

struct Finals {
  Pair adamw, muon;
};

Finals finals_of(const std::string& size, const Metric& metric) {
  std::istringstream text(
      core::read_file(MUONLAB_SOURCE "/tests/golden/seed-study/finals.csv"));
  std::map<std::string, std::vector<double>> found;
  for (std::string line; std::getline(text, line);) {
    std::istringstream row(line);
    std::vector<std::string> cells;
    for (std::string cell; std::getline(row, cell, ',');) cells.push_back(cell);
    if (cells[0] == size) {
      found[cells[1]].push_back(std::stod(cells[metric.column]));
    }
  }
  EXPECT_EQ(found["AdamW"].size(), 2U);
  EXPECT_EQ(found["Muon"].size(), 2U);
  return {{found["AdamW"].at(0), found["AdamW"].at(1)},
          {found["Muon"].at(0), found["Muon"].at(1)}};
}

double two_sided(double t, double df) {
  return 2 * cdf(complement(boost::math::students_t(df), std::abs(t)));
}

double improvement(double adamw, double muon, const Metric& metric) {
  return 100 * (metric.higher_is_better ? muon - adamw : adamw - muon) / adamw;
}

// How far rounding the finals can move the improvement.
double improvement_error(double adamw, double muon, const Metric& metric) {
  const double h = metric.half_digit;
  return std::abs(improvement(adamw - h, muon + h, metric) -
                  improvement(adamw + h, muon - h, metric)) /
         2;
}

TEST(SeedStudy, MeansDeviationsAndImprovementsAreThePublishedOnes) {
  for (const std::string& size : kSizes) {
    for (std::size_t m = 0; m < kMetrics.size(); ++m) {
      const Metric& metric = kMetrics[m];
      SCOPED_TRACE(size + " " + metric.name);
      const Published& printed = kTable.at(size)[m];
      const Finals finals = finals_of(size, metric);
      const double h = metric.half_digit + 5e-5 + 1e-12;
      const double adamw = mean(finals.adamw);
      const double muon = mean(finals.muon);
      EXPECT_NEAR(adamw, printed.adamw, h);
      EXPECT_NEAR(muon, printed.muon, h);
      EXPECT_NEAR(population_deviation(finals.adamw), printed.adamw_sd, h);
      EXPECT_NEAR(population_deviation(finals.muon), printed.muon_sd, h);
      EXPECT_NEAR(improvement(adamw, muon, metric), printed.improvement,
                  0.05 + improvement_error(adamw, muon, metric));
    }
  }
}

TEST(SeedStudy, PValuesAreThoseOfThePooledTest) {
  for (const std::string& size : kSizes) {
    for (std::size_t m = 0; m < kMetrics.size(); ++m) {
      const Metric& metric = kMetrics[m];
      SCOPED_TRACE(size + " " + metric.name);
      const Finals finals = finals_of(size, metric);
      const TTest test = pooled_t_test(finals.adamw, finals.muon);
      EXPECT_EQ(test.df, 2);
      // se^2 = (s1^2 + s2^2) / 2 for n = 2 + 2; each ddof-0 deviation moves by
      // at most h, so se by at most sqrt(2) h.
      const double h = metric.half_digit;
      const double error = std::sqrt(2.0) * h;
      const double gap = std::abs(test.difference);
      const double least = (gap - 2 * h) / (test.standard_error + error);
      const double low_se = test.standard_error - error;
      const double p_high = two_sided(least, 2);
      const double p_low =
          low_se > 0 ? two_sided((gap + 2 * h) / low_se, 2) : 0;
      const double printed = kTable.at(size)[m].p;
      EXPECT_GE(printed + 5e-4, p_low);
      EXPECT_LE(printed - 5e-4, p_high);
      // Losses are logged to four digits: there the range is narrow.
      if (m == 0) {
        EXPECT_NEAR(two_sided(test.difference / test.standard_error, 2),
                    printed, 1.1e-3);
      }
    }
  }
}

struct Overall {
  std::array<double, 4> values;
  double error = 0;
};

Overall overall(const Metric& metric) {
  Overall all;
  for (std::size_t s = 0; s < kSizes.size(); ++s) {
    const Finals finals = finals_of(kSizes[s], metric);
    const double adamw = mean(finals.adamw);
    const double muon = mean(finals.muon);
    all.values[s] = improvement(adamw, muon, metric);
    all.error = std::max(all.error, improvement_error(adamw, muon, metric));
  }
  return all;
}

TEST(SeedStudy, OverallImprovementsAreThePublishedOnes) {
  struct Row {
    double mean, sd, p;
  };
  const std::array<Row, 4> printed = {{{36.00, 40.55, 0.222},
                                       {59.68, 100.60, 0.380},
                                       {25.07, 42.77, 0.385},
                                       {-4.13, 0.63, 0.001}}};
  for (std::size_t m = 0; m < kMetrics.size(); ++m) {
    SCOPED_TRACE(kMetrics[m].name);
    const Overall all = overall(kMetrics[m]);
    const TTest test = one_sample_t_test(all.values, 0);
    EXPECT_NEAR(test.difference, printed[m].mean, 0.005 + all.error);
    EXPECT_NEAR(population_deviation(all.values), printed[m].sd,
                0.005 + all.error);
    const double low = std::abs(test.difference) - all.error;
    const double high = std::abs(test.difference) + all.error;
    const double share = all.error / std::sqrt(3.0);
    EXPECT_GE(printed[m].p + 5e-4,
              two_sided(high / (test.standard_error - share), 3));
    EXPECT_LE(printed[m].p - 5e-4,
              two_sided(low / (test.standard_error + share), 3));
  }
}

TEST(SeedStudy, SizeAndAccuracyCorrelateAsPublished) {
  const std::array<double, 4> parameters = {11'208'384, 29'496'192, 50'340'352,
                                            108'543'744};
  const auto found = pearson(parameters, overall(kMetrics[1]).values);
  EXPECT_NEAR(found->r, 0.934, 5e-4);
  EXPECT_NEAR(*found->p, 0.066, 5e-4);
}

// Pooled variances, unpaired, sixteen tests without correction: what the other
// choices would have said of the same finals.
TEST(SeedStudy, OtherTestsChangeItsVerdicts) {
  int pooled_below = 0;
  int welch_below = 0;
  int paired_below = 0;
  std::vector<double> pooled_p;
  for (const std::string& size : kSizes) {
    for (const Metric& metric : kMetrics) {
      const Finals finals = finals_of(size, metric);
      const TTest pooled = pooled_t_test(finals.adamw, finals.muon);
      const TTest welch = welch_t_test(finals.adamw, finals.muon);
      const TTest paired = paired_t_test(finals.adamw, finals.muon);
      // This library gives none of them a p: n = 2.
      EXPECT_FALSE(pooled.p || welch.p || paired.p);
      EXPECT_EQ(paired.df, 1);
      EXPECT_LE(welch.df, 2 + 1e-12);
      const auto p_of = [](const TTest& test) {
        return two_sided(test.difference / test.standard_error, test.df);
      };
      pooled_p.push_back(p_of(pooled));
      pooled_below += pooled_p.back() < kAlpha ? 1 : 0;
      welch_below += p_of(welch) < kAlpha ? 1 : 0;
      paired_below += paired.spread && p_of(paired) < kAlpha ? 1 : 0;
    }
  }
  int holm_below = 0;
  for (const double p : holm(pooled_p)) holm_below += p < kAlpha ? 1 : 0;
  EXPECT_EQ(pooled_below, 14);
  EXPECT_EQ(welch_below, 11);
  EXPECT_EQ(paired_below, 11);
  EXPECT_EQ(holm_below, 11);
}

TEST(SeedStudy, TinyLossIsNotSignificantPaired) {
  // Published: p = .037, one star.
  const Finals finals = finals_of("Tiny", kMetrics[0]);
  const TTest paired = paired_t_test(finals.muon, finals.adamw);
  EXPECT_NEAR(paired.difference, 0.13215, 1e-12);
  EXPECT_NEAR(two_sided(paired.difference / paired.standard_error, 1), 0.1193,
              5e-5);
  const TTest welch = welch_t_test(finals.muon, finals.adamw);
  EXPECT_NEAR(two_sided(welch.difference / welch.standard_error, welch.df),
              0.124, 1e-3);
}

}  // namespace
}  // namespace muonlab::statistics
