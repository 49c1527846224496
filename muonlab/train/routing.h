// From a configuration and a model to the routing plan.
#pragma once

#include "muonlab/nn/language_model.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"
#include "muonlab/train/run_config.h"

namespace muonlab::train {

/// Hidden, auxiliary and named groups alone.
[[nodiscard]] optim::RouteOptions route_options(const OptimConfig& config);

/// Hidden, auxiliary and named groups, and the blocks that `optim.blocks` asks
/// for. Throws Error(kInvalidArgument).
[[nodiscard]] optim::Plan plan_for(const nn::LanguageModel& model,
                                   const OptimConfig& config);

/// True when a rule of the plan clips attention logits.
[[nodiscard]] bool clips_logits(const optim::Plan& plan);

/// Lets the optimizer read the largest attention logits of each layer. The
/// model must outlive the optimizer; it measures them from now on.
void connect_attention(nn::LanguageModel& model, optim::Optimizer& optimizer);

}  // namespace muonlab::train
