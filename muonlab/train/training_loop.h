// The steps of a run: forward, backward, clip, update.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/data/dataset.h"
#include "muonlab/data/sampler.h"
#include "muonlab/nn/fused_pass.h"
#include "muonlab/nn/language_model.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/train/batch.h"
#include "muonlab/train/run_config.h"

namespace muonlab::train {

/// What one optimizer step did.
struct StepOutcome {
  double loss = 0;           ///< mean over the step's tokens, before the update
  double gradient_norm = 0;  ///< before clipping
  double lr_factor = 0;      ///< of the schedule
  bool clipped = false;
  double forward_seconds = 0;
  double backward_seconds = 0;
  double optimizer_seconds = 0;
  double total_seconds = 0;
  std::string fault;  ///< names the first non-finite value; the update is then
                      ///< not made
};

/// Runs single optimizer steps, with `pass` for losses and gradients, or
/// without one by LibTorch's operators; steps in the order that the seed gives.
/// All references must outlive it.
class TrainingLoop {
 public:
  TrainingLoop(const RunConfig& config, const data::Dataset& dataset,
               nn::LanguageModel& model, optim::Optimizer& optimizer,
               nn::FusedPass* pass);

  /// Step number `step`, from 0. Clips the gradient before momentum sees it.
  [[nodiscard]] StepOutcome run(std::int64_t step);

  /// First tokens of the windows of a step, in order.
  [[nodiscard]] std::vector<std::int64_t> starts(std::int64_t step) const;

 private:
  /// Adds a micro-batch's gradients; returns its loss.
  double gradients(const Batch& batch, bool accumulate, StepOutcome& outcome);
  double plain_gradients(const Batch& batch, StepOutcome& outcome);
  void seed_dropout(std::int64_t step, std::int64_t micro);

  const RunConfig& config_;
  const std::vector<std::int32_t>& tokens_;
  nn::LanguageModel& model_;
  optim::Optimizer& optimizer_;
  nn::FusedPass* pass_;
  data::Sampler sampler_;
  core::Random dropout_order_;
  optim::Schedule schedule_;
};

}  // namespace muonlab::train
