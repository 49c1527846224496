// Synthetic results of a study with four arms: what the tests of the report
// start from. Numbers are invented, but lie where a small model's would.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/statistics/parabola.h"
#include "muonlab/study/results.h"

namespace muonlab::study::testing {

struct SampleArm {
  std::string name;
  std::string rule;
  double hidden_lr = 0;
  double auxiliary_lr = 0;
  double final_loss = 0;  ///< at the tuned rates, without noise
};

inline constexpr double kInitialLoss = 8.318;  // log(4096)
inline constexpr double kSampleBytesPerToken = 4.1;

inline std::vector<SampleArm> sample_arms() {
  return {{"adamw-joint", "adamw", 2e-3, 2e-3, 4.702},
          {"adamw", "adamw", 2e-3, 4e-3, 4.668},
          {"muon", "muon", 1e-2, 4e-3, 4.606},
          {"muonw", "muonw", 2e-2, 4e-3, 4.588}};
}

inline Setup sample_setup() {
  Setup setup;
  setup.name = "sample";
  setup.title = "Muon against AdamW on presidential addresses";
  setup.baseline = "adamw";
  setup.corpus = "data/sotu: 233 documents, 10.8 MB";
  setup.model = "width 128, 4 layers, 4 heads, context 128, 1.31 M parameters";
  setup.tokenizer = "byte-level BPE, 4,096 entries, trained on the corpus";
  setup.command = "muonlab study run configs/sample.toml";
  setup.machine = "a CPU with AVX-512, 2 cores";
  setup.jobs = 2;
  setup.threads = 1;
  setup.parallel = "2 runs side by side, 1 thread each: study.jobs says so";
  setup.versions = "muonlab 0.1.0, LibTorch 2.13.0, GCC 12.2";
  setup.parameters = 1'311'872;
  setup.hidden_parameters = 786'432;
  setup.steps = 240;
  setup.tokens_per_step = 2048;
  setup.train_tokens = 2'300'000;
  setup.held_out_tokens = 131'072;
  setup.search_seeds = {0};
  setup.final_seeds = {1, 2, 3, 4, 5};
  setup.wall_seconds = 1580;
  setup.not_tuned = {"weight decay", "momentum and betas", "warm-up",
                     "batch size"};
  return setup;
}

inline double noise(std::uint64_t seed, const std::string& purpose,
                    std::uint64_t index) {
  return core::Random(seed, purpose).normal(0, index);
}

inline void add_curves(Cell& cell, const Setup& setup) {
  const auto loss_at = [&](double share) {
    return *cell.loss +
           (cell.initial_loss - *cell.loss) * std::exp(-7 * share) +
           0.25 * (1 - share) * (1 - std::exp(-9 * share));
  };
  for (std::int64_t step = 1; step <= setup.steps; ++step) {
    const double share =
        static_cast<double>(step) / static_cast<double>(setup.steps);
    const auto index = static_cast<std::uint64_t>(step);
    cell.train.push_back(
        {step, step * setup.tokens_per_step,
         loss_at(share) - 0.05 + 0.06 * noise(cell.seed, "batch", index)});
    if (step % 40 == 0) {
      cell.held_out.push_back(
          {step, step * setup.tokens_per_step, loss_at(share)});
    }
  }
}

inline Cell sample_cell(const SampleArm& arm, const std::string& phase,
                        std::uint64_t seed, double hidden_lr,
                        double auxiliary_lr) {
  Cell cell;
  cell.arm = arm.name;
  cell.phase = phase;
  cell.seed = seed;
  cell.hidden_lr = hidden_lr;
  cell.auxiliary_lr = auxiliary_lr;
  cell.id = phase + "-" + arm.name + "-s" + std::to_string(seed) + "-" +
            std::to_string(hidden_lr) + "-" + std::to_string(auxiliary_lr);
  cell.state = "done";
  cell.initial_loss = kInitialLoss;
  const double hidden = std::log2(hidden_lr / arm.hidden_lr) - 0.2;
  const double auxiliary = std::log2(auxiliary_lr / arm.auxiliary_lr) + 0.15;
  // One noise for the seed, shared by the arms, and one of the arm's own.
  cell.loss = arm.final_loss + 0.035 * hidden * hidden +
              0.02 * auxiliary * auxiliary + 0.012 * noise(seed, "seed", 0) +
              0.006 * noise(seed, arm.name, 1);
  cell.bits_per_byte = *cell.loss / std::log(2.0) / kSampleBytesPerToken;
  cell.standard_error = 0.011;
  cell.clipped_share = arm.rule == "adamw" ? 0.31 : 0.24;
  cell.wall_seconds = 24.5;
  cell.peak_memory_bytes = 312e6;
  return cell;
}

inline RateSearch sample_search(const std::string& rate,
                                const std::vector<double>& grid,
                                const std::vector<const Cell*>& cells,
                                double best) {
  RateSearch search;
  search.rate = rate;
  search.grid = grid;
  search.best = best;
  std::vector<double> rates;
  std::vector<double> losses;
  for (const Cell* cell : cells) {
    if (cell->state != "done") continue;
    rates.push_back(rate == "auxiliary" ? cell->auxiliary_lr : cell->hidden_lr);
    losses.push_back(*cell->loss);
  }
  if (const auto fit = statistics::fit_parabola(rates, losses)) {
    search.fitted_optimum = fit->optimum;
    search.fitted_loss = fit->loss;
    search.curvature = fit->curvature;
    search.fit_rates = fit->rates;
  }
  return search;
}

inline void search_arm(Results& results, const SampleArm& sample) {
  const bool joint = sample.name == "adamw-joint";
  Arm arm;
  arm.name = sample.name;
  arm.rule = sample.rule;
  arm.description = joint ? "AdamW, one learning rate for all parameters"
                          : "hidden-matrix and auxiliary rate tuned apart";
  arm.hidden_lr = sample.hidden_lr;
  arm.auxiliary_lr = sample.auxiliary_lr;
  const std::vector<double> factors =
      joint ? std::vector<double>{.125, .25, .5, 1, 2, 4, 8}
            : std::vector<double>{.25, .5, 1, 2};
  const auto sweep = [&](bool auxiliary, bool skip_center) {
    std::vector<Cell> cells;
    for (const double factor : factors) {
      const double hidden = sample.hidden_lr * (auxiliary ? 1 : factor);
      const double aux =
          sample.auxiliary_lr * (auxiliary || joint ? factor : 1);
      Cell cell = sample_cell(sample, "search", 0, hidden, aux);
      if (factor == 8) {
        cell.state = "diverged";
        cell.cause = "loss is not finite at step 61";
        cell.loss = kInitialLoss;
        cell.bits_per_byte.reset();
      }
      cell.extension = !joint && factor == 2;
      cells.push_back(cell);
    }
    std::vector<const Cell*> pointers;
    std::vector<double> grid;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      pointers.push_back(&cells[i]);
      if (!cells[i].extension) {
        grid.push_back(auxiliary ? cells[i].auxiliary_lr : cells[i].hidden_lr);
      }
    }
    RateSearch search = sample_search(
        joint       ? "joint"
        : auxiliary ? "auxiliary"
                    : "hidden",
        grid, pointers, auxiliary ? sample.auxiliary_lr : sample.hidden_lr);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].extension) {
        search.added.push_back(auxiliary ? cells[i].auxiliary_lr
                                         : cells[i].hidden_lr);
      }
      if (skip_center && factors[i] == 1) continue;
      results.cells.push_back(cells[i]);
      ++arm.trials;
    }
    arm.searches.push_back(search);
  };
  sweep(false, false);
  if (!joint) sweep(true, true);
  results.arms.push_back(arm);
}

