// The conformance cases: inputs, options and what the twins make of them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/reference/pairwise.h"
#include "tests/reference/tolerance.h"

namespace muonlab::reference {

struct Case {
  std::string name;  ///< "muon/nesterov=false"
  Trajectory input;
  std::vector<std::size_t> steps_checked;  ///< from 1
  std::vector<Matrix> weights;             ///< after each of those
  Tolerance tolerance;
  std::string why;
};

struct RuleCases {
  std::vector<Case> cases;  ///< the rows of the covering last
  Covering covering;        ///< of the cases in which two choices meet
};

[[nodiscard]] RuleCases cases_of(const std::string& rule);

/// The published trajectories. Their weights are the ten digits printed, and
/// the tolerance in float64 is half a unit of the last one and some room.
[[nodiscard]] std::vector<Case> golden_cases();

}  // namespace muonlab::reference
