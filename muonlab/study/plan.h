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

/// An option that an arm's search tries values of.
struct SearchedKey {
  std::string key;             ///< dotted, of [optim]: "optim.weight_decay"
  std::vector<double> values;  ///< the first is held until its turn comes
};

/// What a cell's optimizer is set to.
struct Trial {
  double hidden = 0;
  double auxiliary = 0;
  /// Values of the arm's searched keys, in the plan's order.
  std::vector<std::pair<std::string, double>> settings = {};
  double length = 1;  ///< share of the plan's steps
  auto operator<=>(const Trial&) const = default;
};

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
  /// With `joint`: the auxiliary rate as a multiple of the joint one.
  double auxiliary_ratio = 1;
  std::vector<SearchedKey> keys;  ///< searched after the rates, in this order
  /// Under --scale S this arm's hidden and joint rates, and those that a case
  /// gives it, are multiplied by S. (A model whose width is S times smaller
  /// takes AdamW rates that are about S times larger; Yang et al., arXiv
  /// 2203.03466.)
  bool width_corrected = false;
  bool only_scaled = false;  ///< without a scale the arm is left out
  /// Further settings of this arm, as dotted keys of [optim].
  std::vector<std::pair<std::string, formats::Json>> settings;

  [[nodiscard]] bool is_joint() const { return !joint.empty(); }
  /// Every rate has one value and nothing else is searched: there is nothing
  /// to choose, so no search is run.
  [[nodiscard]] bool is_fixed() const;
};

/// How every arm's settings are searched.
struct SearchPlan {
  /// "coordinates": one key after the other, the others held; "grid": all
  /// combinations.
  std::string method = "coordinates";
  std::int64_t extensions = 1;  ///< trials added to every arm's search
  /// Coordinates: a held value moves only for a loss lower by more than this.
  double threshold = 0;
  /// Coordinates: turns through all of them; from the second on, the values
  /// beside the held one are tried.
  std::int64_t passes = 1;
  /// Grid: shares of the steps, ascending, of short and fully decayed runs;
  /// after each, `keep` of the trials (rounded up) go on. Empty: none.
  std::vector<double> rungs;
  double keep = 0.5;
  /// Grid with rungs: discarded trials of each arm that are finished all the
  /// same, to see what was thrown away.
  std::int64_t audit = 2;
};

/// How the dataset is made when its folder is missing.
struct DataRecipe {
  std::string corpus;
  std::string tokenizer = "bpe";  ///< "bpe", "bytes" or a file
  std::int64_t vocabulary = 0;
  std::int64_t documents = 0;   ///< 0: all
  std::int64_t characters = 0;  ///< of each document; 0: all
  std::int64_t tokens = 0;      ///< 0: all
  bool separator = true;
  double held_out = 0.1;
  std::string split = "documents";  ///< or "windows"
};

/// Everything but the optimizer that differs inside a study: a size, a horizon,
/// a repaired mistake. Every arm is tuned and run in every case.
struct CasePlan {
  std::string name;  ///< a folder's name
  std::string title;
  std::vector<std::pair<std::string, formats::Json>> settings;  ///< dotted keys
  /// No search: every arm takes the settings that it was given in this earlier
  /// case. Empty: searched here, unless `rates` names the arm.
  std::string rates_from;
  /// By arm, its hidden and auxiliary rate here; such an arm is not searched.
  std::vector<std::pair<std::string, std::pair<double, double>>> rates;
  /// By arm, further keys of [optim] here.
  std::vector<std::pair<std::string,
                        std::vector<std::pair<std::string, formats::Json>>>>
      arms;
  /// Changes of the study's data recipe.
  std::optional<DataRecipe> recipe;
  [[nodiscard]] std::optional<Trial> given(const std::string& arm) const;
  /// Shares of the steps at which the baseline runs as well, fully decayed, on
  /// the final seeds: what the data speed-up is read from. Empty: none.
  std::vector<double> horizons;
};

struct StudyPlan {
  std::filesystem::path path;
  std::string name;  ///< names the folders
  std::string title;
  std::string baseline = "adamw";
  std::int64_t search_seed = 0;
  std::vector<std::int64_t> final_seeds;
  SearchPlan search;
  /// Times smaller than the plan says: width, feed-forward, batch, held-out
  /// windows, and the recipe's vocabulary and tokens. 1: as it says.
  std::int64_t scale = 1;
  /// What the report adds: "" or "published-1", "published-2" (the figures and
  /// tables of the study that the project starts from).
  std::string report;
  std::optional<DataRecipe> recipe;
  std::vector<CasePlan> cases;  ///< empty: the base alone
  /// Runs side by side, and threads of each. Not set: settle_parallel()
  /// decides.
  std::optional<std::int64_t> jobs;
  std::optional<std::int64_t> threads;
  std::int64_t final_eval_every = 0;  ///< steps between evaluations of a final
  std::int64_t timing_steps = 40;     ///< of the timing run of each arm
  train::RunConfig base;              ///< what all arms share
  std::vector<ArmPlan> arms;
};

/// Reads and checks a plan, `scale` times smaller. `overrides` are "KEY=VALUE",
/// with keys of the run configuration or of [study]. Throws
/// Error(kInvalidArgument) with file and line: unknown keys (nearest name
/// suggested), duplicate arms, a baseline that is no arm, empty or unordered
/// grids, rates that are not positive, final seeds given twice or equal to the
/// search seed.
[[nodiscard]] StudyPlan read_plan(
    const std::filesystem::path& path,
    const std::vector<std::string>& overrides = {}, std::int64_t scale = 1);

/// The plan of one case: no cases, its settings in the base, its name behind
/// the study's: "NAME/CASE".
[[nodiscard]] StudyPlan plan_of_case(const StudyPlan& plan,
                                     const CasePlan& one);

/// Search trials (rungs, audits and extensions included) of an arm; the most
/// there can be, where later passes may meet trials that ran already.
[[nodiscard]] std::size_t planned_trials(const StudyPlan& plan,
                                         const ArmPlan& arm);
/// Search trials, final, horizon and timing runs of all arms and cases.
[[nodiscard]] std::size_t planned_cells(const StudyPlan& plan);

/// The run configuration of one cell; `phase` is "search", "final", "horizon"
/// or "timing". With one thread as long as plan.threads is not settled.
[[nodiscard]] train::RunConfig cell_config(const StudyPlan& plan,
                                           const ArmPlan& arm,
                                           const std::string& phase,
                                           std::int64_t seed,
                                           const Trial& trial);

}  // namespace muonlab::study
