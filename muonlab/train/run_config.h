// The configuration of one training run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "muonlab/nn/fused_options.h"
#include "muonlab/nn/model_config.h"
#include "muonlab/optim/schedule.h"
#include "muonlab/train/fields.h"
#include "muonlab/train/rule_settings.h"

namespace muonlab::optim {
class GroupOptions;  // of presets.h, which includes LibTorch
}

namespace muonlab::train {

/// Parameters by name pattern that get options of their own; what is not set
/// is that of the hidden or the auxiliary parameters.
struct GroupConfig {
  std::string pattern;              ///< `*` stands for any text
  std::optional<std::string> rule;  ///< a preset
  std::optional<double> lr;
  std::optional<double> weight_decay;
  RuleSettings options;
};

/// What is not set takes the rule's own default; an option that the rule does
/// not have is an error.
struct OptimConfig {
  std::string rule = "muon";  ///< preset for the hidden matrices
  std::optional<double> lr;
  std::optional<double> weight_decay;
  RuleSettings options;
  /// Logical matrices of fused weights: "parts" (query, key, value, gate, up),
  /// "heads" (a matrix per attention head), "whole" (as stored).
  std::string blocks = "parts";

  std::string auxiliary_rule = "adamw";  ///< for embedding, head, gains
  double auxiliary_lr = 8e-3;
  double auxiliary_weight_decay = 0;
  RuleSettings auxiliary_options;
  std::map<std::string, GroupConfig> groups;  ///< [optim.groups.NAME]
};

struct RunConfig {
  std::string data_path;  ///< folder made by `muonlab data prepare`
  /// "documents": held-out documents. "windows": the dataset is one text whose
  /// overlapping windows are divided at random, so that every held-out token is
  /// trained on too; must be the dataset's own kind.
  std::string data_split = "documents";
  nn::ModelConfig model;
  OptimConfig optim;
  std::string schedule_shape = "trapezoid";
  double schedule_warmup = 0.1;  ///< share of the steps
  double schedule_decay = 0.5;   ///< share of the steps (trapezoid)
  double schedule_floor = 0;     ///< share of the peak rate
  /// The schedule's length in multiples of the run's. Above 1 the run ends
  /// before the schedule does, as in a study that sized it in micro-batches;
  /// warm-up and decay are shares of the schedule.
  double schedule_length = 1;
  bool schedule_from_zero = false;  ///< see optim::Schedule::warmup_from_zero
  /// Momentum of the first step under matrix rules; not set: no warm-up.
  std::optional<double> momentum_start;
  std::optional<double> momentum_warmup;  ///< share of the steps
  std::int64_t steps = 240;               ///< optimizer steps
  std::int64_t batch = 16;                ///< sequences per optimizer step
  std::int64_t accumulation = 1;          ///< micro-batches per optimizer step
  double clip = 1;  ///< largest gradient norm; 0: no clipping
  std::int64_t seed = 0;
  /// The run ends as diverged when its loss was above stop_ratio times the
  /// lowest one for stop_patience steps in a row, from step stop_after on;
  /// ratio 0: never.
  double stop_ratio = 0;
  std::int64_t stop_after = 100;
  std::int64_t stop_patience = 11;
  /// "fused" (our CPU kernels) or "plain" (LibTorch's operators and autograd).
  std::string layers = "fused";
  std::string precision = "float32";  ///< see nn::Precision; fused layers only
  bool checkpointing = false;   ///< see nn::FusedOptions; fused layers only
  std::int64_t threads = 0;     ///< of LibTorch; 0: as it finds the machine
  std::int64_t log_every = 10;  ///< steps between progress lines
  std::string eval_split = "reporting";  ///< "selection" or "reporting"
  std::int64_t eval_windows = 1024;      ///< of `context` tokens; 0: all,
                                         ///< at most 1,024
  std::int64_t eval_every = 0;           ///< steps; 0: at the end only
  std::int64_t diagnostics_every = 10;   ///< steps; 0: never
  std::int64_t spectra_every = 0;        ///< steps; 0: never
  std::string spectra = "*";             ///< matrices whose spectra are taken
};

/// The table of all keys, for parsing, help and printing.
[[nodiscard]] Fields fields_of(RunConfig& config);

/// Reads a TOML file, then the overrides ("a.b=c"). Keys under `skip` (such as
/// "study") are left to their reader. Throws on unknown keys.
[[nodiscard]] RunConfig read_run_config(
    const std::filesystem::path& path,
    const std::vector<std::string>& overrides = {},
    const std::string& skip = "");

/// Checks everything that needs no data, and fills in the rule's defaults, so
/// that printing shows what will run. Throws Error(kInvalidArgument).
void resolve(RunConfig& config);

[[nodiscard]] optim::GroupOptions hidden_options(const OptimConfig& config);
[[nodiscard]] optim::GroupOptions auxiliary_options(const OptimConfig& config);
[[nodiscard]] optim::Schedule schedule_of(const RunConfig& config);
/// What train.layers = fused computes with.
[[nodiscard]] nn::FusedOptions fused_options(const RunConfig& config);

/// SHA-256 of everything that decides the numbers of a run: the resolved
/// configuration (thread count included), the dataset's hash, the versions of
/// LibTorch and of our numerics, the road that float products take.
[[nodiscard]] std::string run_identity(RunConfig config,
                                       const std::string& dataset_hash);

}  // namespace muonlab::train