/// Four arms, seven trials each, five final seeds, one timing run per arm; both
/// Muon arms are ahead of adamw by about 0.06 and 0.08 nats, adamw-joint is
/// behind it.
inline Results sample_results() {
  Results results;
  results.setup = sample_setup();
  for (const SampleArm& arm : sample_arms()) search_arm(results, arm);
  for (const SampleArm& arm : sample_arms()) {
    for (const std::uint64_t seed : results.setup.final_seeds) {
      Cell cell =
          sample_cell(arm, "final", seed, arm.hidden_lr, arm.auxiliary_lr);
      add_curves(cell, results.setup);
      results.cells.push_back(std::move(cell));
    }
    Cell cell = sample_cell(arm, "timing", 1, arm.hidden_lr, arm.auxiliary_lr);
    cell.step_time = arm.rule == "adamw"
                         ? StepTime{0.0301, 0.0572, 0.0021, 0.0012}
                         : StepTime{0.0302, 0.0575, 0.0064, 0.0012};
    results.cells.push_back(std::move(cell));
  }
  results.commands = {"scripts/setup", "cmake --build build",
                      "muonlab study run configs/sample.toml"};
  return results;
}

/// Sets the final loss of one arm at every seed to `loss(seed)`.
template <typename Loss>
void set_final_losses(Results& results, const std::string& arm, Loss loss) {
  for (Cell& cell : results.cells) {
    if (cell.phase == "final" && cell.arm == arm) cell.loss = loss(cell.seed);
  }
}

inline Cell& final_cell(Results& results, const std::string& arm,
                        std::uint64_t seed) {
  return *std::find_if(
      results.cells.begin(), results.cells.end(), [&](const Cell& cell) {
        return cell.phase == "final" && cell.arm == arm && cell.seed == seed;
      });
}

/// Takes back everything that the run has measured.
inline void set_queued(Cell& cell) {
  Cell fresh;
  fresh.id = cell.id;
  fresh.arm = cell.arm;
  fresh.phase = cell.phase;
  fresh.seed = cell.seed;
  fresh.state = "queued";
  cell = fresh;
}

}  // namespace muonlab::study::testing
