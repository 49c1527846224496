#include "tests/reference/case_choices.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "tests/reference/coefficients.h"

namespace muonlab::reference {

namespace {

using namespace std::string_literals;  // a plain literal would become a bool

// Collects choices for one rule and leaves out the defaults.
class Choices {
 public:
  explicit Choices(std::string rule)
      : rule_(std::move(rule)),
        defaults_(resolved_options(rule_, complete(rule_, {}))) {}

  void add(const std::string& option, const Value& value,
           const Options& others = {}, bool alone = false) {
    if (!has(option) || is_default(option, value)) return;
    Choice choice = {option, others, alone};
    choice.values[option] = value;
    // One that needs a second choice to be allowed occurs within that one.
    if (is_allowed(rule_, choice.values)) choices_.push_back(choice);
  }
  void add_alone(const std::string& option, const Value& value,
                 const Options& others = {}) {
    add(option, value, others, true);
  }
  void add_other_flag(const std::string& option) {
    if (has(option)) add(option, !std::get<bool>(defaults_.at(option)));
  }

  [[nodiscard]] bool has(const std::string& option) const {
    return defaults_.contains(option);
  }
  [[nodiscard]] bool is_default(const std::string& option,
                                const Value& value) const {
    return has(option) && defaults_.at(option) == value;
  }
  [[nodiscard]] double number(const std::string& option) const {
    return std::get<double>(defaults_.at(option));
  }
  [[nodiscard]] std::vector<Choice> take() { return std::move(choices_); }

