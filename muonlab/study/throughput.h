// How many tokens per second a study's own runs make, in each form.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "muonlab/study/parallel.h"
#include "muonlab/study/plan.h"

namespace muonlab::study {

/// Trains a few steps of up to two arms of different rules, in every form, as
/// processes of this program, twice in turns, with all the form's runs side by
/// side. The better of the two rounds counts, since noise only slows; speeds of
/// two arms come together as their harmonic mean, since a study gives each the
/// same tokens. Works in `folder`, which it empties first and removes after.
///
/// Returns an empty list when a run diverges in these few steps: the cells will
/// say so. Throws Error: kInterrupted after SIGINT or SIGTERM, and the kind of
/// a run that failed, with its last words.
[[nodiscard]] std::vector<FormSpeed> measure_speeds(
    const StudyPlan& plan, const std::vector<Form>& forms,
    const std::filesystem::path& folder);

/// settle_parallel() on this machine: measures in `folder`/.measuring, with the
/// record in `folder`/parallel.json.
Parallel settle_here(StudyPlan& plan, const std::filesystem::path& folder,
                     bool execute,
                     const std::function<void(const std::string&)>& say);

}  // namespace muonlab::study
