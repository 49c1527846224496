#include "muonlab/optim/rule_table.h"

#include <utility>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/optim/matrix_step.h"

namespace muonlab::optim {

namespace {

using Slots = std::vector<std::pair<std::string, std::string>>;

std::string polar_text(const PolarOptions& p) {
  if (p.method == PolarMethod::kSvd) return "exact, by SVD";
  if (p.method == PolarMethod::kQdwh) return "exact, by QDWH";
  std::string text =
      concat(p.steps, " Newton-Schulz steps of table ", p.coefficients);
  if (p.method == PolarMethod::kGram) text += " in Gram form";
  if (p.method == PolarMethod::kAuto) text += " in this machine's fastest form";
  if (p.norm == PolarNorm::kSchatten4) text += " from the Schatten-4 norm";
  if (p.norm == PolarNorm::kPower) text += " from the spectral norm, estimated";
  if (p.norm == PolarNorm::kAol) text += " from AOL's row scaling";
  if (p.dtype == PolarDtype::kBFloat16) text += " in bfloat16";
  if (p.dtype == PolarDtype::kBFloat16Master) {
    text += " in bfloat16, X in float32";
  }
  if (p.dtype == PolarDtype::kMixed) {
    text += " in float32, long products in bfloat16";
  }
  return text;
}

Slots slots(const MatrixRule& r) {
  Slots all = {{"momentum", concat(formula(r.momentum_form, r.nesterov),
                                   "; b = ", r.momentum)},
               {"pre", std::string(formula(r.pre))},
               {"direction", std::string(formula(r.direction))},
               {"post", std::string(formula(r.post))},
               {"scale", concat("s = ", scale_formula(r.scale))},
               {"decay", std::string(formula(r.decay))}};
  if (r.direction == Direction::kPolar) {
    all[2].second += ": " + polar_text(r.polar);
  }
  if (r.scale == Scale::kHyperball) {
    all[5].second = "none: W' = W - lr*|W0|*O/|O|; W <- |W0|*W'/|W'|";
  } else if (r.scale_factor != 1) {
    all[4].second += concat(" times ", core::shortest(r.scale_factor));
  }
  if (r.qk_clip > 0) {
    all.emplace_back("clip", concat("query and key heads whose logit exceeds ",
                                    core::shortest(r.qk_clip)));
  }
  return all;
}

Slots slots(const AdamRule& r) {
  return {{"moments",
           "m <- beta1*m + (1-beta1)*G; v <- beta2*v + "
           "(1-beta2)*G*G"},
          {"update", r.eps_inside
                         ? "O = sqrt(1-beta2^t)/(1-beta1^t) * m/(sqrt(v) + eps)"
                         : "O = m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps)"},
          {"decay", std::string(formula(r.decay)) + "; s = 1"}};
}
Slots slots(const SgdRule& r) {
  return {{"momentum",
           r.nesterov ? "B <- b*B + G; O = G + b*B" : "B <- b*B + G; O = B"},
          {"decay", std::string(formula(r.decay)) + "; s = 1"}};
}
Slots slots(const LionRule& r) {
  return {{"update",
           "O = sign(beta1*m + (1-beta1)*G); then m <- beta2*m + "
           "(1-beta2)*G"},
          {"decay", std::string(formula(r.decay)) + "; s = 1"}};
}
Slots slots(const SignumRule& r) {
  return {{"update", "m <- b*m + (1-b)*G; O = sign(m)"},
          {"decay", std::string(formula(r.decay)) + "; s = 1"}};
}
Slots slots(const ShampooRule& /*r*/) {
  return {{"momentum", "m <- beta1*m + (1-beta1)*G, over 1-beta1^t"},
          {"factors",
           "L <- beta2*L + (1-beta2)*G*G^T; R <- beta2*R + "
           "(1-beta2)*G^T*G, over 1-beta2^t"},
          {"update", "O = (L + eps*l1*I)^-e m (R + eps*r1*I)^-e"},
          {"graft", "O has the length of m (sgd) or of Adam's update (adam)"},
          {"decay", std::string(formula(Decay::kDecoupled)) + "; s = 1"}};
}
Slots slots(const SoapRule& /*r*/) {
  return {{"basis",
           "eigenvectors Q of L, R (EMAs of G*G^T, G^T*G), by one QR "
           "step every `refresh` steps"},
          {"moments", "Adam's m and v of G' = QL^T G QR"},
          {"update",
           "O = QL (m/(sqrt(v) + eps)) QR^T, times "
           "sqrt(1-beta2^t)/(1-beta1^t)"},
          {"decay", std::string(formula(Decay::kAfter)) + "; s = 1"}};
}
Slots slots(const DionRule& /*r*/) {
  return {{"momentum", "B <- B + G; after the step B <- B - (1-mu)*P*R^T"},
          {"direction",
           "P = qr(B*Q); R = B^T*P; Q <- R with unit columns; O = "
           "P*Q^T"},
          {"scale", "s = sqrt(out/in)"},
          {"decay", std::string(formula(Decay::kDecoupled))}};
}
Slots slots(const Dion2Rule& r) {
  return {{"momentum", "B <- B + G; the slices taken decay by mu afterwards"},
          {"direction",
           concat("O = msign of the slices of the short side with the largest "
                  "1-norm: ",
                  polar_text(r.polar))},
          {"scale", "s = sqrt(out/in), of the full shape"},
          {"decay", std::string(formula(Decay::kDecoupled))}};
}
Slots slots(const MuownRule& r) {
  return {{"form", "W_i = g_i*v_i/|v_i|"},
          {"directions", concat("v <- v - lr*0.2*sqrt(max(out,in))*msign(EMA "
                                "of v's gradient): ",
                                polar_text(r.polar))},
          {"gains", "g <- g - lr*Adam(g's gradient); g <- (1 - lr*wd)*g"}};
}

// State for a matrix of out x in, in words.
std::string state_text(const UpdateRule& rule) {
  // Two primes tell the sides apart.
  constexpr std::int64_t kOut = 7;
  constexpr std::int64_t kIn = 5;
  std::vector<std::string> parts;
  for (const StateSlot& slot : state_slots(rule, kOut, kIn)) {
    std::string shape = "as the weight";
    if (slot.kind == StateSlot::Kind::kPerRow) shape = "one per row";
    if (slot.kind == StateSlot::Kind::kOwn) {
      std::vector<std::string> sides;
      for (const std::int64_t d : slot.shape) {
        sides.push_back(d == kOut ? "out" : d == kIn ? "in" : "rank");
      }
      shape = sides.empty() ? "one number" : core::join(sides, " x ");
    }
    parts.push_back(slot.name + " (" + shape + ")");
  }
  return core::join(parts, ", ");
}

Slots slots_of(const UpdateRule& rule) {
  return std::visit([](const auto& r) { return slots(r); }, rule);
}

}  // namespace

std::string rule_table() {
  std::vector<std::vector<std::string>> rows = {
      {"rule", "lr", "decay", "what it is"}};
  for (const Preset& p : presets()) {
    rows.push_back({p.name, core::shortest(p.options.lr()),
                    core::shortest(p.options.weight_decay()), p.about});
  }
  return core::aligned_table(rows);
}

std::string rule_page(const Preset& p) {
  std::string text = concat(p.name, ": ", p.about, "\nsource: ", p.source,
                            "\n\nIn order of execution, for a matrix W of out "
                            "x in with gradient G:\n");
  std::vector<std::vector<std::string>> rows = {{"slot", "formula"}};
  for (const auto& [slot, formula] : slots_of(p.options.update())) {
    rows.push_back({slot, formula});
  }
  text += core::aligned_table(rows);
  text += concat("\nstate: ", state_text(p.options.update()),
                 " (float32; float64 for float64 weights)\n\n");
  rows = {{"option", "default", "meaning", "range"},
          {"lr", core::shortest(p.options.lr()), "learning rate per step",
           "0 or more"},
          {"weight_decay", core::shortest(p.options.weight_decay()), "wd above",
           "0 or more"}};
  UpdateRule rule = p.options.update();
  for (const Option& option : options_of(rule)) {
    if (!option.applies) continue;
    rows.push_back(
        {option.name, option_text(option.get()), option.about, option.range});
  }
  return text + core::aligned_table(rows);
}

formats::Json rule_json(const Preset& p) {
  using formats::Json;
  Json slots = Json::array();
  for (const auto& [slot, formula] : slots_of(p.options.update())) {
    slots.push_back({{"slot", slot}, {"formula", formula}});
  }
  Json options = Json::array();
  UpdateRule rule = p.options.update();
  for (const Option& option : options_of(rule)) {
    if (!option.applies) continue;
    options.push_back({{"name", option.name},
                       {"default", option_json(option.get())},
                       {"range", option.range},
                       {"about", option.about}});
  }
  return {{"name", p.name},
          {"about", p.about},
          {"source", p.source},
          {"lr", formats::json_number(p.options.lr())},
          {"weight_decay", formats::json_number(p.options.weight_decay())},
          {"slots", slots},
          {"options", options},
          {"state", state_text(p.options.update())}};
}

}  // namespace muonlab::optim
