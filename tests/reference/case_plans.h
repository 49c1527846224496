// Which conformance cases each rule has.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/reference/case_inputs.h"
#include "tests/reference/pairwise.h"

namespace muonlab::reference {

/// What is special about the gradients.
enum class Gradients {
  kRandom,
  kRankOne,
  kHuge,         ///< 1e15
  kTiny,         ///< 1e-20
  kZeroRow,      ///< in each of them
  kZeroFirst,    ///< the first one is zero
  kZeroMiddle,   ///< the second one is
  kEqualSlices,  ///< all rows of one sum of magnitudes
};

struct Plan {
  std::string name;
  Options options;
  Shape shape;
  std::vector<std::size_t> steps_checked;
  std::string why;
  Gradients gradients = Gradients::kRandom;
};

/// The defaults in several shapes, special gradients, each choice alone, and
/// the rows of the covering last.
[[nodiscard]] std::vector<Plan> plans_of(const std::string& rule,
                                         const std::vector<Choice>& choices,
                                         const Covering& covering);

}  // namespace muonlab::reference
