#include <stdexcept>

#include "tests/reference/case_choices.h"

namespace muonlab::reference {

namespace {

using namespace std::string_literals;  // a plain literal would become a bool

double number_in(const Options& options, const std::string& name) {
  return std::get<double>(options.at(name));
}

bool without_contradiction(const Options& row, const Options& all) {
  const auto word = [&all](const std::string& name) {
    const auto found = all.find(name);
    return found == all.end() ? ""s : std::get<std::string>(found->second);
  };
  if (word("polar_method") == "svd" || word("polar_method") == "qdwh") {
    for (const auto* option : {"polar_coefficients", "polar_steps",
                               "polar_norm", "polar_eps", "polar_eps_mode"}) {
      if (row.contains(option)) return false;
    }
  }
  if (row.contains("rank") && row.contains("rank_fraction")) return false;
  const bool decays = number_in(all, "weight_decay") != 0;
  if (word("decay") == "constrained" && decays) return false;
  const std::string scale = word("scale");
  if (scale == "s9" || scale == "hyperball") {
    return !decays && word("decay") == "decoupled";
  }
  // NAMO's length is that of an ema buffer which is also the direction.
  return scale != "namo" || (word("momentum_form") == "ema" &&
                             !std::get<bool>(all.at("nesterov")));
}

}  // namespace

Options complete(const std::string& rule, const Options& row) {
  Options options = row;
  if (rule == "muonclip") options.insert({"qk_clip", 0.0});
  if (rule == "torch-muon" || rule == "dion-muon") {
    const auto direction = row.find("direction");
    if (direction == row.end() || direction->second == Value("polar"s)) {
      options.insert({"polar_dtype", "auto"s});
    }
  }
  return options;
}

bool is_allowed(const std::string& rule, const Options& row) {
  try {
    return without_contradiction(row,
                                 resolved_options(rule, complete(rule, row)));
  } catch (const std::invalid_argument&) {
    return false;
  }
}

}  // namespace muonlab::reference
