// State of the optimizer: making it, saving it by name, and fitting a saved
// one to the plan that is there now.
#include <ATen/ATen.h>
#include <torch/serialize/archive.h>

#include <algorithm>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/linalg/tensor_file.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/optim/matrix_step.h"
#include "muonlab/optim/optimizer.h"

namespace muonlab::optim {

namespace {

using formats::Json;

constexpr const char* kStep = ".step";
constexpr const char* kSchema = "2";
constexpr const char* kSchemaKey = "muonlab.optimizer.schema";
constexpr const char* kDescriptionKey = "muonlab.optimizer.parameters";

// The text that `*` stood for, or nullopt.
std::optional<std::string> starred(std::string_view pattern,
                                   std::string_view name) {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) {
    return pattern == name ? std::optional<std::string>("") : std::nullopt;
  }
  const std::string_view head = pattern.substr(0, star);
  const std::string_view tail = pattern.substr(star + 1);
  if (name.size() < head.size() + tail.size() ||
      name.substr(0, head.size()) != head ||
      name.substr(name.size() - tail.size()) != tail) {
    return std::nullopt;
  }
  return std::string(
      name.substr(head.size(), name.size() - head.size() - tail.size()));
}

std::string renamed(const std::string& name, const LoadOptions& options) {
  for (const auto& [from, to] : options.rename) {
    const auto text = starred(from, name);
    if (!text) continue;
    std::string result = to;
    if (const auto star = result.find('*'); star != std::string::npos) {
      result.replace(star, 1, *text);
    }
    return result;
  }
  return name;
}

// The value of a rule's option as saved, or as now.
OptionMap options_from(const Json& rule) {
  OptionMap map;
  for (const auto& item : rule.items()) {
    map.emplace(item.key(), option_from_json(item.value(), item.key()));
  }
  return map;
}

double number(const OptionMap& options, const char* name) {
  const auto found = options.find(name);
  if (found == options.end()) return 0;
  if (const auto* d = std::get_if<double>(&found->second)) return *d;
  if (const auto* i = std::get_if<std::int64_t>(&found->second)) {
    return static_cast<double>(*i);
  }
  return 0;
}

std::string word(const OptionMap& options, const char* name) {
  const auto found = options.find(name);
  return found == options.end() ? "" : option_text(found->second);
}

// An EMA buffer is (1 - b) times the heavy ball of the same gradients.
double momentum_factor(const OptionMap& saved, const OptionMap& now) {
  const bool was_ball = word(saved, "momentum_form") == "heavy-ball";
  const bool is_ball = word(now, "momentum_form") == "heavy-ball";
  if (word(saved, "momentum_form").empty() || was_ball == is_ball) return 1;
  return was_ball ? 1 - number(now, "momentum")
                  : 1 / (1 - number(saved, "momentum"));
}

}  // namespace

std::string LoadReport::text() const {
  std::string text;
  const auto lines = [&](const char* what,
                         const std::vector<std::string>& items) {
    for (const std::string& item : items) text += concat(what, item, "\n");
  };
  lines("renamed: ", renamed);
  lines("moved: ", moved);
  lines("changed: ", changed);
  lines("new: ", fresh);
  lines("dropped: ", dropped);
  return text;
}

std::map<std::string, std::vector<std::int64_t>> Optimizer::layout_of(
    const Route& route) const {
  const UpdateRule& rule = options_of_route(route).update();
  std::map<std::string, std::vector<std::int64_t>> layout;
  if (route.matrices.empty()) {
    for (const StateSlot& slot : state_slots(rule, 0, 0)) {
      layout[slot.name] = route.parameter.sizes().vec();
    }
  }
  std::int64_t rows = 0;
  for (const LogicalMatrix& m : route.matrices) rows += m.rows;
  for (const LogicalMatrix& m : route.matrices) {
    for (const StateSlot& slot : state_slots(rule, m.rows, m.columns)) {
      switch (slot.kind) {
        case StateSlot::Kind::kLikeWeight:
          layout[slot.name] = route.parameter.sizes().vec();
          break;
        case StateSlot::Kind::kPerRow:
          layout[slot.name] = {rows};
          break;
        case StateSlot::Kind::kOwn:
          layout[m.name.empty() ? slot.name : slot.name + "." + m.name] =
              slot.shape;
          break;
      }
    }
  }
  return layout;
}

Optimizer::State Optimizer::new_state(const Route& route) const {
  State state;
  state.steps.assign(std::max<std::size_t>(route.matrices.size(), 1), 0);
  const auto options = route.parameter.options().requires_grad(false).dtype(
      working_dtype(route.parameter.scalar_type()));
  for (const auto& [slot, shape] : layout_of(route)) {
    state.tensors[slot] = at::zeros(shape, options);
  }
  return state;
}

