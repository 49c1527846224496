// What the conformance cases of each rule vary.
#pragma once

#include <string>
#include <vector>

#include "tests/reference/pairwise.h"

namespace muonlab::reference {

/// Values of the rule's options other than the defaults, each of which can be
/// tried alone. muon has all that the contract names; its relatives, which go
/// through the same slots, have some of each, other ones each.
[[nodiscard]] std::vector<Choice> choices_of(const std::string& rule);

/// `row` with what every case of the rule must say: where the default is not
/// comparable (bfloat16, clipping by logits), what to take for it.
[[nodiscard]] Options complete(const std::string& rule, const Options& row);

/// Whether a rule can be run with the options of a row: no option without
/// effect, no contradiction.
[[nodiscard]] bool is_allowed(const std::string& rule, const Options& row);

}  // namespace muonlab::reference
