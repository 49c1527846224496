// All combinations of an arm's values, with successive halving.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/study/recorded_search_internal.h"

namespace muonlab::study {

namespace {

using detail::Key;
using detail::Outcome;
using detail::Sweep;

// The stages: each rung, the full length, then the extra trials one by one.
class GridSearch final : public detail::RecordedSearch {
 public:
  GridSearch(const ArmPlan& arm, const SearchPlan& how)
      : RecordedSearch(arm), how_(how), extras_left_(how.extensions) {
    std::vector<std::vector<double>> all = {{}};
    for (const Key& key : keys()) {
      std::vector<std::vector<double>> longer;
      for (const auto& values : all) {
        for (const double value : key.grid) {
          longer.push_back(values);
          longer.back().push_back(value);
        }
      }
      all = std::move(longer);
    }
    for (const auto& values : all) {
      candidates_.push_back(detail::trial_of(arm, keys(), values));
      values_[candidates_.back()] = values;
    }
    ask_candidates();
  }

  [[nodiscard]] Trial best() const override {
    const Trial* best = nullptr;
    for (const auto& [trial, outcome] : outcomes()) {
      if (trial.length != 1 || audits_.count(trial) != 0) continue;
      if (best == nullptr || outcome.loss < outcomes().at(*best).loss) {
        best = &trial;
      }
    }
    MUONLAB_CHECK(best != nullptr, "search: arm '", arm().name,
                  "' has no result yet");
    return *best;
  }

  [[nodiscard]] bool is_audit(const Trial& trial) const override {
    return audits_.count(trial) != 0;
  }
  [[nodiscard]] std::vector<RateSearch> summary() const override {
    std::vector<RateSearch> searches;
    const bool any =
        std::any_of(outcomes().begin(), outcomes().end(), [&](const auto& one) {
          return one.first.length == 1 && !is_audit(one.first);
        });
    if (!any) return searches;
    for (std::size_t k = 0; k < keys().size(); ++k) {
      const Sweep points = line(k);
      std::vector<double> added;
      for (const Trial& extra : extras_) {
        const double value = values_.at(extra)[k];
        const auto& grid = keys()[k].grid;
        if (points.count(value) != 0 &&
            std::find(grid.begin(), grid.end(), value) == grid.end()) {
          added.push_back(value);
        }
      }
      searches.push_back(detail::summarize(keys()[k], points, added));
    }
    return searches;
  }

 private:
  // Full-length results along key `k` through the best trial.
  [[nodiscard]] Sweep line(std::size_t k) const {
    const std::vector<double>& through = values_.at(best());
    Sweep found;
    for (const auto& [trial, values] : values_) {
      if (audits_.count(trial) != 0) continue;  // not to be chosen
      std::vector<double> there = through;
      there[k] = values[k];
      const Outcome* result = outcome(trial);
      if (there == values && result != nullptr) found[values[k]] = *result;
    }
    return found;
  }

  void ask_candidates() {
    const double length = rung_ < how_.rungs.size() ? how_.rungs[rung_] : 1;
    for (Trial trial : candidates_) {
      trial.length = length;
      ask(trial);
    }
  }

  void advance() override {
    if (rung_ < how_.rungs.size()) {
      halve();
      ++rung_;
      ask_candidates();
      if (rung_ == how_.rungs.size()) ask_audits();
      return;
    }
    if (extras_left_ > 0) {
      --extras_left_;
      ask_extra();
      return;
    }
    finished_ = true;
  }

  // Keeps the better candidates of the rung that just ended.
  void halve() {
    const auto loss_of = [&](Trial trial) {
      trial.length = how_.rungs[rung_];
      return outcomes().at(trial).loss;
    };
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [&](const Trial& a, const Trial& b) {
                       return loss_of(a) < loss_of(b);
                     });
    const auto kept = static_cast<std::size_t>(
        std::ceil(how_.keep * static_cast<double>(candidates_.size())));
    // The best of the discarded first: they are the likeliest mistakes.
    discarded_.insert(discarded_.begin(),
                      candidates_.begin() + static_cast<std::ptrdiff_t>(kept),
                      candidates_.end());
    candidates_.resize(kept);
  }

  void ask_audits() {
    const auto count = std::min<std::size_t>(
        discarded_.size(), static_cast<std::size_t>(how_.audit));
    for (std::size_t i = 0; i < count; ++i) {
      audits_.insert(discarded_[i]);
      ask(discarded_[i]);
    }
  }

  // On an edge of the first key that has one, else inside along the last key.
  void ask_extra() {
    std::size_t key = keys().size() - 1;
    for (std::size_t k = 0; k < keys().size(); ++k) {
      if (keys()[k].grid.size() > 1 && detail::on_edge(line(k))) {
        key = k;
        break;
      }
    }
    std::vector<double> values = values_.at(best());
    const double held = values[key];
    values[key] = detail::extra_value(line(key));
    Trial trial = detail::trial_of(arm(), keys(), values);
    // An audit may have been there.
    while (was_asked(trial)) {
      values[key] = detail::between(held, values[key]);
      trial = detail::trial_of(arm(), keys(), values);
    }
    values_[trial] = values;
    extras_.insert(trial);
    ask(trial);
  }

  SearchPlan how_;
  std::int64_t extras_left_;
  std::size_t rung_ = 0;
  std::vector<Trial> candidates_;                // that are still in
  std::vector<Trial> discarded_;                 // the last and best first
  std::map<Trial, std::vector<double>> values_;  // of full-length trials
  std::set<Trial> audits_;
};

}  // namespace

std::unique_ptr<Search> grid_search(const ArmPlan& arm, const SearchPlan& how) {
  return std::make_unique<GridSearch>(arm, how);
}

}  // namespace muonlab::study