Optimizer::State& Optimizer::state_of(const Route& route) {
  const auto found = states_.find(route.name);
  if (found != states_.end()) return found->second;
  return states_.emplace(route.name, new_state(route)).first->second;
}

const Route& Optimizer::route_named(const std::string& name) const {
  for (const Route& route : plan_.routes) {
    if (route.name == name) return route;
  }
  std::vector<std::string> names;
  for (const Route& route : plan_.routes) names.push_back(route.name);
  throw Error(ErrorKind::kInvalidArgument,
              concat("Optimizer: no parameter '", name, "'",
                     core::suggestion(name, names)));
}

at::Tensor Optimizer::state_tensor(const std::string& parameter,
                                   const std::string& slot) {
  State& state = state_of(route_named(parameter));
  const auto found = state.tensors.find(slot);
  if (found == state.tensors.end()) {
    std::vector<std::string> slots;
    for (const auto& [name, tensor] : state.tensors) slots.push_back(name);
    throw Error(ErrorKind::kInvalidArgument,
                concat("Optimizer: parameter '", parameter, "' has no state '",
                       slot, "'", core::suggestion(slot, slots)));
  }
  return found->second;
}

void Optimizer::set_steps(const std::string& parameter, std::int64_t steps) {
  MUONLAB_CHECK(steps >= 0, "Optimizer: parameter '", parameter,
                "': steps: got ", steps, ", expected 0 or more");
  State& state = state_of(route_named(parameter));
  std::fill(state.steps.begin(), state.steps.end(), steps);
  updates_[parameter] = steps;
}

Optimizer::Tensors Optimizer::state_tensors() const {
  Tensors tensors;
  // A parameter that never stepped has its count alone, so that a state that
  // lacks a parameter can be told from one in which it was idle.
  for (const Route& route : plan_.routes) {
    const auto found = states_.find(route.name);
    std::vector<std::int64_t> steps(
        std::max<std::size_t>(route.matrices.size(), 1), 0);
    if (found != states_.end()) {
      steps = found->second.steps;
      for (const auto& [slot, tensor] : found->second.tensors) {
        tensors[route.name + "." + slot] = tensor;
      }
    }
    tensors[route.name + kStep] = linalg::tensor_of(steps);
  }
  return tensors;
}

std::string Optimizer::state_description() const {
  Json description = Json::object();
  for (const Route& route : plan_.routes) {
    const UpdateRule& rule = options_of_route(route).update();
    Json options = Json::object();
    for (const auto& [name, value] : option_values(rule)) {
      options[name] = option_json(value);
    }
    description[route.name] = {{"group", plan_.group_of(route).name},
                               {"rule", rule_name(rule)},
                               {"options", options},
                               {"updates", updates_.at(route.name)}};
  }
  return description.dump();
}

