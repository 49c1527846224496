#include "muonlab/optim/import_torch.h"

#include <ATen/ATen.h>
#include <torch/serialize.h>

#include <map>
#include <optional>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/text.h"

namespace muonlab::optim {

namespace {

using Dict = c10::impl::GenericDict;

[[noreturn]] void corrupt(const std::filesystem::path& path,
                          const std::string& what) {
  throw Error(ErrorKind::kCorruptData, concat(path.string(), ": ", what),
              "write it with torch.save(optimizer.state_dict(), path)");
}

Dict read(const std::filesystem::path& path) {
  const std::string bytes = core::read_file(path);
  try {
    const c10::IValue value =
        torch::pickle_load(std::vector<char>(bytes.begin(), bytes.end()));
    if (value.isGenericDict()) return value.toGenericDict();
  } catch (const c10::Error&) {
    corrupt(path, "is not a file that PyTorch wrote");
  }
  corrupt(path, "holds something else than a state_dict");
}

std::optional<c10::IValue> find(const Dict& dict, const c10::IValue& key) {
  const auto place = dict.find(key);
  if (place == dict.end()) return std::nullopt;
  return place->value();
}

// A group's parameters: PyTorch's indices with their names.
struct Saved {
  std::string name;
  Dict group;
  std::optional<Dict> state;
};

std::vector<Saved> saved_parameters(const std::filesystem::path& path,
                                    const Dict& root,
                                    const std::vector<std::string>& names) {
  const auto state = find(root, "state");
  const auto groups = find(root, "param_groups");
  if (!state || !state->isGenericDict() || !groups || !groups->isList()) {
    corrupt(path, "has no 'state' and 'param_groups' of an optimizer");
  }
  std::vector<Saved> all;
  for (const c10::IValue& item : groups->toListRef()) {
    if (!item.isGenericDict()) corrupt(path, "a parameter group is no dict");
    const Dict group = item.toGenericDict();
    const auto indices = find(group, "params");
    if (!indices || !indices->isList()) corrupt(path, "a group has no params");
    const auto own_names = find(group, "param_names");
    const auto list = indices->toList();
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::int64_t index = list.get(i).toInt();
      std::string name;
      if (own_names && own_names->isList()) {
        name = own_names->toList().get(i).toStringRef();
      } else {
        MUONLAB_CHECK(
            index >= 0 && index < static_cast<std::int64_t>(names.size()),
            path.string(), ": parameter ", index,
            " has no name: the file has none (PyTorch saves them "
            "where its optimizer was given named parameters), and ",
            names.size(), " were passed");
        name = names[static_cast<std::size_t>(index)];
      }
      const auto found = find(state->toGenericDict(), index);
      all.push_back(
          {name, group,
           found ? std::optional(found->toGenericDict()) : std::nullopt});
    }
  }
  return all;
}

// What is to be written once everything was found good.
struct Change {
  std::string name;
  std::int64_t steps = 0;
  std::vector<std::pair<std::string, at::Tensor>> slots;
};

double number_in(const Dict& group, const char* key, double fallback) {
  const auto value = find(group, key);
  if (!value) return fallback;
  if (value->isDouble()) return value->toDouble();
  if (value->isInt()) return static_cast<double>(value->toInt());
  return fallback;
}

std::optional<at::Tensor> tensor_in(const Dict& state, const char* key) {
  const auto value = find(state, key);
  if (!value || !value->isTensor()) return std::nullopt;
  return value->toTensor();
}

std::int64_t steps_in(const Dict& state) {
  const auto value = find(state, "step");
  if (!value) return 1;
  if (value->isTensor()) return value->toTensor().item<std::int64_t>();
  return value->isInt() ? value->toInt() : 1;
}

// The factor that turns PyTorch's buffer into the rule's.
double buffer_factor(const Dict& group, const UpdateRule& rule) {
  const bool is_ema = find(group, "ns_steps").has_value();  // Muon's
  const double b = number_in(group, "momentum", 0);
  bool wants_ema = false;
  if (const auto* r = std::get_if<MatrixRule>(&rule)) {
    wants_ema = r->momentum_form != MomentumForm::kHeavyBall;
  } else {
    wants_ema = !std::holds_alternative<SgdRule>(rule);
  }
  if (is_ema == wants_ema) return 1;
  return wants_ema ? 1 - b : 1 / (1 - b);
}

// The change, or a fault.
std::string plan_change(const Saved& saved, const Route& route,
                        const UpdateRule& rule, LoadReport& report,
                        std::vector<Change>& changes) {
  Change change{
      .name = saved.name, .steps = steps_in(*saved.state), .slots = {}};
  const auto buffer = tensor_in(*saved.state, "momentum_buffer");
  const auto first = tensor_in(*saved.state, "exp_avg");
  const auto second = tensor_in(*saved.state, "exp_avg_sq");
  const bool adam = std::holds_alternative<AdamRule>(rule);
  if (adam && first && second) {
    change.slots = {{"first_moment", *first}, {"second_moment", *second}};
  } else if (!adam && buffer &&
             (std::holds_alternative<MatrixRule>(rule) ||
              std::holds_alternative<SgdRule>(rule) ||
              std::holds_alternative<SignumRule>(rule))) {
    const double factor = buffer_factor(saved.group, rule);
    change.slots = {
        {"momentum",
         buffer->to(working_dtype(route.parameter.scalar_type())).mul(factor)}};
    if (factor != 1) {
      report.changed.push_back(concat("'", saved.name, "': momentum times ",
                                      core::shortest(factor)));
    }
  } else {
    std::vector<std::string> keys;
    for (const auto& item : *saved.state) {
      if (item.key().isString()) keys.push_back(item.key().toStringRef());
    }
    return concat("'", saved.name, "' has ", core::join(keys, ", "),
                  ", which rule '", rule_name(rule), "' does not keep");
  }
  for (const auto& [slot, tensor] : change.slots) {
    if (tensor.sizes() != route.parameter.sizes()) {
      return concat("'", saved.name, "' has shape ", tensor.sizes(),
                    ", expected ", route.parameter.sizes());
    }
  }
  changes.push_back(std::move(change));
  return "";
}

}  // namespace

