// One key after the other, the others held.
#include <algorithm>
#include <iterator>
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

class CoordinateSearch final : public Search {
 public:
  CoordinateSearch(const ArmPlan& arm, const SearchPlan& how)
      : arm_(arm),
        how_(how),
        keys_(detail::keys_of(arm)),
        extras_left_(how.extensions) {
    for (const Key& key : keys_) held_.push_back(key.grid.front());
    at_sweep_.assign(keys_.size(), {});
    ask(keys_.front().grid);
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
    MUONLAB_CHECK(!outcomes_.empty(), "search: arm '", arm_.name,
                  "' has no result yet");
    // With a threshold what is held decides, not a loss lower by less.
    if (finished_ && how_.threshold > 0) {
      return detail::trial_of(arm_, keys_, held_);
    }
    return std::min_element(outcomes_.begin(), outcomes_.end(),
                            [](const auto& a, const auto& b) {
                              return a.second.loss < b.second.loss;
                            })
        ->first;
  }

  [[nodiscard]] bool is_extension(const Trial& trial) const override {
    return extras_.count(trial) != 0;
  }
  [[nodiscard]] bool is_audit(const Trial&) const override { return false; }
  [[nodiscard]] int trials() const override {
    return static_cast<int>(asked_.size());
  }

  [[nodiscard]] std::vector<RateSearch> summary() const override {
    std::vector<RateSearch> searches;
    for (std::size_t k = 0; k < keys_.size(); ++k) {
      // A key whose turn has not come was swept nowhere.
      if (pass_ == 0 && k > key_) break;
      const std::vector<double>& at = k == key_ ? held_ : at_sweep_[k];
      const Sweep points = sweep(k, at);
      if (points.empty()) continue;
      std::vector<double> added;
      for (const auto& [value, outcome] : points) {
        if (extras_.count(trial_at(k, value, at)) != 0) added.push_back(value);
      }
      searches.push_back(detail::summarize(keys_[k], points, added));
    }
    return searches;
  }

 private:
  [[nodiscard]] Trial trial_at(std::size_t key, double value,
                               std::vector<double> at) const {
    at[key] = value;
    return detail::trial_of(arm_, keys_, at);
  }

  // Results along `key` through the values `at`.
  [[nodiscard]] Sweep sweep(std::size_t key,
                            const std::vector<double>& at) const {
    std::set<double> values(keys_[key].grid.begin(), keys_[key].grid.end());
    values.insert(extra_values_.begin(), extra_values_.end());
    Sweep found;
    for (const double value : values) {
      const auto outcome = outcomes_.find(trial_at(key, value, at));
      if (outcome != outcomes_.end()) found[value] = outcome->second;
    }
    return found;
  }

  void ask(const std::vector<double>& values) {
    for (const double value : values) {
      const Trial trial = trial_at(key_, value, held_);
      if (asked_.insert(trial).second) ready_.push_back(trial);
    }
  }

  // Every trial handed out has its result: what comes next?
  void advance() {
    const Sweep points = sweep(key_, held_);
    const bool edge = detail::on_edge(points);
    const bool last = key_ + 1 == keys_.size() && pass_ + 1 >= how_.passes;
    if (extras_left_ > 0 && (edge || last)) {
      --extras_left_;
      const double value = detail::extra_value(points);
      extra_values_.insert(value);
      extras_.insert(trial_at(key_, value, held_));
      ask({value});
      return;
    }
    at_sweep_[key_] = held_;
    settle(points);
    if (last) {
      finished_ = true;
      return;
    }
    key_ = key_ + 1 == keys_.size() ? 0 : key_ + 1;
    if (key_ == 0) ++pass_;
    ask(pass_ == 0 ? keys_[key_].grid : neighbours());
  }

  // The first key's first value is no choice that anything could stick to.
  void settle(const Sweep& points) {
    const double best = detail::best_value(points);
    const auto held = points.find(held_[key_]);
    const bool free = held == points.end() || (key_ == 0 && pass_ == 0);
    if (free || points.at(best).loss < held->second.loss - how_.threshold) {
      held_[key_] = best;
    }
  }

  // The tried values beside the held one, and beyond it at an end.
  [[nodiscard]] std::vector<double> neighbours() const {
    std::set<double> values(keys_[key_].grid.begin(), keys_[key_].grid.end());
    values.insert(held_[key_]);
    const auto place = values.find(held_[key_]);
    std::vector<double> beside = {held_[key_]};
    if (place != values.begin()) beside.push_back(*std::prev(place));
    if (std::next(place) != values.end()) beside.push_back(*std::next(place));
    return beside;
  }

  ArmPlan arm_;
  SearchPlan how_;
  std::vector<Key> keys_;
  std::int64_t extras_left_;
  std::size_t key_ = 0;    // whose turn it is
  std::int64_t pass_ = 0;  // turns through all keys
  bool finished_ = false;
  std::vector<double> held_;                   // of each key
  std::vector<std::vector<double>> at_sweep_;  // held while a key was swept
  std::set<Trial> asked_;
  std::set<Trial> extras_;
  std::set<double> extra_values_;
  std::vector<Trial> ready_;
  std::map<Trial, Outcome> outcomes_;
};

}  // namespace

std::unique_ptr<Search> coordinate_search(const ArmPlan& arm,
                                          const SearchPlan& how) {
  return std::make_unique<CoordinateSearch>(arm, how);
}

}  // namespace muonlab::study
