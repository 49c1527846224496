#include "muonlab/optim/rule_table.h"

#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/optim/presets.h"

namespace muonlab::optim {

namespace {

std::string slots(const MatrixRule& r) {
  return concat(r.momentum_form == MomentumForm::kEma ? "EMA " : "heavy ball ",
                r.momentum, r.nesterov ? ", Nesterov" : "", "; ", r.polar.steps,
                " ", r.polar.coefficients, " steps; scale ",
                scale_name(r.scale), " = ", scale_formula(r.scale));
}

std::string slots(const AdamWRule& r) {
  return concat("betas ", r.beta1, ", ", r.beta2, "; eps ",
                core::shortest(r.eps));
}

}  // namespace

std::string rule_table() {
  std::vector<std::vector<std::string>> rows = {
      {"rule", "lr", "decay", "slots"}};
  for (const std::string& name : preset_names()) {
    const GroupOptions options = preset(name);
    rows.push_back(
        {name, core::shortest(options.lr()),
         core::shortest(options.weight_decay()),
         std::visit([](const auto& r) { return slots(r); }, options.update())});
  }
  return core::aligned_table(rows);
}

}  // namespace muonlab::optim
