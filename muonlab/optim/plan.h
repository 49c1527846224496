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
#include "muonlab/optim/matrix_rule.h"
#include "muonlab/optim/presets.h"

namespace muonlab::optim {

/// Parameters that share options: one torch::optim parameter group.
struct Group {
  std::string name;  ///< "hidden", "auxiliary"
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
};

struct Plan {
  std::vector<Group> groups;
  std::vector<Route> routes;
  /// Parameters that no rule will update, each with the reason.
  std::vector<std::pair<std::string, std::string>> left_out;

  [[nodiscard]] const Group& group_of(const Route& route) const {
    return groups.at(route.group);
  }
};

/// Bytes of optimizer state that a route holds after its first step.
[[nodiscard]] std::int64_t state_bytes(const Plan& plan, const Route& route);

/// One line per parameter: shape, role, rule, logical matrices, scale,
/// effective rate, decay per step, state bytes, why; then totals per group.
std::ostream& operator<<(std::ostream& out, const Plan& plan);

/// The same rows for programs: name, shape, role, rule, blocks, scale,
/// effective_lr (rate times scale, one per block), effective_weight_decay
/// (share of the weight removed per step), state_bytes, why.
[[nodiscard]] formats::Json plan_json(const Plan& plan);

}  // namespace muonlab::optim
