#include "muonlab/optim/route.h"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <algorithm>
#include <map>

#include "muonlab/core/error.h"

namespace muonlab::optim {

namespace {

struct Found {
  Role role;
  std::vector<RowBlock> blocks;
  std::string why;
};

// Glob with `*` only. Linear in the text for the patterns that people write.
bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*') {
    for (std::size_t skip = 0; skip <= name.size(); ++skip) {
      if (matches(pattern.substr(1), name.substr(skip))) return true;
    }
    return false;
  }
  return !name.empty() && name.front() == pattern.front() &&
         matches(pattern.substr(1), name.substr(1));
}

template <typename... Types>
bool is_any(const torch::nn::Module& module) {
  return ((dynamic_cast<const Types*>(&module) != nullptr) || ...);
}

std::optional<Found> from_type(const torch::nn::Module& module,
                               const std::string& local) {
  using namespace torch::nn;
  const bool weight = local == "weight";
  const auto found = [&](Role role, const char* type) {
    return Found{
        local == "bias" ? Role::kBias : role, {}, concat(type, " ", local)};
  };
  if (!weight && local != "bias") return std::nullopt;
  if (is_any<LinearImpl>(module)) {
    // Nothing in the tree tells an output layer from a hidden one.
    return Found{weight ? Role::kMatrix : Role::kBias,
                 {},
                 weight
                     ? "Linear weight, taken as hidden; name an output layer "
                       "by a RoleOverride"
                     : "Linear bias"};
  }
  if (is_any<Conv1dImpl, Conv2dImpl, Conv3dImpl>(module)) {
    return found(Role::kConvKernel, "Conv");
  }
  if (is_any<EmbeddingImpl>(module))
    return found(Role::kEmbedding, "Embedding");
  if (is_any<LayerNormImpl, GroupNormImpl, BatchNorm1dImpl, BatchNorm2dImpl,
             BatchNorm3dImpl>(module)) {
    return found(Role::kGain, "normalisation");
  }
  return std::nullopt;
}

// Declared and type-derived roles of one module's own parameters.
void collect(const std::string& prefix, const torch::nn::Module& module,
             std::map<std::string, Found>& found) {
  std::vector<std::string> locals;
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    locals.push_back(item.key());
    if (auto role = from_type(module, item.key())) {
      found.emplace(prefix + item.key(), *role);
    }
  }
  const auto* declares = dynamic_cast<const DeclaresRoles*>(&module);
  if (declares == nullptr) return;
  for (const ParameterDeclaration& d : declares->declared_roles()) {
    MUONLAB_CHECK(
        std::find(locals.begin(), locals.end(), d.name) != locals.end(),
        "route: module '", prefix, "' declares parameter '", d.name,
        "', which it does not have");
    found[prefix + d.name] = {d.role, d.blocks, "declared by its module"};
  }
}

void apply_overrides(const std::vector<RoleOverride>& overrides,
                     const std::vector<std::string>& names,
                     std::map<std::string, Found>& found) {
  std::map<std::string, std::string>
      by;  // parameter -> pattern that claimed it
  for (const RoleOverride& override_ : overrides) {
    bool any = false;
    for (const std::string& name : names) {
      if (!matches(override_.pattern, name)) continue;
      any = true;
      const auto [place, fresh] = by.emplace(name, override_.pattern);
      MUONLAB_CHECK(fresh || found.at(name).role == override_.role,
                    "route: parameter '", name, "': patterns '", place->second,
                    "' and '", override_.pattern, "' give it different roles");
      auto blocks = found.count(name) != 0 ? found.at(name).blocks
                                           : std::vector<RowBlock>{};
      found[name] = {override_.role, std::move(blocks),
                     concat("override '", override_.pattern, "'")};
    }
    MUONLAB_CHECK(any, "route: pattern '", override_.pattern,
                  "' matches no parameter");
  }
}

bool is_hidden(Role role) {
  return role == Role::kMatrix || role == Role::kConvKernel;
}

}  // namespace

Plan route(const torch::nn::Module& model, const RouteOptions& options) {
  validate(options.hidden, "hidden");
  validate(options.auxiliary, "auxiliary");
  std::map<std::string, Found> found;
  collect("", model, found);
  for (const auto& item : model.named_modules("", /*include_self=*/false)) {
    collect(item.key() + ".", *item.value(), found);
  }
  std::vector<std::string> names;
  for (const auto& item : model.named_parameters()) names.push_back(item.key());
  apply_overrides(options.overrides, names, found);

  Plan plan{
      .groups = {{"hidden", options.hidden}, {"auxiliary", options.auxiliary}},
      .routes = {},
      .left_out = {}};
  std::map<const void*, std::string> seen;  // tied parameters, by identity
  for (const auto& item : model.named_parameters()) {
    const std::string& name = item.key();
    const at::Tensor& parameter = item.value();
    const auto [first, fresh] =
        seen.emplace(parameter.unsafeGetTensorImpl(), name);
    if (!fresh) {
      plan.left_out.emplace_back(name, "tied to '" + first->second + "'");
      continue;
    }
    if (!parameter.requires_grad()) {
      plan.left_out.emplace_back(name, "frozen (requires_grad is false)");
      continue;
    }
    MUONLAB_CHECK(parameter.is_floating_point(), "route: parameter '", name,
                  "': got dtype ", parameter.dtype().name(),
                  ", expected a real floating point type");
    const auto role = found.find(name);
    if (role == found.end()) {
      throw Error(ErrorKind::kInvalidArgument,
                  concat("route: parameter '", name, "' of shape ",
                         parameter.sizes(), ": its role is unknown"),
                  "let its module derive from muonlab::DeclaresRoles, or add a "
                  "RoleOverride for its name");
    }
    Route route{.name = name,
                .parameter = parameter,
                .role = role->second.role,
                .group = is_hidden(role->second.role) ? std::size_t{0} : 1,
                .matrices = {},
                .why = role->second.why};
    if (std::holds_alternative<MatrixRule>(
            plan.group_of(route).options.update())) {
      const auto type = parameter.scalar_type();
      MUONLAB_CHECK(type == at::kFloat || type == at::kDouble,
                    "route: parameter '", name, "': got dtype ",
                    parameter.dtype().name(),
                    ", matrix rules take float32 or float64");
      route.matrices =
          logical_matrices(parameter.sizes(), role->second.blocks,
                           concat("route: parameter '", name, "'"));
    }
    plan.routes.push_back(std::move(route));
  }
  MUONLAB_CHECK(!plan.routes.empty(),
                "route: the model has no parameter to train");
  return plan;
}

Plan route(const torch::nn::Module& model, const GroupOptions& hidden,
           const GroupOptions& auxiliary) {
  return route(
      model,
      RouteOptions{.hidden = hidden, .auxiliary = auxiliary, .overrides = {}});
}

}  // namespace muonlab::optim
