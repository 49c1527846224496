// What happens when a saved state meets a plan that is not the one it was
// saved under.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace muonlab::optim {

struct LoadOptions {
  /// Saved name to present name; one `*` on both sides stands for the same
  /// text: {"module.*", "*"}.
  std::vector<std::pair<std::string, std::string>> rename = {};
  /// Parameters that the state lacks start anew.
  bool allow_new = false;
  /// Parameters that the plan lacks are dropped.
  bool allow_dropped = false;
};

struct LoadReport {
  std::vector<std::string> renamed;  ///< "'old' is now 'new'"
  std::vector<std::string> moved;    ///< to another group
  std::vector<std::string> changed;  ///< rule or convention, and what was done
  std::vector<std::string> fresh;    ///< names without a saved state
  std::vector<std::string> dropped;  ///< names whose saved state has no taker
  /// One line for each; empty when the state fits as it is.
  [[nodiscard]] std::string text() const;
};

}  // namespace muonlab::optim
