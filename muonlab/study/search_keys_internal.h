// What an arm's search tried, along each of its keys.
#pragma once

#include <string>
#include <vector>

#include "muonlab/study/results.h"

namespace muonlab::study::detail {

/// Trials of one arm that differ in one key alone, ascending in it.
struct TrialLine {
  std::vector<double> held;  ///< values of everything else
  std::vector<const Cell*> cells;
  bool has_chosen = false;
};

/// A trial of the search that could be chosen: full length, no audit.
[[nodiscard]] bool competes(const Cell& cell);
/// The competing trial whose values the arm was given.
[[nodiscard]] bool is_chosen(const Cell& cell, const Arm& arm);
[[nodiscard]] const Cell* chosen_trial(const Results& results, const Arm& arm);

/// "hidden", "auxiliary" and "joint" are rates; a dotted key is not.
[[nodiscard]] bool is_rate(const std::string& key);
/// NaN where the cell has no such setting.
[[nodiscard]] double key_value(const Cell& cell, const std::string& key);
/// "hidden rate", "optim.weight_decay".
[[nodiscard]] std::string key_phrase(const std::string& key);
/// "search-hidden", "search-optim-weight-decay".
[[nodiscard]] std::string file_name(const std::string& prefix,
                                    const std::string& key);
/// The keys that any arm searched: the rates, then the others as they come.
[[nodiscard]] std::vector<std::string> searched_keys(const Results& results);
/// "rates 0.01 / 0.004, optim.weight_decay 0.1"; without `key` if it is given.
[[nodiscard]] std::string settings_phrase(const Cell& cell,
                                          const std::string& without = "");
/// "optim.weight_decay 0.1, ..."; kNone without settings.
[[nodiscard]] std::string settings_text(
    const std::vector<std::pair<std::string, double>>& settings);

/// Lines of two trials or more with a loss. Full length (audits included) with
/// `length` 1, else the rung of that length.
[[nodiscard]] std::vector<TrialLine> trial_lines(const Results& results,
                                                 const Arm& arm,
                                                 const std::string& key,
                                                 double length = 1);
/// The line that says most of a key: through the chosen trial when that has
/// three trials, else the longest. Null without lines.
[[nodiscard]] const TrialLine* main_line(const std::vector<TrialLine>& lines);

/// Lengths of the rungs, ascending.
[[nodiscard]] std::vector<double> rung_lengths(const Results& results);

}  // namespace muonlab::study::detail
