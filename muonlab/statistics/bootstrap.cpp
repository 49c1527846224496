#include "muonlab/statistics/bootstrap.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <numeric>

#include "muonlab/core/error.h"
#include "muonlab/core/philox.h"
#include "muonlab/statistics/sample_internal.h"

namespace muonlab::statistics {

namespace {

constexpr std::size_t kFewestResamples = 100;
constexpr double kMostUndefined = 0.05;  // share of the resamples

double normal_quantile(double probability) {
  return boost::math::quantile(boost::math::normal(), probability);
}

using Strata = std::span<const std::size_t>;

void check_groups(const Groups& groups, Strata strata,
                  const BootstrapOptions& options) {
  MUONLAB_CHECK(!groups.empty(), "bootstrap: no group of values");
  MUONLAB_CHECK(strata.size() == groups.size(), "bootstrap: got ",
                strata.size(), " strata for ", groups.size(), " groups");
  check_alpha("bootstrap", options.alpha);
  MUONLAB_CHECK(options.resamples >= kFewestResamples,
                "bootstrap: resamples: got ", options.resamples, ", expected ",
                kFewestResamples, " or more");
  for (std::size_t g = 0; g < groups.size(); ++g) {
    check_sample("bootstrap", groups[g], 2);
    for (std::size_t h = 0; h < g; ++h) {
      MUONLAB_CHECK(
          strata[h] != strata[g] || groups[h].size() == groups[g].size(),
          "bootstrap: paired groups differ in length: got ", groups[h].size(),
          " and ", groups[g].size());
    }
  }
}

void resample(const Groups& groups, Strata strata, const core::Random& random,
              std::size_t turn, Groups& out) {
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::size_t n = groups[g].size();
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t draw = (std::uint64_t{strata[g]} << 32U) + i;
      const double place = random.uniform(turn, draw) * static_cast<double>(n);
      out[g][i] = groups[g][std::min(static_cast<std::size_t>(place), n - 1)];
    }
  }
}

std::vector<double> without(const std::vector<double>& values, std::size_t i) {
  std::vector<double> rest = values;
  rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
  return rest;
}

// The statistic without each position in turn, a list for each stratum.
std::vector<std::vector<double>> leave_one_out(const Groups& groups,
                                               const GroupStatistic& statistic,
                                               Strata strata) {
  std::vector<std::vector<double>> found;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto seen = strata.first(g);
    if (std::find(seen.begin(), seen.end(), strata[g]) != seen.end()) continue;
    found.emplace_back();
    for (std::size_t i = 0; i < groups[g].size(); ++i) {
      Groups rest = groups;
      for (std::size_t h = 0; h < groups.size(); ++h) {
        if (strata[h] == strata[g]) rest[h] = without(groups[h], i);
      }
      found.back().push_back(statistic(rest));
    }
  }
  return found;
}

bool all_finite(const std::vector<std::vector<double>>& lists) {
  return std::all_of(lists.begin(), lists.end(), [](const auto& list) {
    return std::all_of(list.begin(), list.end(),
                       [](double x) { return std::isfinite(x); });
  });
}

std::optional<Interval> bca_interval(const Bootstrap& made,
                                     std::span<const double> resampled,
                                     double alpha) {
  // Infinite when every resample lies on one side of the estimate.
  if (!std::isfinite(made.bias_correction)) return std::nullopt;
  const auto limit = [&](double share) {
    const double z = made.bias_correction + normal_quantile(share);
    const double adjusted =
        made.bias_correction + z / (1 - made.acceleration * z);
    return quantile(resampled,
                    boost::math::cdf(boost::math::normal(), adjusted));
  };
  return Interval{limit(alpha / 2), limit(1 - alpha / 2)};
}

}  // namespace

double bca_bias_correction(double estimate, std::span<const double> resampled) {
  check_sample("bias correction", resampled, 1);
  double halves = 0;
  for (const double value : resampled) {
    halves += value < estimate ? 2 : value == estimate ? 1 : 0;
  }
  const double share = halves / (2 * static_cast<double>(resampled.size()));
  if (share == 0) return -INFINITY;
  if (share == 1) return INFINITY;
  return normal_quantile(share);
}

std::optional<double> bca_acceleration(
    std::span<const std::vector<double>> left_out) {
  double cubes = 0;
  double squares = 0;
  double magnitude = 0;
  for (const std::vector<double>& list : left_out) {
    check_sample("acceleration", list, 2);
    magnitude = std::max(magnitude, largest_magnitude(list));
    const double center = mean(list);
    const auto n = static_cast<double>(list.size());
    for (const double value : list) {
      const double u = (n - 1) * (center - value) / n;
      cubes += u * u * u;
      squares += u * u;
    }
  }
  if (is_rounding(std::sqrt(squares), magnitude)) return std::nullopt;
  return cubes / (6 * squares * std::sqrt(squares));
}

Bootstrap bootstrap(const Groups& groups, const GroupStatistic& statistic,
                    Resampling resampling, const BootstrapOptions& options) {
  std::vector<std::size_t> strata(groups.size(), 0);
  if (resampling == Resampling::kStratified) {
    std::iota(strata.begin(), strata.end(), std::size_t{0});
  }
  return bootstrap(groups, statistic, strata, options);
}

Bootstrap bootstrap(const Groups& groups, const GroupStatistic& statistic,
                    std::span<const std::size_t> strata,
                    const BootstrapOptions& options) {
  check_groups(groups, strata, options);
  Bootstrap made;
  made.estimate = statistic(groups);
  MUONLAB_CHECK(std::isfinite(made.estimate),
                "bootstrap: the statistic of the values themselves is not "
                "finite: got ",
                made.estimate);
  const core::Random random(options.seed, "bootstrap");
  std::vector<double> resampled;
  Groups drawn = groups;
  for (std::size_t turn = 0; turn < options.resamples; ++turn) {
    resample(groups, strata, random, turn, drawn);
    const double value = statistic(drawn);
    if (std::isfinite(value)) {
      resampled.push_back(value);
    } else {
      ++made.undefined;
    }
  }
  if (static_cast<double>(made.undefined) >
      kMostUndefined * static_cast<double>(options.resamples)) {
    return made;
  }
  std::sort(resampled.begin(), resampled.end());
  made.standard_error = standard_deviation(resampled);
  made.percentile = Interval{quantile(resampled, options.alpha / 2),
                             quantile(resampled, 1 - options.alpha / 2)};
  made.bias_correction = bca_bias_correction(made.estimate, resampled);
  const auto left_out = leave_one_out(groups, statistic, strata);
  if (!all_finite(left_out)) return made;
  if (const auto acceleration = bca_acceleration(left_out)) {
    made.acceleration = *acceleration;
    made.bca = bca_interval(made, resampled, options.alpha);
  }
  return made;
}

Bootstrap bootstrap(
    std::span<const double> values,
    const std::function<double(std::span<const double>)>& statistic,
    const BootstrapOptions& options) {
  return bootstrap(
      Groups{std::vector<double>(values.begin(), values.end())},
      [&](const Groups& groups) { return statistic(groups.front()); },
      Resampling::kStratified, options);
}

}  // namespace muonlab::statistics