LoadReport import_torch_state(Optimizer& optimizer,
                              const std::filesystem::path& path,
                              const std::vector<std::string>& names) {
  const at::NoGradGuard no_grad;
  std::map<std::string, const Route*> routes;
  for (const Route& r : optimizer.plan().routes) routes[r.name] = &r;
  LoadReport report;
  std::vector<std::string> faults;
  std::vector<Change> changes;
  std::set<std::string> seen;
  for (const Saved& saved : saved_parameters(path, read(path), names)) {
    const auto route = routes.find(saved.name);
    if (route == routes.end()) {
      faults.push_back("'" + saved.name + "' is not in the routing plan");
      continue;
    }
    if (!seen.insert(saved.name).second) {
      faults.push_back("'" + saved.name + "' appears twice");
      continue;
    }
    if (!saved.state) {
      report.fresh.push_back("'" + saved.name + "'");
      continue;
    }
    const UpdateRule& rule =
        optimizer.plan().group_of(*route->second).options.update();
    const std::string fault =
        plan_change(saved, *route->second, rule, report, changes);
    if (!fault.empty()) faults.push_back(fault);
  }
  MUONLAB_CHECK(
      faults.empty(), path.string(),
      ": the state does not fit the routing plan: ", core::join(faults, "; "));
  for (const Change& change : changes) {
    for (const auto& [slot, tensor] : change.slots) {
      optimizer.state_tensor(change.name, slot).copy_(tensor);
    }
    optimizer.set_steps(change.name, change.steps);
  }
  return report;
}

}  // namespace muonlab::optim
