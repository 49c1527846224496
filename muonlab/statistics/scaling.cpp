#include "muonlab/statistics/scaling.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/statistics/sample_internal.h"
#include "muonlab/statistics/t_tests.h"

namespace muonlab::statistics {

namespace {

std::vector<double> sizes_of(std::span<const SizeRuns> runs) {
  std::vector<double> sizes;
  for (const SizeRuns& size : runs) {
    check_sample("scaling fit", size.losses, 1);
    sizes.push_back(size.parameters);
  }
  return sizes;
}

Groups losses_of(std::span<const SizeRuns> runs) {
  Groups groups;
  for (const SizeRuns& size : runs) groups.push_back(size.losses);
  return groups;
}

std::optional<PowerLaw> law_of(std::span<const double> sizes,
                               std::span<const std::vector<double>> groups) {
  std::vector<double> means;
  for (const std::vector<double>& group : groups) means.push_back(mean(group));
  return fit_power_law(sizes, means);
}

double exponent_of(std::span<const double> sizes,
                   std::span<const std::vector<double>> groups) {
  const auto law = law_of(sizes, groups);
  return law ? law->exponent : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

std::optional<ScalingFit> scaling_fit(std::span<const SizeRuns> runs,
                                      const BootstrapOptions& options) {
  const std::vector<double> sizes = sizes_of(runs);
  const Groups groups = losses_of(runs);
  const auto law = law_of(sizes, groups);
  if (!law) return std::nullopt;
  ScalingFit fit{*law, {}};
  const bool enough = std::all_of(
      groups.begin(), groups.end(),
      [](const auto& group) { return group.size() >= kFewestForTest; });
  if (enough) {
    fit.alpha = bootstrap(
        groups, [&](const Groups& drawn) { return exponent_of(sizes, drawn); },
        Resampling::kStratified, options);
  }
  return fit;
}

std::optional<Bootstrap> exponent_difference(std::span<const SizeRuns> first,
                                             std::span<const SizeRuns> second,
                                             const BootstrapOptions& options) {
  const std::vector<double> sizes = sizes_of(first);
  MUONLAB_CHECK(sizes == sizes_of(second),
                "scaling fit: the arms differ in their sizes");
  Groups groups = losses_of(first);
  for (const SizeRuns& size : second) groups.push_back(size.losses);
  for (const std::vector<double>& group : groups) {
    check_sample("scaling fit", group, kFewestForTest);
  }
  std::vector<std::size_t> strata(groups.size());
  for (std::size_t g = 0; g < groups.size(); ++g) strata[g] = g % sizes.size();
  const auto statistic = [&](const Groups& drawn) {
    const std::span<const std::vector<double>> all(drawn);
    return exponent_of(sizes, all.first(sizes.size())) -
           exponent_of(sizes, all.last(sizes.size()));
  };
  if (!std::isfinite(statistic(groups))) return std::nullopt;
  return bootstrap(groups, statistic, strata, options);
}

LogTrend trend_against_log(std::span<const double> sizes,
                           std::span<const double> values, double alpha) {
  MUONLAB_CHECK(sizes.size() == values.size(),
                "trend: points differ in number: got ", sizes.size(), " and ",
                values.size());
  check_sample("trend", sizes, 3);
  check_sample("trend", values, 3);
  check_alpha("trend", alpha);
  std::vector<double> x;
  for (const double size : sizes) {
    MUONLAB_CHECK(size > 0, "trend: size: got ", size,
                  ", expected a positive number");
    x.push_back(std::log(size));
  }
  MUONLAB_CHECK(std::set<double>(x.begin(), x.end()).size() >= 3,
                "trend: got fewer than three different sizes");
  const double center_x = mean(x);
  const double center_y = mean(values);
  double xx = 0;
  double xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - center_x) * (x[i] - center_x);
    xy += (x[i] - center_x) * (values[i] - center_y);
  }
  LogTrend trend;
  trend.slope = xy / xx;
  trend.intercept = center_y - trend.slope * center_x;
  trend.df = static_cast<double>(x.size() - 2);
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double residual =
        values[i] - center_y - trend.slope * (x[i] - center_x);
    squares += residual * residual;
  }
  const double deviation = std::sqrt(squares / trend.df);
  if (is_rounding(deviation, largest_magnitude(values))) return trend;
  const double error = deviation / std::sqrt(xx);
  const double half = t_quantile(1 - alpha / 2, trend.df) * error;
  trend.interval = Interval{trend.slope - half, trend.slope + half};
  trend.p = 2 * cdf(complement(boost::math::students_t(trend.df),
                               std::abs(trend.slope) / error));
  return trend;
}

}  // namespace muonlab::statistics