 private:
  std::string rule_;
  Options defaults_;
  std::vector<Choice> choices_;
};

struct SlotValue {
  std::string value;
  Options others;
};

// All values of a slot for muon; for another rule three of those that are not
// its default, starting elsewhere for each rule.
void add_slot(Choices& choices, const std::string& rule,
              const std::string& slot, std::vector<SlotValue> values) {
  std::erase_if(values, [&](const SlotValue& v) {
    return choices.is_default(slot, v.value);
  });
  if (rule != "muon") {
    const std::vector<std::string> names = twin_names();
    const auto place = std::find(names.begin(), names.end(), rule);
    const auto turn = static_cast<std::size_t>(place - names.begin());
    std::rotate(values.begin(),
                values.begin() +
                    static_cast<std::ptrdiff_t>((3 * turn) % values.size()),
                values.end());
    values.resize(std::min<std::size_t>(values.size(), 3));
  }
  for (const SlotValue& v : values) choices.add(slot, v.value, v.others);
}

// Tables that came when the cases were fixed.
bool is_later(const std::string& table) {
  return table == "cubic5" || table == "polar-express-eo" ||
         table == "polar-express-nanochat" || table.starts_with("aol-");
}

void add_polar(Choices& choices, const std::string& rule) {
  choices.add("polar_method", "svd"s);
  choices.add("polar_method", "qdwh"s);
  choices.add("polar_method", "newton-schulz"s);
  if (!choices.is_default("polar_method", "newton-schulz"s)) {
    choices.add_alone("polar_method", "newton-schulz"s,
                      {{"polar_coefficients", "you6"s},
                       {"polar_steps", 6.0},
                       {"polar_eps", 0.03},
                       {"polar_eps_mode", "clamp"s}});
  }
  choices.add("polar_coefficients", "polar-express"s);
  choices.add("polar_coefficients", "you6"s, {{"polar_steps", 6.0}});
  if (rule == "muon") {
    for (const std::string& name : coefficient_names()) {
      // Above, and below in add_polar_forms.
      if (name == "polar-express" || name == "you6" || is_later(name)) continue;
      choices.add_alone("polar_coefficients", name);
    }
    for (const double steps : {1.0, 8.0, 12.0}) {
      choices.add_alone("polar_steps", steps);
    }
    choices.add_alone("polar_coefficients", "deepseek-v4"s,
                      {{"polar_steps", 10.0}});
  }
  choices.add("polar_steps", 3.0);
  choices.add("polar_eps", 0.03);
  choices.add("polar_eps_mode", "clamp"s);
  choices.add("polar_eps_mode", "add"s);
  // Above the norm of an averaged gradient, so that it is the divisor.
  choices.add_alone("polar_eps", 0.9, {{"polar_eps_mode", "clamp"s}});
  choices.add("polar_dtype", "float64"s);
  choices.add("polar_dtype", "float32"s);
}

// After all others, since a choice's place decides its shape.
void add_polar_forms(Choices& choices, const std::string& rule) {
  if (choices.is_default("polar_method", "newton-schulz"s)) {
    choices.add_alone("polar_norm", "schatten-4"s);
  } else {
    choices.add_alone("polar_norm", "schatten-4"s,
                      {{"polar_method", "newton-schulz"s}});
  }
  if (rule != "muon") return;
  choices.add_alone("polar_norm", "aol"s);
  choices.add_alone("polar_method", "gram"s);
  for (const std::string& name : coefficient_names()) {
    if (!is_later(name)) continue;
    choices.add_alone("polar_coefficients", name,
                      name.starts_with("aol-") ? Options{{"polar_steps", 4.0},
                                                         {"polar_norm", "aol"s}}
                                               : Options{});
  }
}

void add_scales(Choices& choices, const std::string& rule) {
  std::vector<SlotValue> scales = {{"s1", {}},
                                   {"s2", {}},
                                   {"s3", {}},
                                   {"s4", {}},
                                   {"s5", {}},
                                   {"s6", {}},
                                   {"s7", {{"scale_eps", 0.01}}},
                                   {"s8", {}}};
  scales.push_back({"s9", {{"weight_decay", 0.0}, {"decay", "decoupled"s}}});
  scales.push_back(
      {"namo",
       {{"namo_beta2", 0.9}, {"momentum_form", "ema"s}, {"nesterov", false}}});
  if (rule == "namo") {  // which takes nothing else itself
    scales = {{"s2", {{"nesterov", true}}},
              {"s4", {{"momentum_form", "heavy-ball"s}}},
              {"s6", {{"momentum_form", "ema-corrected"s}}}};
  }
  if (rule == "muonh") {  // which has no decay itself
    scales = {{"s2", {{"weight_decay", 0.3}}},
              {"s4", {{"weight_decay", 0.3}, {"decay", "cautious"s}}},
              {"s7", {{"weight_decay", 0.3}, {"decay", "scaled"s}}}};
  }
  add_slot(choices, rule, "scale", scales);
  if (rule == "muon") {
    for (const auto* alias :
         {"unit", "original", "match-rms-adamw", "nuclear", "rms", "radius"}) {
      choices.add_alone("scale", std::string(alias));
    }
    choices.add_alone("scale", "hyperball"s, {{"weight_decay", 0.0}});
  }
}

// A decay without weight_decay would be none.
void add_decays(Choices& choices, const std::string& rule, bool family) {
  Options with_decay;
  Options without;
  if (choices.number("weight_decay") == 0) {
    with_decay["weight_decay"] = 0.3;
  } else {
    without["weight_decay"] = 0.0;
  }
  std::vector<SlotValue> decays;
  for (const auto* name :
       {"decoupled", "cautious", "l2", "after", "independent"}) {
    decays.push_back({name, with_decay});
  }
  if (!family) {
    for (const SlotValue& v : decays) choices.add("decay", v.value, v.others);
    return;
  }
  for (const auto* name : {"scaled", "additive", "palm", "cautious-palm"}) {
    decays.push_back({name, with_decay});
  }
  decays.push_back({"constrained", without});
  add_slot(choices, rule, "decay", decays);
}

void add_common(Choices& choices) {
  choices.add("lr", 0.05);
  choices.add("weight_decay", 0.2);
  choices.add("momentum", 0.8);
  choices.add_alone("momentum", 0.0);
  choices.add_other_flag("nesterov");
  choices.add_other_flag("skip_zero");
}

void add_directions(Choices& choices, const std::string& rule) {
  add_slot(choices, rule, "direction",
           {{"polar", {}},
            {"power", {{"rho", 0.5}}},
            {"schatten", {{"p", 3.0}}},
            {"ky-fan", {{"k", 1.0}}},
            {"sign", {}},
            {"rows", {}},
            {"columns", {}},
            {"frobenius", {}},
            {"none", {}}});
  if (rule == "muon") {
    for (const double rho : {-1.0, -0.5, 0.0, 1.0}) {
      choices.add_alone("direction", "power"s, {{"rho", rho}});
    }
    for (const double p : {1.0, 1.5, 2.0, 8.0}) {
      choices.add_alone("direction", "schatten"s, {{"p", p}});
    }
    choices.add_alone("direction", "schatten"s, {{"p", "inf"s}});
    choices.add_alone("direction", "ky-fan"s, {{"k", 2.0}});
    choices.add_alone("direction", "ky-fan"s, {{"k", 9.0}});
  }
  choices.add("rho", 0.5);
  choices.add("p", 3.0);
}

std::vector<Choice> family_choices(const std::string& rule) {
  Choices choices(rule);
  add_common(choices);
  for (const auto* form : {"ema", "heavy-ball", "ema-corrected"}) {
    choices.add("momentum_form", std::string(form));
  }
  add_slot(choices, rule, "pre",
           {{"none", {}},
            {"sign", {}},
            {"rows", {{"pre_eps", 0.01}}},
            {"columns", {{"pre_eps", 0.01}}},
            {"rows-columns", {{"pre_eps", 0.01}}},
            {"second-moment", {{"pre_beta2", 0.9}, {"pre_eps", 1e-3}}}});
  choices.add("pre_eps", 0.05);
  choices.add("pre_beta2", 0.7);
  add_directions(choices, rule);
  add_polar(choices, rule);
  add_slot(choices, rule, "post",
           {{"none", {}},
            {"second-moment", {{"post_beta2", 0.9}, {"post_eps", 1e-3}}},
            {"row-second-moment", {{"post_beta2", 0.9}, {"post_eps", 1e-3}}},
            {"unit-norm", {}},
            {"sign", {}}});
  choices.add("post_eps", 0.05);
  choices.add("post_beta2", 0.7);
  add_scales(choices, rule);
  choices.add("scale_factor", 2.0);
  choices.add("scale_eps", 0.05);
  choices.add("namo_beta2", 0.7);
  add_decays(choices, rule, true);
  add_polar_forms(choices, rule);
  return choices.take();
}

std::vector<Choice> own_choices(const std::string& rule) {
  Choices choices(rule);
  add_common(choices);
  choices.add("beta1", 0.7);
  choices.add_alone("beta1", 0.0);
  choices.add("beta2", 0.8);
  choices.add_alone("beta2", 0.0);
  choices.add("eps", 1e-3);
  choices.add("eps_placement", "inside"s);
  if (choices.has("decay")) add_decays(choices, rule, false);
  choices.add("shampoo_beta", 0.5);
  choices.add_alone("shampoo_beta", 0.0);
  choices.add("refresh", 2.0);
  choices.add("refresh", 1.0);
  choices.add("exponent", 0.5);
  choices.add("graft", "sgd"s);
  choices.add("graft", "none"s);
  choices.add("max_dim", 2.0);  // of the shape's 2 and 3
  choices.add("max_dim", 1.0);
  choices.add_other_flag("correct_bias");
  choices.add("rank_fraction", 0.5);
  choices.add("rank", 1.0);
  choices.add_alone("rank", 2.0);
  choices.add("fraction", 0.5);
  choices.add("fraction", 1.0);
  add_polar(choices, rule);
  add_polar_forms(choices, rule);
  return choices.take();
}

}  // namespace

std::vector<Choice> choices_of(const std::string& rule) {
  const bool family =
      resolved_options(rule, complete(rule, {})).contains("direction");
  return family ? family_choices(rule) : own_choices(rule);
}

}  // namespace muonlab::reference
