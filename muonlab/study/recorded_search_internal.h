// What every search keeps: the trials it handed out and what came of them.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "muonlab/study/search.h"
#include "muonlab/study/sweep_internal.h"

namespace muonlab::study::detail {

/// Whoever derives asks for trials and decides, whenever all of them have their
/// results, what comes next.
class RecordedSearch : public Search {
 public:
  explicit RecordedSearch(const ArmPlan& arm)
      : arm_(arm), keys_(keys_of(arm)) {}

  std::vector<Trial> next() final;
  void record(const Trial& trial, double loss, bool diverged) final;
  [[nodiscard]] bool finished() const final { return finished_; }
  [[nodiscard]] bool is_extension(const Trial& trial) const final {
    return extras_.count(trial) != 0;
  }
  [[nodiscard]] int trials() const final {
    return static_cast<int>(asked_.size());
  }

 protected:
  /// Called when every trial handed out has its result, until it asks for more
  /// or sets finished_.
  virtual void advance() = 0;
  /// False when it was handed out before.
  bool ask(const Trial& trial);
  [[nodiscard]] const ArmPlan& arm() const { return arm_; }
  [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }
  [[nodiscard]] bool was_asked(const Trial& trial) const {
    return asked_.count(trial) != 0;
  }
  /// Nothing for a trial without a result yet.
  [[nodiscard]] const Outcome* outcome(const Trial& trial) const;
  [[nodiscard]] const std::map<Trial, Outcome>& outcomes() const {
    return outcomes_;
  }

  bool finished_ = false;
  std::set<Trial> extras_;

 private:
  ArmPlan arm_;
  std::vector<Key> keys_;
  std::set<Trial> asked_;
  std::vector<Trial> ready_;
  std::map<Trial, Outcome> outcomes_;
};

}  // namespace muonlab::study::detail
