// The plans that repeat the study "Muon vs AdamW" as it was coded, read from
// the repository, so that a change in them is caught.
#pragma once

#include <string>

#include "muonlab/core/error.h"
#include "muonlab/study/plan.h"
#include "muonlab/study/sweep_internal.h"

namespace muonlab::study {

inline StudyPlan published_plan(int experiment) {
  return read_plan(concat(MUONLAB_SOURCE, "/configs/seed-exp", experiment,
                          "-as-coded.toml"));
}

/// Experiment 2 at one of its sizes: "tiny", "small", "medium", "large".
inline StudyPlan published_size(const std::string& name) {
  const StudyPlan plan = published_plan(2);
  for (const CasePlan& one : plan.cases) {
    if (one.name == name) return plan_of_case(plan, one);
  }
  throw Error(ErrorKind::kInternal, concat("no case '", name, "'"));
}

inline const ArmPlan& arm_of(const StudyPlan& plan, const std::string& name) {
  for (const ArmPlan& arm : plan.arms) {
    if (arm.name == name) return arm;
  }
  throw Error(ErrorKind::kInternal, concat("no arm '", name, "'"));
}

/// Resolved, with the vocabulary of the recipe's tokenizer.
inline train::RunConfig cell_of(const StudyPlan& plan, const std::string& arm,
                                double rate, const std::string& phase,
                                std::int64_t seed) {
  const ArmPlan& one = arm_of(plan, arm);
  const auto keys = detail::keys_of(one);
  train::RunConfig config =
      cell_config(plan, one, phase, seed, detail::trial_of(one, keys, {rate}));
  config.model.vocabulary = plan.recipe->vocabulary;
  train::resolve(config);
  return config;
}

}  // namespace muonlab::study
