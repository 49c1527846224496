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
};

struct RouteOptions {
  GroupOptions hidden = muon();      ///< matrices and conv kernels
  GroupOptions auxiliary = adamw();  ///< embeddings, heads, gains, biases
  std::vector<RoleOverride> overrides;
};

/// Finds each parameter's role, in this order: an override; what its module
/// declares (DeclaresRoles); the type of a LibTorch module (Linear weight:
/// matrix; an output layer must be named by an override, Conv: kernel,
/// Embedding: embedding, LayerNorm, GroupNorm, BatchNorm weight: gain, their
/// biases: bias). Tied parameters are routed once, under their first name.
///
/// Throws Error(kInvalidArgument): a parameter whose role is unknown, an
/// override that matches nothing, two overrides that disagree, a complex or
/// integer parameter, a declared role of a parameter that does not exist.
/// Frozen parameters (requires_grad false) go to Plan::left_out, which the
/// printed plan lists.
[[nodiscard]] Plan route(const torch::nn::Module& model,
                         const RouteOptions& options);

/// For a model whose auxiliary parameters take AdamW's defaults.
[[nodiscard]] Plan route(const torch::nn::Module& model,
                         const GroupOptions& hidden,
                         const GroupOptions& auxiliary = adamw());

}  // namespace muonlab::optim
