#include "muonlab/optim/optimizer.h"

#include <ATen/ATen.h>
#include <torch/serialize/archive.h>

#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/linalg/tensor_file.h"
#include "muonlab/optim/adamw.h"

namespace muonlab::optim {

namespace {

constexpr const char* kFirst = ".first";
constexpr const char* kSecond = ".second";
constexpr const char* kStep = ".step";
constexpr const char* kSchema = "1";

const void* identity(const at::Tensor& tensor) {
  return tensor.unsafeGetTensorImpl();
}

}  // namespace

Optimizer::Optimizer(Plan plan)
    // The base class would replace a third party's group options by a clone of
    // the defaults, so it starts empty and options are set after each add.
    : torch::optim::Optimizer(std::vector<torch::optim::OptimizerParamGroup>{},
                              std::make_unique<GroupOptions>(adamw())),
      plan_(std::move(plan)) {
  for (const Group& group : plan_.groups) validate(group.options, group.name);
  for (std::size_t g = 0; g < plan_.groups.size(); ++g) {
    std::vector<at::Tensor> parameters;
    for (std::size_t i = 0; i < plan_.routes.size(); ++i) {
      const Route& route = plan_.routes[i];
      if (route.group != g) continue;
      parameters.push_back(route.parameter);
      known_.emplace(identity(route.parameter), i);
      updates_[route.name] = 0;
    }
    add_param_group(torch::optim::OptimizerParamGroup(parameters));
    param_groups_.back().set_options(
        std::make_unique<GroupOptions>(plan_.groups[g].options));
  }
}

std::vector<std::vector<std::size_t>> Optimizer::members() const {
  std::vector<std::vector<std::size_t>> groups;
  std::set<std::size_t> seen;
  for (std::size_t g = 0; g < param_groups_.size(); ++g) {
    auto& routes = groups.emplace_back();
    for (const at::Tensor& parameter : param_groups_[g].params()) {
      const auto found = known_.find(identity(parameter));
      MUONLAB_CHECK(found != known_.end(), "Optimizer: group ", g,
                    ": a parameter of shape ", parameter.sizes(),
                    " is not in the routing plan; route the model again");
      MUONLAB_CHECK(seen.insert(found->second).second, "Optimizer: parameter '",
                    plan_.routes[found->second].name,
                    "' is in the groups twice");
      routes.push_back(found->second);
    }
  }
  return groups;
}

torch::Tensor Optimizer::step(LossClosure closure) {
  torch::Tensor loss;
  if (closure != nullptr) {
    const at::AutoGradMode enable_grad(true);
    loss = closure();
  }
  const at::NoGradGuard no_grad;
  const auto groups = members();
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto* options =
        dynamic_cast<const GroupOptions*>(&param_groups_[g].options());
    MUONLAB_CHECK(options != nullptr, "Optimizer: group ", g,
                  ": its options are not muonlab::optim::GroupOptions");
    validate(*options, concat("Optimizer: group ", g));
    const bool matrix = std::holds_alternative<MatrixRule>(options->update());
    for (const std::size_t i : groups[g]) {
      MUONLAB_CHECK(!matrix || !plan_.routes[i].matrices.empty(),
                    "Optimizer: parameter '", plan_.routes[i].name,
                    "': its group has a matrix rule, but it was routed without "
                    "logical matrices; route the model again");
      const at::Tensor& gradient = plan_.routes[i].parameter.grad();
      MUONLAB_CHECK(!gradient.defined() || gradient.layout() == at::kStrided,
                    "Optimizer: parameter '", plan_.routes[i].name,
                    "': has a sparse gradient, expected a dense one");
    }
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    step_group(static_cast<const GroupOptions&>(param_groups_[g].options()),
               groups[g]);
  }
  return loss;
}

Optimizer::State& Optimizer::state_of(const Route& route, bool second) {
  State& state = states_[route.name];
  if (!state.first.defined()) state.first = at::zeros_like(route.parameter);
  if (second && !state.second.defined()) {
    state.second = at::zeros_like(route.parameter);
  }
  return state;
}

void Optimizer::step_group(const GroupOptions& options,
                           const std::vector<std::size_t>& routes) {
  const auto* matrix = std::get_if<MatrixRule>(&options.update());
  std::vector<AdamWTensors> elementwise;
  for (const std::size_t i : routes) {
    Route& route = plan_.routes[i];
    const at::Tensor gradient = route.parameter.grad();
    if (!gradient.defined()) continue;
    State& state = state_of(route, matrix == nullptr);
    ++state.step;
    ++updates_[route.name];
    if (matrix != nullptr) {
      matrix_step(route.parameter, gradient, state.first, *matrix,
                  route.matrices, options.lr(), options.weight_decay());
    } else {
      elementwise.push_back(
          {route.parameter, gradient, state.first, state.second, state.step});
    }
  }
  if (matrix == nullptr) {
    adamw_step(elementwise, std::get<AdamWRule>(options.update()), options.lr(),
               options.weight_decay());
  }
}

void Optimizer::set_lr_factor(double factor) {
  for (std::size_t g = 0; g < plan_.groups.size(); ++g) {
    param_groups_[g].options().set_lr(plan_.groups[g].options.lr() * factor);
  }
}

