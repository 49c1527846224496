#include "muonlab/core/error.h"
#include "muonlab/study/recorded_search_internal.h"

namespace muonlab::study::detail {

std::vector<Trial> RecordedSearch::next() {
  std::vector<Trial> trials;
  trials.swap(ready_);
  return trials;
}

void RecordedSearch::record(const Trial& trial, double loss, bool diverged) {
  MUONLAB_CHECK(was_asked(trial), "search: a result for rates ", trial.hidden,
                ", ", trial.auxiliary, " that were not asked for");
  outcomes_[trial] = {loss, diverged};
  while (!finished_ && outcomes_.size() == asked_.size()) advance();
}

bool RecordedSearch::ask(const Trial& trial) {
  if (!asked_.insert(trial).second) return false;
  ready_.push_back(trial);
  return true;
}

const Outcome* RecordedSearch::outcome(const Trial& trial) const {
  const auto found = outcomes_.find(trial);
  return found == outcomes_.end() ? nullptr : &found->second;
}

}  // namespace muonlab::study::detail
