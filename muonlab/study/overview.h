// The report of a study with cases: what holds in which of them.
#pragma once

#include <filesystem>

#include "muonlab/study/report.h"
#include "muonlab/study/results.h"

namespace muonlab::study {

/// Writes report.html, report.md, results.csv, results.json and plots/ into
/// `folder`; the report of each case is expected in folder/CASE. Throws as
/// write_report(), and Error(kInvalidArgument) for a study without cases.
ReportFiles write_overview(const StudyResults& results,
                           const std::filesystem::path& folder,
                           const std::filesystem::path& vega_bundle);

}  // namespace muonlab::study
