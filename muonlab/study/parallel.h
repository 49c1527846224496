// How a study uses the cores: how many runs side by side, how many threads
// each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "muonlab/study/plan.h"

namespace muonlab::study {

/// A way to use the cores.
struct Form {
  std::int64_t jobs = 1;     ///< runs side by side
  std::int64_t threads = 1;  ///< of each run
  bool operator==(const Form&) const = default;
};

/// A form and the training tokens per second of all its runs together.
struct FormSpeed {
  Form form;
  double tokens_per_second = 0;
};

/// What a study uses, and why. The thread count decides bits and is part of
/// every run's identity; the number of runs side by side decides none.
struct Parallel {
  Form form;
  std::string reason;               ///< for people, one line
  std::string machine;              ///< where it was chosen
  std::vector<FormSpeed> measured;  ///< empty when nothing was measured
};

/// "2 runs side by side, 1 thread each" or "one run at a time, 2 threads each".
[[nodiscard]] std::string form_text(Form form);

/// The forms worth measuring: one thread per run on every core (first: the
/// default), one run on all cores, and the powers of two between.
[[nodiscard]] std::vector<Form> forms_of(std::int64_t cores);

/// The fastest form, if it leads the first one by more than what such a short
/// measurement may err by; else the first. Throws Error(kInvalidArgument) on
/// an empty list.
[[nodiscard]] Parallel choose_form(const std::vector<FormSpeed>& measured,
                                   const std::string& machine);

/// What was stored; nothing when the file is not there. Throws
/// Error(kCorruptData) on a file that is no such record.
[[nodiscard]] std::optional<Parallel> read_parallel(
    const std::filesystem::path& file);
void write_parallel(const std::filesystem::path& file,
                    const Parallel& parallel);

/// Where and with what settle_parallel() works.
struct ParallelContext {
  std::filesystem::path file;  ///< the record
  std::int64_t cores = 1;      ///< of this machine
  std::string machine;
  bool execute = true;  ///< false: nothing is measured, written or said
  /// Speeds of these forms; empty when the study's runs cannot be measured.
  std::function<std::vector<FormSpeed>(const std::vector<Form>&)> measure;
  std::function<void(const std::string&)> say;
};

/// Decides and sets plan.jobs and plan.threads. A record keeps its thread count
/// whatever the machine is now, unless the plan names another; the plan's own
/// number of jobs goes before the record's. Without a record: what the plan
/// names, else what is measured; the result is then recorded.
Parallel settle_parallel(StudyPlan& plan, const ParallelContext& context);

}  // namespace muonlab::study
