// A study's plan: what configs/quick.toml says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "muonlab/formats/json.h"
#include "muonlab/train/run_config.h"

namespace muonlab::study {

/// One optimizer under comparison. Either `joint` is set (one rate for all
/// parameters), or `hidden` and `auxiliary` are.
struct ArmPlan {
  std::string name;
  std::string rule;  ///< preset of the hidden matrices
  std::string description;
  std::vector<double> hidden;  ///< rates of the hidden matrices, ascending
  std::vector<double>
      auxiliary;  ///< the first is held while `hidden` is searched
  std::vector<double> joint;
  /// Further settings of this arm, as dotted keys of [optim].
  std::vector<std::pair<std::string, formats::Json>> settings;

  [[nodiscard]] bool is_joint() const { return !joint.empty(); }
  /// Search trials that the plan names, extensions not counted.
  [[nodiscard]] std::size_t planned_trials() const {
    return is_joint() ? joint.size() : hidden.size() + auxiliary.size() - 1;
  }
};

struct StudyPlan {
  std::filesystem::path path;
  std::string name;  ///< names the folders
  std::string title;
  std::string baseline = "adamw";
  std::int64_t search_seed = 0;
  std::vector<std::int64_t> final_seeds;
  std::int64_t extensions = 1;  ///< trials added to every arm's search
  /// Runs side by side, and threads of each. Not set: settle_parallel()
  /// decides.
  std::optional<std::int64_t> jobs;
  std::optional<std::int64_t> threads;
  std::int64_t final_eval_every = 0;  ///< steps between evaluations of a final
  std::int64_t timing_steps = 40;     ///< of the timing run of each arm
  train::RunConfig base;              ///< what all arms share
  std::vector<ArmPlan> arms;
};

/// Reads and checks a plan. `overrides` are "KEY=VALUE", with keys of the run
/// configuration or of [study]. Throws Error(kInvalidArgument) with file and
/// line: unknown keys (nearest name suggested), duplicate arms, a baseline that
/// is no arm, empty or unordered grids, rates that are not positive, final
/// seeds given twice or equal to the search seed.
[[nodiscard]] StudyPlan read_plan(
    const std::filesystem::path& path,
    const std::vector<std::string>& overrides = {});

/// Search trials (extensions included), final and timing runs of all arms.
[[nodiscard]] std::size_t planned_cells(const StudyPlan& plan);

/// The rates of one trial.
struct Rates {
  double hidden = 0;
  double auxiliary = 0;
  auto operator<=>(const Rates&) const = default;
};

/// The run configuration of one cell; `phase` is "search", "final" or "timing".
/// With one thread as long as plan.threads is not settled.
[[nodiscard]] train::RunConfig cell_config(const StudyPlan& plan,
                                           const ArmPlan& arm,
                                           const std::string& phase,
                                           std::int64_t seed, Rates rates);

}  // namespace muonlab::study