LoadReport Optimizer::restore(Tensors tensors, const std::string& description,
                              const std::string& source,
                              const LoadOptions& options) {
  const Json saved = Json::parse(description, nullptr, false);
  if (!saved.is_object()) {
    throw Error(ErrorKind::kCorruptData,
                concat(source,
                       ": its description of the parameters is not a "
                       "JSON object"));
  }
  LoadReport report;
  std::map<std::string, std::string> old_names;  // present name -> saved name
  std::vector<std::string> faults;
  for (const auto& item : saved.items()) {
    const std::string now = renamed(item.key(), options);
    if (!old_names.emplace(now, item.key()).second) {
      faults.push_back(concat("'", item.key(), "' and '", old_names[now],
                              "' both become '", now, "'"));
    }
    if (now != item.key() && updates_.count(now) != 0) {
      report.renamed.push_back(concat("'", item.key(), "' is now '", now, "'"));
    }
  }

  std::map<std::string, State> restored;
  std::map<std::string, std::int64_t> updates;
  std::set<std::string> taken;
  for (const Route& route : plan_.routes) {
    updates[route.name] = 0;
    const auto name = old_names.find(route.name);
    if (name == old_names.end()) {
      report.fresh.push_back("'" + route.name + "'");
      if (!options.allow_new) {
        faults.push_back("'" + route.name + "' is missing");
      }
      continue;
    }
    const std::string& old = name->second;
    const Json& about = saved[old];
    const auto fault = [&](const std::string& what) {
      faults.push_back("'" + route.name + "' " + what);
    };
    const auto take = [&](const std::string& key) -> at::Tensor {
      const auto found = tensors.find(key);
      if (found == tensors.end()) return {};
      taken.insert(key);
      return found->second;
    };
    State state = new_state(route);
    const at::Tensor steps = take(old + kStep);
    if (!steps.defined() || steps.scalar_type() != at::kLong ||
        steps.numel() != static_cast<std::int64_t>(state.steps.size()) ||
        steps.lt(0).any().item<bool>()) {
      fault(concat("has no count of steps for its ", state.steps.size(),
                   " logical matrices"));
      // Its tensors are not strangers too.
      for (const auto& [slot, shape] : layout_of(route)) {
        (void)take(old + "." + slot);
      }
      continue;
    }
    for (std::size_t i = 0; i < state.steps.size(); ++i) {
      state.steps[i] = steps[static_cast<std::int64_t>(i)].item<std::int64_t>();
    }
    updates[route.name] =
        about.value("updates", steps.max().item<std::int64_t>());
    const UpdateRule& rule = options_of_route(route).update();
    const std::string rule_was = about.value("rule", std::string());
    const OptionMap was = options_from(about.value("options", Json::object()));
    const double factor = momentum_factor(was, option_values(rule));
    bool any = false;
    bool whole = true;
    for (const auto& [slot, shape] : layout_of(route)) {
      const at::Tensor tensor = take(old + "." + slot);
      any = any || tensor.defined();
      if (!tensor.defined()) {
        whole = false;
        continue;
      }
      at::Tensor& target = state.tensors.at(slot);
      if (tensor.sizes() != target.sizes() ||
          tensor.scalar_type() != target.scalar_type()) {
        fault(concat("has '", slot, "' of shape ", tensor.sizes(), " of ",
                     tensor.scalar_type(), ", expected ", target.sizes(),
                     " of ", target.scalar_type()));
        continue;
      }
      target.copy_(tensor);
      if (slot == "momentum" && factor != 1) target.mul_(factor);
    }
    const bool stepped = steps.max().item<std::int64_t>() > 0;
    if (stepped && !whole) {
      fault(concat("has the state of another rule",
                   rule_was.empty() ? "" : " (" + rule_was + ")"));
      continue;
    }
    if (rule_was != rule_name(rule)) {
      report.changed.push_back(concat("'", route.name, "': rule ", rule_was,
                                      " is now ", rule_name(rule)));
    }
    if (any && factor != 1) {
      report.changed.push_back(
          concat("'", route.name, "': momentum times ", core::shortest(factor),
                 " (", word(was, "momentum_form"), " to ",
                 word(option_values(rule), "momentum_form"), ")"));
    }
    const std::string group_was = about.value("group", std::string());
    if (group_was != plan_.group_of(route).name) {
      report.moved.push_back(concat("'", route.name, "' from group '",
                                    group_was, "' to '",
                                    plan_.group_of(route).name, "'"));
    }
    if (any) restored.emplace(route.name, std::move(state));
  }

  std::set<std::string> strangers;
  for (const auto& item : saved.items()) {
    const std::string now = renamed(item.key(), options);
    if (updates_.count(now) != 0) continue;
    report.dropped.push_back("'" + item.key() + "'");
    if (!options.allow_dropped) {
      faults.push_back("'" + item.key() + "' is not in the routing plan");
    }
    for (const auto& [key, tensor] : tensors) {
      if (key.rfind(item.key() + ".", 0) == 0) taken.insert(key);
    }
  }
  for (const auto& [key, tensor] : tensors) {
    if (taken.count(key) == 0) {
      faults.push_back("'" + key +
                       "' is no state of a parameter that the "
                       "file describes");
    }
  }
  if (!faults.empty()) {
    throw Error(ErrorKind::kInvalidArgument,
                concat(source, ": the state does not fit the routing plan: ",
                       core::join(faults, "; ")),
                "LoadOptions rename parameters and allow new and dropped ones");
  }
  states_ = std::move(restored);
  updates_ = std::move(updates);
  return report;
}

void Optimizer::save(const std::filesystem::path& path) const {
  const Tensors tensors = state_tensors();
  linalg::save_tensors(
      path, {tensors.begin(), tensors.end()},
      {{kSchemaKey, kSchema}, {kDescriptionKey, state_description()}});
}

LoadReport Optimizer::load(const std::filesystem::path& path,
                           const LoadOptions& options) {
  auto file = linalg::load_tensors(path);
  const auto schema = file.metadata.find(kSchemaKey);
  const auto description = file.metadata.find(kDescriptionKey);
  if (schema == file.metadata.end() || schema->second != kSchema ||
      description == file.metadata.end()) {
    throw Error(
        ErrorKind::kCorruptData,
        concat(path.string(), ": is not a muonlab optimizer state of schema ",
               kSchema));
  }
  return restore(std::move(file.tensors), description->second, path.string(),
                 options);
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
  archive.write("muonlab_parameters", c10::IValue(state_description()));
}

void Optimizer::load(torch::serialize::InputArchive& archive) {
  c10::IValue keys;
  c10::IValue description;
  if (!archive.try_read("muonlab_keys", keys) ||
      !archive.try_read("muonlab_parameters", description)) {
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
  (void)restore(std::move(tensors), description.toStringRef(),
                "Optimizer archive", {});
}

}  // namespace muonlab::optim
