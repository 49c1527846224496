// One key after the other, the others held.
#include <algorithm>
#include <iterator>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/study/recorded_search_internal.h"

namespace muonlab::study {

namespace {

using detail::Key;
using detail::Outcome;
using detail::Sweep;

class CoordinateSearch final : public detail::RecordedSearch {
 public:
  CoordinateSearch(const ArmPlan& arm, const SearchPlan& how)
      : RecordedSearch(arm), how_(how), extras_left_(how.extensions) {
    for (const Key& key : keys()) held_.push_back(key.grid.front());
    at_sweep_.assign(keys().size(), {});
    ask_along(keys().front().grid);
  }

  [[nodiscard]] Trial best() const override {
    MUONLAB_CHECK(!outcomes().empty(), "search: arm '", arm().name,
                  "' has no result yet");
    // With a threshold what is held decides, not a loss lower by less.
    if (finished_ && how_.threshold > 0) {
      return detail::trial_of(arm(), keys(), held_);
    }
    return std::min_element(outcomes().begin(), outcomes().end(),
                            [](const auto& a, const auto& b) {
                              return a.second.loss < b.second.loss;
                            })
        ->first;
  }

  [[nodiscard]] bool is_audit(const Trial&) const override { return false; }
  [[nodiscard]] std::vector<RateSearch> summary() const override {
    std::vector<RateSearch> searches;
    for (std::size_t k = 0; k < keys().size(); ++k) {
      // A key whose turn has not come was swept nowhere.
      if (pass_ == 0 && k > key_) break;
      const std::vector<double>& at = k == key_ ? held_ : at_sweep_[k];
      const Sweep points = sweep(k, at);
      if (points.empty()) continue;
      std::vector<double> added;
      for (const auto& [value, outcome] : points) {
        if (extras_.count(trial_at(k, value, at)) != 0) added.push_back(value);
      }
      searches.push_back(detail::summarize(keys()[k], points, added));
    }
    return searches;
  }

 private:
  [[nodiscard]] Trial trial_at(std::size_t key, double value,
                               std::vector<double> at) const {
    at[key] = value;
    return detail::trial_of(arm(), keys(), at);
  }

  // Results along `key` through the values `at`.
  [[nodiscard]] Sweep sweep(std::size_t key,
                            const std::vector<double>& at) const {
    std::set<double> values(keys()[key].grid.begin(), keys()[key].grid.end());
    values.insert(extra_values_.begin(), extra_values_.end());
    Sweep found;
    for (const double value : values) {
      const Outcome* result = outcome(trial_at(key, value, at));
      if (result != nullptr) found[value] = *result;
    }
    return found;
  }

  void ask_along(const std::vector<double>& values) {
    for (const double value : values) ask(trial_at(key_, value, held_));
  }

  // Every trial handed out has its result: what comes next?
  void advance() override {
    const Sweep points = sweep(key_, held_);
    const bool edge = detail::on_edge(points);
    const bool last = key_ + 1 == keys().size() && pass_ + 1 >= how_.passes;
    if (extras_left_ > 0 && (edge || last)) {
      --extras_left_;
      const double value = detail::extra_value(points);
      extra_values_.insert(value);
      extras_.insert(trial_at(key_, value, held_));
      ask_along({value});
      return;
    }
    at_sweep_[key_] = held_;
    settle(points);
    if (last) {
      finished_ = true;
      return;
    }
    key_ = key_ + 1 == keys().size() ? 0 : key_ + 1;
    if (key_ == 0) ++pass_;
    ask_along(pass_ == 0 ? keys()[key_].grid : neighbours());
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
    std::set<double> values(keys()[key_].grid.begin(), keys()[key_].grid.end());
    values.insert(held_[key_]);
    const auto place = values.find(held_[key_]);
    std::vector<double> beside = {held_[key_]};
    if (place != values.begin()) beside.push_back(*std::prev(place));
    if (std::next(place) != values.end()) beside.push_back(*std::next(place));
    return beside;
  }

  SearchPlan how_;
  std::int64_t extras_left_;
  std::size_t key_ = 0;                        // whose turn it is
  std::int64_t pass_ = 0;                      // turns through all keys
  std::vector<double> held_;                   // of each key
  std::vector<std::vector<double>> at_sweep_;  // held while a key was swept
  std::set<double> extra_values_;
};

}  // namespace

std::unique_ptr<Search> coordinate_search(const ArmPlan& arm,
                                          const SearchPlan& how) {
  return std::make_unique<CoordinateSearch>(arm, how);
}

}  // namespace muonlab::study
