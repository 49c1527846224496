// All combinations of an arm's values, with successive halving.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/study/search.h"
#include "muonlab/study/sweep_internal.h"

namespace muonlab::study {

namespace {

using detail::Key;
using detail::Outcome;
using detail::Sweep;

// The stages: each rung, the full length, then the extra trials one by one.
class GridSearch final : public Search {
 public:
  GridSearch(const ArmPlan& arm, const SearchPlan& how)
      : arm_(arm),
        how_(how),
        keys_(detail::keys_of(arm)),
        extras_left_(how.extensions) {
    std::vector<std::vector<double>> all = {{}};
    for (const Key& key : keys_) {
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
      candidates_.push_back(detail::trial_of(arm_, keys_, values));
      values_[candidates_.back()] = values;
    }
    ask_candidates();
  }

  std::vector<Trial> next() override {
    std::vector<Trial> trials;
    trials.swap(ready_);
    return trials;
  }

  void record(const Trial& trial, double loss, bool diverged) override {
    MUONLAB_CHECK(asked_.count(trial) != 0, "search: a result for rates ",
                  trial.hidden, ", ", trial.auxiliary,
                  " that were not asked for");
    outcomes_[trial] = {loss, diverged};
    while (!finished_ && outcomes_.size() == asked_.size()) advance();
  }

  [[nodiscard]] bool finished() const override { return finished_; }

  [[nodiscard]] Trial best() const override {
    const Trial* best = nullptr;
    for (const auto& [trial, outcome] : outcomes_) {
      if (trial.length != 1 || audits_.count(trial) != 0) continue;
      if (best == nullptr || outcome.loss < outcomes_.at(*best).loss) {
        best = &trial;
      }
    }
    MUONLAB_CHECK(best != nullptr, "search: arm '", arm_.name,
                  "' has no result yet");
    return *best;
  }

  [[nodiscard]] bool is_extension(const Trial& trial) const override {
    return extras_.count(trial) != 0;
  }
  [[nodiscard]] bool is_audit(const Trial& trial) const override {
    return audits_.count(trial) != 0;
  }
  [[nodiscard]] int trials() const override {
    return static_cast<int>(asked_.size());
  }

  [[nodiscard]] std::vector<RateSearch> summary() const override {
    std::vector<RateSearch> searches;
    const bool any =
        std::any_of(outcomes_.begin(), outcomes_.end(), [&](const auto& one) {
          return one.first.length == 1 && !is_audit(one.first);
        });
    if (!any) return searches;
    for (std::size_t k = 0; k < keys_.size(); ++k) {
      const Sweep points = line(k);
      std::vector<double> added;
      for (const Trial& extra : extras_) {
        const double value = values_.at(extra)[k];
        const auto& grid = keys_[k].grid;
        if (points.count(value) != 0 &&
            std::find(grid.begin(), grid.end(), value) == grid.end()) {
          added.push_back(value);
        }
      }
      searches.push_back(detail::summarize(keys_[k], points, added));
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
      const auto outcome = outcomes_.find(trial);
      if (there == values && outcome != outcomes_.end()) {
        found[values[k]] = outcome->second;
      }
    }
    return found;
  }

  void ask_candidates() {
    const double length = rung_ < how_.rungs.size() ? how_.rungs[rung_] : 1;
    for (Trial trial : candidates_) {
      trial.length = length;
      if (asked_.insert(trial).second) ready_.push_back(trial);
    }
  }

  void advance() {
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
      return outcomes_.at(trial).loss;
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
      if (asked_.insert(discarded_[i]).second) ready_.push_back(discarded_[i]);
    }
  }

  // On an edge of the first key that has one, else inside along the last key.
  void ask_extra() {
    std::size_t key = keys_.size() - 1;
    for (std::size_t k = 0; k < keys_.size(); ++k) {
      if (keys_[k].grid.size() > 1 && detail::on_edge(line(k))) {
        key = k;
        break;
      }
    }
    std::vector<double> values = values_.at(best());
    const double held = values[key];
    values[key] = detail::extra_value(line(key));
    Trial trial = detail::trial_of(arm_, keys_, values);
    // An audit may have been there.
    while (asked_.count(trial) != 0) {
      values[key] = detail::between(held, values[key]);
      trial = detail::trial_of(arm_, keys_, values);
    }
    values_[trial] = values;
    extras_.insert(trial);
    if (asked_.insert(trial).second) ready_.push_back(trial);
  }

  ArmPlan arm_;
  SearchPlan how_;
  std::vector<Key> keys_;
  std::int64_t extras_left_;
  std::size_t rung_ = 0;
  bool finished_ = false;
  std::vector<Trial> candidates_;                // that are still in
  std::vector<Trial> discarded_;                 // the last and best first
  std::map<Trial, std::vector<double>> values_;  // of full-length trials
  std::set<Trial> asked_;
  std::set<Trial> extras_;
  std::set<Trial> audits_;
  std::vector<Trial> ready_;
  std::map<Trial, Outcome> outcomes_;
};

}  // namespace

std::unique_ptr<Search> grid_search(const ArmPlan& arm, const SearchPlan& how) {
  return std::make_unique<GridSearch>(arm, how);
}

}  // namespace muonlab::study
