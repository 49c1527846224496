#include "muonlab/optim/presets.h"

#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::optim {

namespace {

void check_fraction(double value, std::string_view who,
                    std::string_view field) {
  // Written so that NaN fails too.
  MUONLAB_CHECK(value >= 0 && value < 1, who, ": ", field, ": got ", value,
                ", expected at least 0 and less than 1");
}

void validate_rule(const MatrixRule& rule, std::string_view who) {
  check_fraction(rule.momentum, who, "momentum");
  muonlab::validate(rule.polar, who);
}

void validate_rule(const AdamWRule& rule, std::string_view who) {
  check_fraction(rule.beta1, who, "beta1");
  check_fraction(rule.beta2, who, "beta2");
  MUONLAB_CHECK(rule.eps > 0 && std::isfinite(rule.eps), who, ": eps: got ",
                rule.eps, ", expected more than 0");
}

}  // namespace

void validate(const GroupOptions& options, std::string_view who) {
  MUONLAB_CHECK(options.lr() >= 0 && std::isfinite(options.lr()), who,
                ": lr: got ", options.lr(), ", expected 0 or more");
  MUONLAB_CHECK(
      options.weight_decay() >= 0 && std::isfinite(options.weight_decay()), who,
      ": weight_decay: got ", options.weight_decay(), ", expected 0 or more");
  std::visit([&](const auto& rule) { validate_rule(rule, who); },
             options.update());
}

GroupOptions muon() {
  return GroupOptions(MatrixRule{.name = "muon"}, 0.02, 0.0);
}

GroupOptions muonw() {
  return GroupOptions(MatrixRule{.name = "muonw",
                                 .momentum_form = MomentumForm::kHeavyBall,
                                 .scale = Scale::kMatchRms},
                      1e-3, 0.1);
}

GroupOptions adamw() { return GroupOptions(AdamWRule{}, 1e-3, 0.1); }

GroupOptions preset(std::string_view name) {
  if (name == "muon") return muon();
  if (name == "muonw") return muonw();
  if (name == "adamw") return adamw();
  throw Error(ErrorKind::kInvalidArgument,
              concat("optim: no rule '", name, "'",
                     core::suggestion(name, preset_names())));
}

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> kNames = {"adamw", "muon", "muonw"};
  return kNames;
}

}  // namespace muonlab::optim
