// The report of a study: for readers (HTML, Markdown) and for machines (CSV,
// JSON, figure specifications).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "muonlab/study/results.h"

namespace muonlab::study {

struct ReportFiles {
  std::filesystem::path html;      ///< report.html, self-contained
  std::filesystem::path markdown;  ///< report.md, the same facts
  std::filesystem::path csv;       ///< results.csv, one row per run
  std::filesystem::path json;      ///< results.json, everything measured
  std::vector<std::filesystem::path> plots;  ///< plots/NAME.vl.json
};

/// Writes the report into `folder`, each file at once or not at all.
///
/// `vega_bundle` is the JavaScript file that scripts/vega_bundle.py writes; it
/// is copied into report.html, which then needs no network. Throws Error(kIo)
/// when a file cannot be read or written; report.html comes last, so a missing
/// bundle costs only that file.
ReportFiles write_report(const Results& results,
                         const std::filesystem::path& folder,
                         const std::filesystem::path& vega_bundle);

/// One row per run, RFC 4180, numbers in the shortest form that reads back;
/// a value that does not exist is empty. Columns: id, arm, phase, seed,
/// hidden_lr, auxiliary_lr, extension (0 or 1), state, loss (nats per token),
/// bits_per_byte, standard_error, initial_loss, clipped_share, wall_seconds,
/// peak_memory_bytes, forward_seconds, backward_seconds, optimizer_seconds,
/// other_seconds (per step), accuracy, flops (of the model, whole run), tokens,
/// length (share of the case's steps), audit (0 or 1), settings ("key=value",
/// joined by ";"), cause.
[[nodiscard]] std::string results_csv(const Results& results);
/// All cases, with the name of the case as a leading column "case".
[[nodiscard]] std::string results_csv(const StudyResults& results);

/// Setup, arms, runs with their curves, and the comparisons with the baseline.
/// Numbers read back exactly; those that are not finite are the strings "nan",
/// "inf" and "-inf"; values that do not exist are null.
[[nodiscard]] std::string results_json(const Results& results);
/// All cases of a study; without cases, the same as above.
[[nodiscard]] std::string results_json(const StudyResults& results);

}  // namespace muonlab::study
