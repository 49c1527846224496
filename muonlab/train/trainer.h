// One run from configuration to summary.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "muonlab/train/run_config.h"
#include "muonlab/train/summary.h"

namespace muonlab::train {

struct TrainRequest {
  std::filesystem::path out;      ///< run folder
  std::vector<std::string> argv;  ///< for env.json
  bool quiet = false;             ///< nothing on stderr
  bool force = false;             ///< replace a finished run of other identity
  /// Also writes initial.safetensors and windows.safetensors ("starts", int64
  /// (steps, batch)), so that other programs can repeat the run, and the
  /// optimizer's state after the last step (optimizer.safetensors).
  bool dump = false;
  /// Also takes the times of a step's parts and prints them at the end. Throws
  /// Error(kInvalidArgument) under train.layers = plain.
  bool profile = false;
};

/// Trains, evaluates and writes the run folder. A folder that already holds a
/// finished run of the same identity is left alone and its summary returned
/// (`repeated` is set). SIGINT and SIGTERM end the run after the current step
/// with status "interrupted", a non-finite loss or gradient with "diverged";
/// both leave a readable folder. Throws Error on everything else.
struct TrainResult {
  RunSummary summary;
  std::filesystem::path folder;
  bool repeated = false;
};
[[nodiscard]] TrainResult run_training(RunConfig config,
                                       const TrainRequest& request);

/// What `train --dry-run` says: parameters per group, state, FLOPs, tokens and
/// the resolved configuration. Trains nothing and writes nothing.
[[nodiscard]] formats::Json dry_run(RunConfig config);

/// "runs/<rule>-<first eight digits of the identity>-s<seed>".
[[nodiscard]] std::filesystem::path default_run_folder(const RunConfig& config,
                                                       const std::string& id);

}  // namespace muonlab::train
