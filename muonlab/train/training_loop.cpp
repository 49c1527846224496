#include "muonlab/train/training_loop.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <mutex>
#include <span>

#include "muonlab/core/error.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/train/batch.h"
#include "muonlab/train/evaluate.h"
#include "muonlab/train/windows.h"

namespace muonlab::train {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

TrainingLoop::TrainingLoop(const RunConfig& config,
                           const data::Dataset& dataset,
                           nn::LanguageModel& model,
                           optim::Optimizer& optimizer, nn::FusedPass* pass)
    : config_(config),
      tokens_(dataset.tokens(data::Split::kTrain)),
      model_(model),
      optimizer_(optimizer),
      pass_(pass),
      sampler_(training_sampler(config, dataset)),
      dropout_order_(static_cast<std::uint64_t>(config.seed), "dropout"),
      schedule_(schedule_of(config)) {
  optimizer_.set_max_gradient_norm(config.clip);
}

std::vector<std::int64_t> TrainingLoop::starts(std::int64_t step) const {
  return sampler_.starts(step);
}

double TrainingLoop::gradients(const Batch& batch, bool accumulate,
                               StepOutcome& outcome) {
  if (pass_ == nullptr) return plain_gradients(batch, outcome);
  const auto begin = Clock::now();
  // Micro-batches have equal token counts, so the mean of means is the mean.
  const double loss = pass_->add_gradients(
      batch.inputs, batch.targets,
      1 / static_cast<double>(config_.accumulation), accumulate);
  const double forward = pass_->forward_seconds();
  outcome.forward_seconds += forward;
  outcome.backward_seconds += seconds_since(begin) - forward;
  return loss;
}

// What is dropped is a function of the seed and the place in the run, like the
// data: so a run that stops and goes on draws the same.
void TrainingLoop::seed_dropout(std::int64_t step, std::int64_t micro) {
  if (config_.model.dropout == 0) return;
  at::Generator generator = at::globalContext().defaultGenerator(at::kCPU);
  const std::scoped_lock lock(generator.mutex());
  generator.set_current_seed(dropout_order_.bits(
      static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(micro)));
}

double TrainingLoop::plain_gradients(const Batch& batch, StepOutcome& outcome) {
  const auto forward = Clock::now();
  const at::Tensor loss = model_.loss(batch.inputs, batch.targets);
  const double value = loss.item<double>();
  outcome.forward_seconds += seconds_since(forward);
  if (!std::isfinite(value)) return value;
  const auto backward = Clock::now();
  if (config_.accumulation == 1) {
    loss.backward();
  } else {
    loss.div(config_.accumulation).backward();
  }
  outcome.backward_seconds += seconds_since(backward);
  return value;
}

StepOutcome TrainingLoop::run(std::int64_t step) {
  const auto begin = Clock::now();
  StepOutcome outcome;
  outcome.lr_factor = schedule_.factor(step);
  // A fused pass replaces what its first micro-batch finds.
  if (pass_ == nullptr) optimizer_.zero_grad();
  model_.forget_logits();
  const auto windows = sampler_.starts(step);
  const auto micro =
      windows.size() / static_cast<std::size_t>(config_.accumulation);
  for (std::int64_t m = 0; m < config_.accumulation; ++m) {
    const auto part =
        std::span(windows).subspan(static_cast<std::size_t>(m) * micro, micro);
    const Batch batch = gather(tokens_, part, config_.model.context);
    seed_dropout(step, m);
    const double value = gradients(batch, m > 0, outcome);
    if (!std::isfinite(value)) {
      outcome.loss = value;
      outcome.fault =
          concat("the training loss is ", value, " at step ", step + 1);
      return outcome;
    }
    outcome.loss += value / static_cast<double>(config_.accumulation);
  }

  const auto update = Clock::now();
  const at::NoGradGuard no_grad;
  optimizer_.set_lr_factor(outcome.lr_factor);
  if (config_.momentum_start) {
    const double steps =
        *config_.momentum_warmup * static_cast<double>(config_.steps);
    const double done = static_cast<double>(step);
    optimizer_.set_momentum_share(*config_.momentum_start,
                                  done < steps ? done / steps : 1.0);
  }
  try {
    optimizer_.step();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kDiverged) throw;
    outcome.fault = concat(error.what(), " at step ", step + 1, " (loss ",
                           outcome.loss, ")");
    return outcome;
  }
  outcome.gradient_norm = optimizer_.gradient_norm();
  outcome.clipped = optimizer_.clipped();
  outcome.optimizer_seconds = seconds_since(update);
  outcome.total_seconds = seconds_since(begin);
  return outcome;
}

}  // namespace muonlab::train
