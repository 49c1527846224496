#include "muonlab/optim/route.h"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <algorithm>
#include <map>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::optim {

namespace {

struct Found {
  Role role;
  std::vector<RowBlock> blocks;
  std::string why;
};

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
      if (!core::matches_pattern(override_.pattern, name)) continue;
      any = true;
      const auto [place, fresh] = by.emplace(name, override_.pattern);
      MUONLAB_CHECK(fresh || (found.at(name).role == override_.role &&
                              (!override_.blocks ||
                               *override_.blocks == found.at(name).blocks)),
                    "route: parameter '", name, "': patterns '", place->second,
                    "' and '", override_.pattern,
                    "' give it different roles or blocks");
      std::vector<RowBlock> blocks;
      if (override_.blocks) {
        blocks = *override_.blocks;
      } else if (found.count(name) != 0) {
        blocks = found.at(name).blocks;
      }
      found[name] = {override_.role, std::move(blocks),
                     concat("override '", override_.pattern, "'")};
    }
    MUONLAB_CHECK(any, "route: pattern '", override_.pattern,
                  "' matches no parameter");
  }
}

using Parameters = std::vector<std::pair<std::string, at::Tensor>>;

// Makes the plan from what is known of each parameter.
class Router {
 public:
  explicit Router(const RouteOptions& options) : options_(options) {
    validate(options.hidden, "hidden");
    validate(options.auxiliary, "auxiliary");
    plan_.groups = {{"hidden", options.hidden},
                    {"auxiliary", options.auxiliary}};
    std::set<std::string> names = {"hidden", "auxiliary"};
    for (const GroupRoute& group : options.groups) {
      MUONLAB_CHECK(names.insert(group.name).second, "route: group '",
                    group.name, "': the name is taken");
    }
  }

  Plan plan(const Parameters& parameters,
            const std::map<std::string, Found>& found) {
    for (const auto& [name, parameter] : parameters) {
      add(name, parameter, found);
    }
    for (const GroupRoute& group : options_.groups) {
      MUONLAB_CHECK(used_.count(group.name) != 0, "route: group '", group.name,
                    "': pattern '", group.pattern, "' matches no parameter");
    }
    const bool any = std::any_of(plan_.routes.begin(), plan_.routes.end(),
                                 [](const Route& r) { return !r.frozen; });
    MUONLAB_CHECK(any, "route: the model has no parameter to train");
    return std::move(plan_);
  }

 private:
  void add(const std::string& name, const at::Tensor& parameter,
           const std::map<std::string, Found>& found) {
    const auto [first, fresh] =
        seen_.emplace(parameter.unsafeGetTensorImpl(), name);
    if (!fresh) {
      plan_.left_out.emplace_back(name, "tied to '" + first->second + "'");
      return;
    }
    const auto type = parameter.scalar_type();
    MUONLAB_CHECK(
        type == at::kFloat || type == at::kDouble || type == at::kBFloat16 ||
            type == at::kHalf,
        "route: parameter '", name, "': got dtype ", parameter.dtype().name(),
        ", expected float32, float64, bfloat16 or float16",
        parameter.is_complex() ? " (keep real and imaginary parts apart)" : "");
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
                .group = 0,
                .matrices = {},
                .why = role->second.why,
                .frozen = !parameter.requires_grad()};
    route.group = group_for(route);
    if (is_matrix_rule(plan_.group_of(route).options.update())) {
      route.matrices = logical_matrices(
          parameter.sizes(), role->second.role, role->second.blocks,
          concat("route: parameter '", name, "'"));
    }
    if (route.frozen) {
      plan_.left_out.emplace_back(name, "frozen (requires_grad is false)");
    }
    plan_.routes.push_back(std::move(route));
  }

  std::size_t group_for(Route& route) {
    const std::size_t usual = is_hidden(route.role) ? 0 : 1;
    const GroupRoute* chosen = nullptr;
    for (const GroupRoute& group : options_.groups) {
      if (!core::matches_pattern(group.pattern, route.name)) continue;
      MUONLAB_CHECK(chosen == nullptr, "route: parameter '", route.name,
                    "': groups '", chosen->name, "' and '", group.name,
                    "' both claim it");
      chosen = &group;
    }
    if (chosen == nullptr) return usual;
    used_.insert(chosen->name);
    route.why += concat("; group '", chosen->name, "'");
    // One group of the plan for each of the two defaults that it extends.
    const auto [place, fresh] =
        made_.emplace(std::pair(chosen->name, usual), plan_.groups.size());
    if (fresh) {
      const bool second = made_.count({chosen->name, 1 - usual}) != 0;
      plan_.groups.push_back(
          {second ? chosen->name + "/" + plan_.groups[usual].name
                  : chosen->name,
           merged(plan_.groups[usual].options, chosen->overrides,
                  concat("route: group '", chosen->name, "'"))});
    }
    return place->second;
  }

  const RouteOptions& options_;
  Plan plan_;
  std::map<const void*, std::string> seen_;  // tied parameters, by identity
  std::set<std::string> used_;
  std::map<std::pair<std::string, std::size_t>, std::size_t> made_;
};

Plan route_all(const Parameters& parameters, std::map<std::string, Found> found,
               const RouteOptions& options) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : parameters) names.push_back(name);
  apply_overrides(options.overrides, names, found);
  return Router(options).plan(parameters, found);
}

}  // namespace

Plan route(const torch::nn::Module& model, const RouteOptions& options) {
  std::map<std::string, Found> found;
  collect("", model, found);
  for (const auto& item : model.named_modules("", /*include_self=*/false)) {
    collect(item.key() + ".", *item.value(), found);
  }
  Parameters parameters;
  for (const auto& item : model.named_parameters()) {
    parameters.emplace_back(item.key(), item.value());
  }
  return route_all(parameters, std::move(found), options);
}

Plan route(const std::vector<DescribedParameter>& described,
           const RouteOptions& options) {
  std::map<std::string, Found> found;
  Parameters parameters;
  for (const DescribedParameter& d : described) {
    MUONLAB_CHECK(
        found.emplace(d.name, Found{d.role, d.blocks, "described"}).second,
        "route: parameter '", d.name, "' is described twice");
    parameters.emplace_back(d.name, d.parameter);
  }
  return route_all(parameters, std::move(found), options);
}

Plan route(const torch::nn::Module& model, const GroupOptions& hidden,
           const GroupOptions& auxiliary) {
  RouteOptions options;
  options.hidden = hidden;
  options.auxiliary = auxiliary;
  return route(model, options);
}

}  // namespace muonlab::optim
