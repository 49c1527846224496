// From a module tree to a routing plan.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "muonlab/optim/plan.h"

namespace torch::nn {
class Module;
}

namespace muonlab::optim {

/// Gives the parameters whose name matches `pattern` another role. `*` stands
/// for any run of characters, dots included.
struct RoleOverride {
  std::string pattern;
  Role role = Role::kMatrix;
  /// Not set: the blocks that the parameter's module declares.
  std::optional<std::vector<RowBlock>> blocks = std::nullopt;
};

/// Gives the parameters whose name matches `pattern` a group of their own. What
/// it does not set comes from `hidden` or `auxiliary`, by the parameter's role.
struct GroupRoute {
  std::string name;
  std::string pattern;
  GroupOverrides overrides;
};

struct RouteOptions {
  GroupOptions hidden = muon();      ///< matrices, conv kernels, expert stacks
  GroupOptions auxiliary = adamw();  ///< embeddings, heads, gains, biases
  std::vector<RoleOverride> overrides = {};
  std::vector<GroupRoute> groups = {};
};

/// Finds each parameter's role, in this order: an override; what its module
/// declares (DeclaresRoles); the type of a LibTorch module (Linear weight:
/// matrix; an output layer must be named by an override, Conv: kernel,
/// Embedding: embedding, LayerNorm, GroupNorm, BatchNorm weight: gain, their
/// biases: bias). Tied parameters are routed once, under their first name.
///
/// Throws Error(kInvalidArgument): a parameter whose role is unknown, an
/// override or group that matches nothing, two overrides that disagree, two
/// groups for one parameter, a complex or integer parameter, a declared role of
/// a parameter that does not exist. Frozen parameters (requires_grad false) go
/// to Plan::left_out, which the printed plan lists; their route is kept for
/// when they thaw.
[[nodiscard]] Plan route(const torch::nn::Module& model,
                         const RouteOptions& options);

/// The names and what each is, for models that are described and not built:
/// the same plan, and the same errors, as for a module that declares these.
struct DescribedParameter {
  std::string name;
  at::Tensor parameter;
  Role role = Role::kMatrix;
  std::vector<RowBlock> blocks;
};
[[nodiscard]] Plan route(const std::vector<DescribedParameter>& parameters,
                         const RouteOptions& options);

/// For a model whose auxiliary parameters take AdamW's defaults.
[[nodiscard]] Plan route(const torch::nn::Module& model,
                         const GroupOptions& hidden,
                         const GroupOptions& auxiliary = adamw());

}  // namespace muonlab::optim
