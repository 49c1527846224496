// The routing plan: which rule every parameter gets, and why.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "muonlab/formats/json.h"
#include "muonlab/linalg/roles.h"
#include "muonlab/optim/logical_matrix.h"
#include "muonlab/optim/presets.h"

namespace muonlab::optim {

/// Parameters that share options: one torch::optim parameter group.
struct Group {
  std::string name;  ///< "hidden", "auxiliary", or one of the user's
  GroupOptions options;
};

/// One parameter and its rule.
struct Route {
  std::string name;  ///< in the module tree; the key of its saved state
  at::Tensor parameter;
  Role role = Role::kMatrix;
  std::size_t group = 0;                ///< index into Plan::groups
  std::vector<LogicalMatrix> matrices;  ///< empty under an element-wise rule
  std::string why;
  /// requires_grad was false when the plan was made. In no group then; the
  /// rule is there for when the parameter thaws and is added to the optimizer.
  bool frozen = false;
};

struct Plan {
  std::vector<Group> groups;
  std::vector<Route> routes;
  /// Parameters that no rule will update, each with the reason: tied ones
  /// (updated under their first name) and frozen ones.
  std::vector<std::pair<std::string, std::string>> left_out;

  [[nodiscard]] const Group& group_of(const Route& route) const {
    return groups.at(route.group);
  }
};

/// What state and arithmetic of a parameter are in: float64 for float64, else
/// float32 (bfloat16 and float16 weights are rounded once, when written).
[[nodiscard]] at::ScalarType working_dtype(at::ScalarType parameter);

/// Bytes of optimizer state that a route holds after its first step.
[[nodiscard]] std::int64_t state_bytes(const Plan& plan, const Route& route);

/// One line per parameter: shape, role, rule, logical matrices, scale,
/// effective rate, decay per step, state bytes, why; then totals per group.
std::ostream& operator<<(std::ostream& out, const Plan& plan);

/// The same rows for programs: name, shape, role, rule, blocks, scale,
/// effective_lr (rate times scale, one per block; null where the step decides
/// the scale), effective_weight_decay (share of the weight removed per step),
/// state_bytes, why.
[[nodiscard]] formats::Json plan_json(const Plan& plan);

/// What differs between a plan and an expectation, which has the form of
/// plan_json(): one line each, empty when all is as expected. Compared are the
/// parameters, and for each the keys that the expectation has of name, shape,
/// role, rule, group, blocks, scale, effective_lr, effective_weight_decay; and
/// what is left out. Throws Error(kCorruptData) on another form.
[[nodiscard]] std::vector<std::string> differences(
    const Plan& plan, const formats::Json& expectation);

}  // namespace muonlab::optim
