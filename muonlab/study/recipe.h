// Making a plan's dataset from its recipe.
#pragma once

#include <functional>
#include <string>

#include "muonlab/study/plan.h"

namespace muonlab::study {

/// Makes the dataset in the plan's data.path by its recipe, unless a dataset is
/// there. A tokenizer that has to be trained learns from the training
/// documents. Where windows are split or documents cut, it learns from all of
/// the corpus, and lies beside the dataset: PATH.tokenizer.json. Throws
/// Error(kInvalidArgument) when the folder is missing and the plan has no
/// recipe, and what reading, training and preparing throw.
void ensure_dataset(const StudyPlan& plan,
                    const std::function<void(const std::string&)>& say);

/// The recipe as a command of `muonlab data prepare`.
[[nodiscard]] std::string recipe_command(const DataRecipe& recipe,
                                         const std::string& path);

}  // namespace muonlab::study
