// Sets of cases in which any two choices meet.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/reference/replay.h"

namespace muonlab::reference {

/// One value of one option that is not its default, with the other options
/// that it needs to make sense.
struct Choice {
  std::string option;
  Options values;  ///< `option` and those others
  /// Tried alone only, not with the others.
  bool alone = false;
};

/// "direction=power,rho=0.5", the option itself first.
[[nodiscard]] std::string choice_name(const Choice& choice);

struct Covering {
  std::vector<Options> rows;
  std::size_t choices = 0;
  std::size_t pairs = 0;      ///< of choices for different options
  std::size_t forbidden = 0;  ///< of those: what no row may hold
};

/// Greedy: rows such that any two choices that are allowed together occur
/// together in one of them. `allowed` says whether a rule can be run with the
/// options of a row.
[[nodiscard]] Covering cover_pairs(
    const std::vector<Choice>& choices,
    const std::function<bool(const Options&)>& allowed);

}  // namespace muonlab::reference
