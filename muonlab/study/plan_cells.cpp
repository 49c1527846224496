// From a plan to its cases and cells.
#include <algorithm>
#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/study/plan.h"
#include "muonlab/study/sweep_internal.h"

namespace muonlab::study {

namespace {

// A whole number is written as one, for options that are counts.
formats::Json number_json(double value) {
  if (value == std::floor(value) && std::fabs(value) < 1e15) {
    return static_cast<std::int64_t>(value);
  }
  return value;
}

std::int64_t steps_of(std::int64_t steps, double share) {
  return std::max<std::int64_t>(
      1, std::llround(share * static_cast<double>(steps)));
}

std::size_t cells_of_case(const StudyPlan& plan, const CasePlan& one) {
  std::size_t cells = one.horizons.size() * plan.final_seeds.size();
  for (const ArmPlan& arm : plan.arms) {
    const bool given = !one.rates_from.empty() || one.given(arm.name);
    cells += (given ? 0 : planned_trials(plan, arm)) + plan.final_seeds.size() +
             (plan.timing_steps > 0 ? 1 : 0);
  }
  return cells;
}

}  // namespace

bool ArmPlan::is_fixed() const {
  const auto all = detail::keys_of(*this);
  return std::all_of(all.begin(), all.end(),
                     [](const auto& key) { return key.grid.size() == 1; });
}

std::optional<Trial> CasePlan::given(const std::string& arm) const {
  for (const auto& [of, pair] : rates) {
    if (of == arm) {
      return Trial{.hidden = pair.first, .auxiliary = pair.second};
    }
  }
  return std::nullopt;
}

std::size_t planned_trials(const StudyPlan& plan, const ArmPlan& arm) {
  if (arm.is_fixed()) return 0;
  const auto keys = detail::keys_of(arm);
  auto trials = static_cast<std::size_t>(plan.search.extensions);
  if (plan.search.method != "grid") {
    // Every key's first value is among the trials of the key before.
    for (const auto& key : keys) trials += key.grid.size();
    trials -= keys.size() - 1;
    // At most two neighbours each in a later pass.
    return trials +
           2 * keys.size() * static_cast<std::size_t>(plan.search.passes - 1);
  }
  std::size_t candidates = 1;
  for (const auto& key : keys) candidates *= key.grid.size();
  std::size_t discarded = 0;
  for (std::size_t i = 0; i < plan.search.rungs.size(); ++i) {
    trials += candidates;
    const auto kept = static_cast<std::size_t>(
        std::ceil(plan.search.keep * static_cast<double>(candidates)));
    discarded += candidates - kept;
    candidates = kept;
  }
  return trials + candidates +
         std::min(discarded, static_cast<std::size_t>(plan.search.audit));
}

std::size_t planned_cells(const StudyPlan& plan) {
  if (plan.cases.empty()) return cells_of_case(plan, {});
  std::size_t cells = 0;
  for (const CasePlan& one : plan.cases) {
    cells += cells_of_case(plan, one);
  }
  return cells;
}

StudyPlan plan_of_case(const StudyPlan& plan, const CasePlan& one) {
  StudyPlan single = plan;
  single.cases.clear();
  single.name = concat(plan.name, "/", one.name);
  if (one.recipe) single.recipe = one.recipe;
  train::Fields fields = train::fields_of(single.base);
  for (const auto& [key, value] : one.settings) {
    fields.set(key, value,
               concat(plan.path.string(), ": case '", one.name, "'"));
  }
  for (const auto& [name, settings] : one.arms) {
    for (ArmPlan& arm : single.arms) {
      if (arm.name != name) continue;
      arm.settings.insert(arm.settings.end(), settings.begin(), settings.end());
    }
  }
  return single;
}

train::RunConfig cell_config(const StudyPlan& plan, const ArmPlan& arm,
                             const std::string& phase, std::int64_t seed,
                             const Trial& trial) {
  train::RunConfig config = plan.base;
  train::Fields fields = train::fields_of(config);
  const std::string where =
      concat(plan.path.string(), ": arm '", arm.name, "'");
  config.optim.rule = arm.rule;
  for (const auto& [key, value] : arm.settings) fields.set(key, value, where);
  for (const auto& [key, value] : trial.settings) {
    fields.set(key, number_json(value), where);
  }
  config.optim.lr = trial.hidden;
  config.optim.auxiliary_lr = trial.auxiliary;
  config.seed = seed;
  config.threads = plan.threads.value_or(1);
  const bool reports = phase == "final" || phase == "horizon";
  config.eval_split = reports ? "reporting" : "selection";
  // Where no final runs follow, the trials' own curves are what there is.
  if (phase == "final" || plan.final_seeds.empty()) {
    config.eval_every = plan.final_eval_every;
  }
  config.steps = steps_of(config.steps, trial.length);
  if (phase == "timing") {
    config.steps = plan.timing_steps;
    config.eval_every = 0;
    config.eval_windows = 1;
  }
  return config;
}

}  // namespace muonlab::study
