// From run folders to what the report reads.
#pragma once

#include <filesystem>
#include <string>

#include "muonlab/core/error.h"
#include "muonlab/data/dataset.h"
#include "muonlab/study/plan.h"
#include "muonlab/study/results.h"

namespace muonlab::study {

/// Fills `cell` from a run folder that holds a finished or diverged run of
/// this identity; false when it holds none. Throws Error(kCorruptData) on a
/// damaged summary or metrics file.
[[nodiscard]] bool read_finished(const std::filesystem::path& folder,
                                 const std::string& identity, Cell& cell);

/// The error of a cell whose process failed: the kind of its exit code, with
/// the last words it wrote to output.txt.
[[nodiscard]] Error cell_error(const std::string& id,
                               const std::filesystem::path& folder,
                               int exit_code);

/// What the report says of data, model and machine.
[[nodiscard]] Setup describe_setup(const StudyPlan& plan,
                                   const train::RunConfig& config,
                                   const data::Dataset& dataset);

/// What the report says of a case.
void describe_case(const CasePlan& one, Setup& setup);

/// The command that makes a dataset like this one.
[[nodiscard]] std::string prepare_command(const StudyPlan& plan,
                                          const data::DatasetInfo& info);

/// By arm. Within an arm the order is the plan's already; between arms it is
/// that in which results came, which differs from time to time. Also adds up
/// the wall time.
void finish_cells(const StudyPlan& plan, Results& results);

}  // namespace muonlab::study
