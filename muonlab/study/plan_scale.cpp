// A plan made smaller: width, feed-forward, batch, held-out windows, vocabulary
// and tokens by the same factor, so that passes over the data keep their
// number; steps and schedule stay. Micro-batches, which save memory alone, go.
#include <algorithm>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/study/plan_values_internal.h"

namespace muonlab::study::detail {

namespace {

// What shrinks by the scale; an integer that it does not divide is refused.
const std::vector<std::string>& shrinking_keys() {
  static const std::vector<std::string> kKeys = {"model.width", "model.hidden",
                                                 "model.vocabulary",
                                                 "train.batch", "eval.windows"};
  return kKeys;
}

std::int64_t divided(std::int64_t value, std::int64_t scale,
                     const std::string& key, const std::string& where) {
  if (value % scale != 0) {
    wrong(where,
          concat("--scale ", scale, ": does not divide ", key, " = ", value));
  }
  return value / scale;
}

void shrink(DataRecipe& recipe, std::int64_t scale, const std::string& where) {
  recipe.tokens = divided(recipe.tokens, scale, "study.data.tokens", where);
  recipe.vocabulary =
      divided(recipe.vocabulary, scale, "study.data.vocabulary", where);
  // A tokenizer file has its own vocabulary; a smaller one must be trained.
  if (recipe.vocabulary > 0) recipe.tokenizer = "bpe";
}

}  // namespace

void shrink(StudyPlan& plan, std::int64_t scale) {
  const std::string where = plan.path.string();
  if (scale < 1)
    wrong(where, concat("--scale: got ", scale, ", expected 1 or more"));
  std::erase_if(plan.arms, [&](const ArmPlan& arm) {
    return arm.only_scaled && scale == 1;
  });
  if (std::ranges::none_of(plan.arms, [&](const ArmPlan& arm) {
        return arm.name == plan.baseline;
      })) {
    wrong(where, concat("study.baseline: arm '", plan.baseline,
                        "' is left out without a --scale (only_scaled)"));
  }
  if (scale == 1) return;
  plan.scale = scale;
  plan.name = concat(plan.name, "-scale", scale);
  train::RunConfig& base = plan.base;
  base.data_path = concat(base.data_path, "-scale", scale);
  base.model.width = divided(base.model.width, scale, "model.width", where);
  base.model.hidden = divided(base.model.hidden, scale, "model.hidden", where);
  base.model.vocabulary =
      divided(base.model.vocabulary, scale, "model.vocabulary", where);
  base.batch = divided(base.batch, scale, "train.batch", where);
  base.eval_windows = divided(base.eval_windows, scale, "eval.windows", where);
  base.accumulation = 1;
  for (CasePlan& one : plan.cases) {
    if (one.recipe) shrink(*one.recipe, scale, where);
    std::erase_if(one.settings, [](const auto& setting) {
      return setting.first == "train.accumulation";
    });
    for (auto& [key, value] : one.settings) {
      const auto& keys = shrinking_keys();
      // A value of another type is refused where the case is checked.
      if (value.is_number_integer() &&
          std::find(keys.begin(), keys.end(), key) != keys.end()) {
        value = divided(value.get<std::int64_t>(), scale, key, where);
      }
      if (key == "data.path" && value.is_string()) {
        value = concat(value.get<std::string>(), "-scale", scale);
      }
    }
  }
  if (plan.recipe) shrink(*plan.recipe, scale, where);
  const auto factor = static_cast<double>(scale);
  for (ArmPlan& arm : plan.arms) {
    if (!arm.width_corrected) continue;
    for (auto* rates : {&arm.hidden, &arm.joint}) {
      for (double& rate : *rates) rate *= factor;
    }
    for (CasePlan& one : plan.cases) {
      for (auto& [name, pair] : one.rates) {
        if (name == arm.name) pair.first *= factor;
      }
    }
  }
}

}  // namespace muonlab::study::detail