Optimizer::Tensors Optimizer::state_tensors() const {
  Tensors tensors;
  // A parameter that never stepped has its count alone, so that a state that
  // lacks a parameter can be told from one in which it was idle.
  for (const Route& route : plan_.routes) {
    const auto found = states_.find(route.name);
    const State state = found == states_.end() ? State{} : found->second;
    if (state.first.defined()) tensors[route.name + kFirst] = state.first;
    if (state.second.defined()) tensors[route.name + kSecond] = state.second;
    tensors[route.name + kStep] = at::full({}, state.step, at::kLong);
  }
  return tensors;
}

void Optimizer::restore(const Tensors& tensors, const std::string& source) {
  std::map<std::string, State> restored;
  std::vector<std::string> faults;
  std::set<std::string> taken;
  for (const Route& route : plan_.routes) {
    const auto take = [&](const char* suffix) -> at::Tensor {
      const auto found = tensors.find(route.name + suffix);
      if (found == tensors.end()) return {};
      taken.insert(found->first);
      return found->second;
    };
    State state{.first = take(kFirst), .second = take(kSecond), .step = 0};
    const at::Tensor steps = take(kStep);
    const auto fault = [&](const std::string& what) {
      faults.push_back("'" + route.name + "' " + what);
    };
    if (!steps.defined() || steps.numel() != 1 ||
        steps.scalar_type() != at::kLong || steps.item<std::int64_t>() < 0) {
      fault("is missing or has no count of its steps");
      continue;
    }
    state.step = steps.item<std::int64_t>();
    const bool stepped = state.step > 0;
    const bool elementwise = !std::holds_alternative<MatrixRule>(
        plan_.group_of(route).options.update());
    if (state.first.defined() != stepped ||
        state.second.defined() != (stepped && elementwise)) {
      fault("has the state of another rule");
      continue;
    }
    if (!stepped) continue;
    for (at::Tensor* t : {&state.first, &state.second}) {
      if (!t->defined()) continue;
      if (t->sizes() != route.parameter.sizes() ||
          t->scalar_type() != route.parameter.scalar_type()) {
        fault(concat("has shape ", t->sizes(), " of ", t->scalar_type(),
                     ", expected ", route.parameter.sizes(), " of ",
                     route.parameter.scalar_type()));
      }
      // Copied into the parameter's own memory layout (channels last, say).
      if (faults.empty()) *t = at::zeros_like(route.parameter).copy_(*t);
    }
    restored.emplace(route.name, std::move(state));
  }
  std::set<std::string> strangers;
  for (const auto& [key, tensor] : tensors) {
    if (taken.count(key) != 0) continue;
    const std::string name = key.substr(0, key.rfind('.'));
    strangers.insert(updates_.count(name) != 0 ? key : name);
  }
  for (const std::string& name : strangers) {
    faults.push_back("'" + name + "' is not in the routing plan");
  }
  MUONLAB_CHECK(
      faults.empty(), source,
      ": the state does not fit the routing plan: ", core::join(faults, "; "));
  states_ = std::move(restored);
  for (auto& [name, count] : updates_) {
    const auto state = states_.find(name);
    count = state == states_.end() ? 0 : state->second.step;
  }
}

void Optimizer::save(const std::filesystem::path& path) const {
  const Tensors tensors = state_tensors();
  linalg::save_tensors(path, {tensors.begin(), tensors.end()},
                       {{"muonlab.optimizer.schema", kSchema}});
}

void Optimizer::load(const std::filesystem::path& path) {
  const auto file = linalg::load_tensors(path);
  const auto schema = file.metadata.find("muonlab.optimizer.schema");
  if (schema == file.metadata.end() || schema->second != kSchema) {
    throw Error(ErrorKind::kCorruptData,
                concat(path.string(),
                       ": is not a muonlab optimizer state of "
                       "schema ",
                       kSchema));
  }
  restore(file.tensors, path.string());
}

void Optimizer::save(torch::serialize::OutputArchive& archive) const {
  const Tensors tensors = state_tensors();
  c10::List<std::string> keys;
  for (const auto& [key, tensor] : tensors) {
    // Archive names may not hold dots, so tensors are numbered.
    archive.write("state_" + std::to_string(keys.size()), tensor,
                  /*is_buffer=*/true);
    keys.push_back(key);
  }
  archive.write("muonlab_keys", c10::IValue(keys));
}

void Optimizer::load(torch::serialize::InputArchive& archive) {
  c10::IValue keys;
  if (!archive.try_read("muonlab_keys", keys)) {
    throw Error(ErrorKind::kCorruptData,
                "Optimizer: the archive holds no muonlab optimizer state");
  }
  Tensors tensors;
  std::size_t i = 0;
  for (const c10::IValue& key : keys.toList()) {
    at::Tensor tensor;
    archive.read("state_" + std::to_string(i++), tensor, /*is_buffer=*/true);
    tensors[key.toStringRef()] = tensor;
  }
  restore(tensors, "Optimizer archive");
}

}  // namespace muonlab::optim
