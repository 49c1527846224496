// Running a study: search, final seeds, timing, report.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "muonlab/study/plan.h"
#include "muonlab/study/results.h"

namespace muonlab::study {

struct StudyOptions {
  std::filesystem::path runs = "runs";        ///< cells go to runs/NAME/ID
  std::filesystem::path studies = "studies";  ///< the report to studies/NAME
  bool execute = true;  ///< false: only collect what is there
  std::string command;  ///< for the report
  /// Called with a line whenever something happened.
  std::function<void(const std::string&)> say;
};

/// Runs what is not done yet, as processes side by side, and returns everything
/// measured, case by case (one of its own where the plan has no cases; cells of
/// a case go to runs/NAME/CASE/ID). What the plan leaves open of jobs and
/// threads is measured before the first cell and recorded in
/// runs/NAME/parallel.json. A cell whose folder holds a finished run of the
/// same identity is not run again, so a stopped study goes on where it was.
///
/// Several processes, on one machine or on several over one shared folder, can
/// run one study together: each cell is claimed by one of them (claim.h), and
/// what another one finished is taken as it is. A dataset that is missing is
/// made where the plan has a recipe.
///
/// A cell that a signal or an internal fault ended is run once more, and then
/// left; the other cells go on, and the study ends with an error that names it.
///
/// Throws Error: kInterrupted after SIGINT or SIGTERM (running cells finish
/// their step first), kIo and kCorruptData for data and folders, and the kind
/// of a cell that failed, with its last words. Diverged cells are results, not
/// errors.
[[nodiscard]] StudyResults run_study(const StudyPlan& plan,
                                     const StudyOptions& options);

/// studies/NAME of a plan.
[[nodiscard]] std::filesystem::path study_folder(const StudyPlan& plan,
                                                 const StudyOptions& options);

}  // namespace muonlab::study
