#include "tests/reference/settings.h"

#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

namespace muonlab::reference {

namespace {

using namespace std::string_literals;  // a plain literal would become a bool

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// `first` with what `second` says otherwise.
Options with(Options first, const Options& second) {
  for (const auto& [name, value] : second) first[name] = value;
  return first;
}

Options polar_defaults() {
  return {{"polar_method", "newton-schulz"s},
          {"polar_coefficients", "keller"s},
          {"polar_steps", 5.0},
          {"polar_norm", "frobenius"s},
          {"polar_eps", 1e-7},
          {"polar_eps_mode", "add"s},
          {"polar_dtype", "auto"s}};
}

// Keller Jordan's Muon; the other presets of the family differ from it.
Options muon() {
  return {{"lr", 0.02},
          {"weight_decay", 0.0},
          {"momentum", 0.95},
          {"momentum_form", "ema"s},
          {"nesterov", true},
          {"pre", "none"s},
          {"direction", "polar"s},
          {"post", "none"s},
          {"scale", "s2"s},
          {"scale_factor", 1.0},
          {"decay", "decoupled"s},
          {"qk_clip", 0.0},
          {"skip_zero", true}};
}

std::map<std::string, Options> matrix_presets() {
  std::map<std::string, Options> presets;
  const Options heavy = {{"momentum_form", "heavy-ball"s}};
  const Options plain = {{"nesterov", false}};
  const Options moonlight = {
      {"scale", "s4"s}, {"lr", 1e-3}, {"weight_decay", 0.1}};
  presets["muon"] = muon();
  presets["torch-muon"] = with(muon(), {{"lr", 1e-3},
                                        {"weight_decay", 0.1},
                                        {"polar_eps_mode", "clamp"s},
                                        {"polar_dtype", "bfloat16"s},
                                        {"skip_zero", false}});
  const Options muonw = with(with(muon(), heavy), moonlight);
  presets["muonw"] = muonw;
  presets["muonclip"] = with(muonw, {{"qk_clip", 100.0}});
  presets["simuon"] = with(with(muonw, plain), {{"pre", "sign"s}});
  const Options adamuon = {{"pre", "sign"s},
                           {"post", "second-moment"s},
                           {"scale", "s7"s},
                           {"lr", 6e-4},
                           {"weight_decay", 0.1}};
  presets["adamuon"] = with(with(with(muon(), heavy), plain), adamuon);
  presets["adamuon-repo"] =
      with(with(muon(), adamuon), {{"scale_eps", 1e-8}, {"skip_zero", false}});
  presets["normuon"] = with(muon(), {{"post", "row-second-moment"s}});
  presets["normuon-paper"] =
      with(presets["normuon"],
           {{"scale", "s7"s}, {"lr", 1e-3}, {"weight_decay", 0.1}});
  presets["muon-plus"] = with(muon(), {{"post", "unit-norm"s}});
  const Options equilibrated = with(with(muon(), plain), moonlight);
  presets["muoneq-r"] = with(equilibrated, {{"pre", "rows"s}});
  presets["muoneq-c"] = with(equilibrated, {{"pre", "columns"s}});
  presets["muoneq-rc"] = with(equilibrated, {{"pre", "rows-columns"s}});
  presets["muon2"] = with(equilibrated, {{"pre", "second-moment"s}});
  presets["muonh"] = with(with(muon(), heavy), {{"scale", "s9"s}});
  const Options scion = with(with(muon(), plain), {{"momentum", 0.9},
                                                   {"scale", "s8"s},
                                                   {"scale_factor", 50.0},
                                                   {"lr", 1.0 / 4096}});
  presets["scion"] = with(scion, {{"decay", "constrained"s}});
  presets["scion-unconstrained"] = scion;
  presets["polargrad"] =
      with(with(muon(), plain), {{"polar_method", "qdwh"s}, {"scale", "s6"s}});
  presets["namo"] = with(with(muon(), plain), {{"scale", "namo"s},
                                               {"decay", "scaled"s},
                                               {"lr", 1e-3},
                                               {"weight_decay", 0.1}});
  presets["dion-muon"] = with(with(with(muon(), heavy), plain),
                              {{"polar_coefficients", "polar-express-modded"s},
                               {"polar_eps", 1e-8},
                               {"polar_dtype", "bfloat16"s},
                               {"scale", "s3"s},
                               {"lr", 0.01},
                               {"weight_decay", 0.01},
                               {"skip_zero", false}});
  presets["muon-cautious"] =
      with(muon(), {{"decay", "cautious"s}, {"weight_decay", 0.1}});
  presets["schatten"] = with(muon(), {{"direction", "schatten"s}});
  presets["power"] = with(muon(), {{"direction", "power"s}});
  return presets;
}

std::map<std::string, Options> elementwise_presets() {
  const Options adamw = {{"lr", 1e-3},           {"weight_decay", 0.1},
                         {"beta1", 0.9},         {"beta2", 0.95},
                         {"eps", 1e-8},          {"eps_placement", "outside"s},
                         {"decay", "decoupled"s}};
  return {{"adamw", adamw},
          {"adam",
           with(adamw,
                {{"beta2", 0.999}, {"weight_decay", 0.0}, {"decay", "l2"s}})},
          {"sgd",
           {{"lr", 0.01},
            {"weight_decay", 0.0},
            {"momentum", 0.9},
            {"nesterov", false},
            {"decay", "l2"s}}},
          {"lion",
           {{"lr", 1e-4},
            {"weight_decay", 1.0},
            {"beta1", 0.9},
            {"beta2", 0.99},
            {"decay", "decoupled"s}}},
          {"signum",
           {{"lr", 1e-4},
            {"weight_decay", 0.1},
            {"momentum", 0.9},
            {"decay", "decoupled"s}}}};
}

std::map<std::string, Options> own_presets() {
  return {{"shampoo",
           {{"lr", 1e-3},
            {"weight_decay", 0.1},
            {"beta1", 0.9},
            {"beta2", 0.95},
            {"eps", 1e-6},
            {"refresh", 1.0},
            {"exponent", 0.25},
            {"graft", "adam"s},
            {"max_dim", 8192.0},
            {"skip_zero", true}}},
          {"soap",
           {{"lr", 3e-3},
            {"weight_decay", 0.01},
            {"beta1", 0.95},
            {"beta2", 0.95},
            {"shampoo_beta", -1.0},
            {"eps", 1e-8},
            {"refresh", 10.0},
            {"max_dim", 10000.0},
            {"correct_bias", true},
            {"skip_zero", true}}},
          {"dion",
           {{"lr", 0.01},
            {"weight_decay", 0.01},
            {"momentum", 0.95},
            {"rank_fraction", 1.0},
            {"rank", 0.0},
            {"eps", 1e-8},
            {"seed", 0.0},
            {"skip_zero", true}}},
          {"dion2", with(polar_defaults(), {{"lr", 0.01},
                                            {"weight_decay", 0.01},
                                            {"momentum", 0.95},
                                            {"fraction", 0.25},
                                            {"skip_zero", true}})},
          {"muown", with(polar_defaults(), {{"lr", 1e-3},
                                            {"weight_decay", 0.1},
                                            {"momentum", 0.95},
                                            {"nesterov", false},
                                            {"beta1", 0.9},
                                            {"beta2", 0.95},
                                            {"eps", 1e-8},
                                            {"skip_zero", true}})}};
}

// The options that a choice of the matrix family brings along.
Options options_of_choice(const std::string& slot, const std::string& choice) {
  if (slot == "pre" && choice == "second-moment") {
    return {{"pre_beta2", 0.95}, {"pre_eps", 1e-8}};
  }
  if (slot == "pre" && choice != "none" && choice != "sign") {
    return {{"pre_eps", 1e-8}};
  }
  if (slot == "direction" && choice == "polar") return polar_defaults();
  if (slot == "direction" && choice == "power") return {{"rho", 0.125}};
  if (slot == "direction" && choice == "schatten") return {{"p", kInfinity}};
  if (slot == "direction" && choice == "ky-fan") return {{"k", 1.0}};
  if (slot == "post" && choice == "second-moment") {
    return {{"post_beta2", 0.95}, {"post_eps", 1e-8}};
  }
  if (slot == "post" && choice == "row-second-moment") {
    return {{"post_beta2", 0.95}, {"post_eps", 1e-10}};
  }
  if (slot == "scale" && (choice == "s7" || choice == "rms")) {
    return {{"scale_eps", 0.0}};
  }
  if (slot == "scale" && choice == "namo") return {{"namo_beta2", 0.95}};
  return {};
}

// Puts in what the choices bring, keeps of the preset's own dependent options
// those that still apply, and lets the given choices go first.
Options matrix_options(const Options& preset, const Options& given) {
  Options all;
  for (const auto& [name, value] : muon()) {
    const auto own = given.find(name);
    all[name] = own != given.end() ? own->second : preset.at(name);
    if (all[name].index() != value.index()) {
      throw std::invalid_argument("replay: wrong type of " + name);
    }
  }
  for (const auto* slot : {"pre", "direction", "post", "scale"}) {
    const auto choice = std::get<std::string>(all.at(slot));
    for (const auto& [name, value] : options_of_choice(slot, choice)) {
      const auto own = preset.find(name);
      all[name] = own == preset.end() ? value : own->second;
    }
  }
  return all;
}

std::map<std::string, Options> all_presets() {
  std::map<std::string, Options> all = matrix_presets();
  all.merge(elementwise_presets());
  all.merge(own_presets());
  return all;
}

}  // namespace

Settings::Settings(const std::string& rule, const Options& given) {
  static const std::map<std::string, Options> presets = all_presets();
  const auto preset = presets.find(rule);
  if (preset == presets.end()) {
    throw std::invalid_argument("replay: no rule " + rule);
  }
  const bool family = preset->second.contains("direction");
  values_ = family ? matrix_options(preset->second, given) : preset->second;
  for (const auto& [name, value] : given) {
    const auto place = values_.find(name);
    if (place == values_.end()) {
      throw std::invalid_argument("replay: " + rule + " has no " + name);
    }
    // As JSON writes it, which has no infinite numbers.
    const bool infinite = name == "p" && value == Value("inf"s);
    if (!infinite && place->second.index() != value.index()) {
      throw std::invalid_argument("replay: wrong type of " + name);
    }
    place->second = infinite ? Value(kInfinity) : value;
  }
}

double Settings::number(const std::string& name) const {
  return std::get<double>(values_.at(name));
}

bool Settings::flag(const std::string& name) const {
  return std::get<bool>(values_.at(name));
}

std::string Settings::text(const std::string& name) const {
  return std::get<std::string>(values_.at(name));
}

Options resolved_options(const std::string& rule, const Options& given) {
  return Settings(rule, given).all();
}

std::vector<std::string> twin_names() {
  std::vector<std::string> names;
  for (const auto& [name, options] : all_presets()) names.push_back(name);
  return names;
}

}  // namespace muonlab::reference
