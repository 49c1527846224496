#include "muonlab/statistics/speedup.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "muonlab/core/error.h"
#include "muonlab/statistics/power_law.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/statistics/sample_internal.h"

namespace muonlab::statistics {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<HorizonRuns> sorted_runs(std::span<const HorizonRuns> runs,
                                     const char* who) {
  std::vector<HorizonRuns> sorted(runs.begin(), runs.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const HorizonRuns& a, const HorizonRuns& b) {
              return a.horizon < b.horizon;
            });
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double horizon = sorted[i].horizon;
    MUONLAB_CHECK(horizon > 0 && std::isfinite(horizon), "data speed-up: ", who,
                  ": horizon: got ", horizon, ", expected a positive number");
    MUONLAB_CHECK(i == 0 || horizon > sorted[i - 1].horizon,
                  "data speed-up: ", who, ": horizon ", horizon,
                  " is given twice");
    check_sample("data speed-up", sorted[i].losses, 1);
  }
  return sorted;
}

struct Inverse {
  std::optional<double> horizon;
  bool undetermined = false;
};

// The reference's curve, turned round: from a loss to a horizon.
class ReferenceCurve {
 public:
  ReferenceCurve(std::span<const double> horizons,
                 std::span<const double> losses)
      : horizons_(horizons.begin(), horizons.end()),
        losses_(losses.begin(), losses.end()) {
    for (std::size_t i = 1; i < losses_.size(); ++i) {
      falls_ = falls_ && losses_[i] < losses_[i - 1];
    }
    if (falls_ && horizons_.size() >= kFewestForPowerLaw) {
      law_ = fit_power_law(horizons_, losses_);
    }
  }

  [[nodiscard]] bool falls() const { return falls_; }

  [[nodiscard]] Inverse inverse(double loss) const {
    if (law_) return {law_->inverse(loss), !law_->determined()};
    if (!falls_) return {};
    // The segment that holds the loss, or the end one, prolonged.
    std::size_t i = 1;
    while (i + 1 < losses_.size() && loss < losses_[i]) ++i;
    const double share =
        (losses_[i - 1] - loss) / (losses_[i - 1] - losses_[i]);
    return {std::exp(
        std::lerp(std::log(horizons_[i - 1]), std::log(horizons_[i]), share))};
  }

 private:
  std::vector<double> horizons_;
  std::vector<double> losses_;
  bool falls_ = true;
  std::optional<PowerLaw> law_;
};

std::vector<double> means_of(const Groups& groups, std::size_t first,
                             std::size_t count) {
  std::vector<double> means;
  for (std::size_t g = 0; g < count; ++g) {
    means.push_back(mean(groups[first + g]));
  }
  return means;
}

// The reference's cells first, then the arm's one cell.
std::optional<Bootstrap> over_seeds(const Groups& groups,
                                    std::span<const double> horizons,
                                    double horizon,
                                    const BootstrapOptions& options) {
  const std::size_t seeds = groups.front().size();
  for (const std::vector<double>& group : groups) {
    if (group.size() != seeds) return std::nullopt;
  }
  if (seeds < kFewestForTest) return std::nullopt;
  const auto statistic = [&](const Groups& drawn) {
    const ReferenceCurve curve(horizons, means_of(drawn, 0, horizons.size()));
    const auto found = curve.inverse(mean(drawn.back())).horizon;
    return found ? *found / horizon : kNan;
  };
  return bootstrap(groups, statistic, Resampling::kPaired, options);
}

}  // namespace

std::vector<DataSpeedup> data_speedup(std::span<const HorizonRuns> reference,
                                      std::span<const HorizonRuns> arm,
                                      const BootstrapOptions& options) {
  const auto cells = sorted_runs(reference, "reference");
  MUONLAB_CHECK(cells.size() >= 2, "data speed-up: reference: got ",
                cells.size(), " horizons, expected two or more");
  Groups groups;
  std::vector<double> horizons;
  for (const HorizonRuns& cell : cells) {
    horizons.push_back(cell.horizon);
    groups.push_back(cell.losses);
  }
  const ReferenceCurve curve(horizons, means_of(groups, 0, groups.size()));
  MUONLAB_CHECK(curve.falls(),
                "data speed-up: the reference's mean losses do not fall with "
                "the horizon: more seeds or better tuned cells are needed");
  std::vector<DataSpeedup> results;
  for (const HorizonRuns& cell : sorted_runs(arm, "arm")) {
    const Inverse found = curve.inverse(mean(cell.losses));
    DataSpeedup result;
    result.horizon = cell.horizon;
    result.method = cells.size() >= kFewestForPowerLaw
                        ? SpeedupMethod::kPowerLaw
                        : SpeedupMethod::kInterpolated;
    result.undetermined = found.undetermined;
    result.reference_horizon = found.horizon;
    // No horizon is enough: as far outside as can be.
    result.extrapolated = !found.horizon || *found.horizon < horizons.front() ||
                          *found.horizon > horizons.back();
    if (found.horizon) {
      result.speedup = *found.horizon / cell.horizon;
      Groups drawn = groups;
      drawn.push_back(cell.losses);
      result.bootstrap = over_seeds(drawn, horizons, cell.horizon, options);
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace muonlab::statistics
