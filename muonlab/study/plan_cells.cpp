// From a plan to its cells.
#include "muonlab/core/error.h"
#include "muonlab/study/plan.h"

namespace muonlab::study {

std::size_t planned_cells(const StudyPlan& plan) {
  std::size_t cells = 0;
  for (const ArmPlan& arm : plan.arms) {
    cells += arm.planned_trials() + static_cast<std::size_t>(plan.extensions) +
             plan.final_seeds.size() + (plan.timing_steps > 0 ? 1 : 0);
  }
  return cells;
}

train::RunConfig cell_config(const StudyPlan& plan, const ArmPlan& arm,
                             const std::string& phase, std::int64_t seed,
                             Rates rates) {
  train::RunConfig config = plan.base;
  train::Fields fields = train::fields_of(config);
  config.optim.rule = arm.rule;
  for (const auto& [key, value] : arm.settings) {
    fields.set(key, value,
               concat(plan.path.string(), ": arm '", arm.name, "'"));
  }
  config.optim.lr = rates.hidden;
  config.optim.auxiliary_lr = rates.auxiliary;
  config.seed = seed;
  config.threads = plan.threads.value_or(1);
  config.eval_split = phase == "final" ? "reporting" : "selection";
  if (phase == "final") config.eval_every = plan.final_eval_every;
  if (phase == "timing") {
    config.steps = plan.timing_steps;
    config.eval_every = 0;
    config.eval_windows = 1;
  }
  return config;
}

}  // namespace muonlab::study
