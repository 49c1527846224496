// What a run holds, without its folder, and how its layers are chosen.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/tensor_file.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/nn/fused_pass.h"
#include "muonlab/nn/initialise.h"
#include "muonlab/train/evaluate.h"
#include "muonlab/train/load_run.h"
#include "muonlab/train/open_dataset.h"
#include "muonlab/train/routing.h"
#include "muonlab/train/training_loop.h"
#include "tests/train/tiny_run.h"

namespace muonlab::train {

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kEpsilon32 = std::numeric_limits<float>::epsilon();
inline constexpr double kEpsilon64 = std::numeric_limits<double>::epsilon();

inline RunConfig with_layers(RunConfig config, const std::string& layers) {
  config.layers = layers;
  return config;
}

// What a run holds, without its folder. In float64 the layers are plain.
class Parts {
 public:
  explicit Parts(RunConfig c, bool in_double = false)
      : config(with_layers(c, in_double ? "plain" : c.layers)),
        dataset(open_dataset(config)),
        model(config.model),
        optimizer(plan(in_double)),
        pass(config.layers == "fused"
                 ? std::make_unique<nn::FusedPass>(model, fused_options(config),
                                                   linalg::kernel_pool())
                 : nullptr),
        loop(config, dataset, model, optimizer, pass.get()) {}

  ScoreTokens scores() const {
    return pass ? token_scores(*pass) : token_scores(model);
  }
  HeldOutLoss evaluate_on(data::Split split, std::int64_t windows) const {
    return evaluate(scores(), config.model.context, dataset, split, windows);
  }

  std::map<std::string, at::Tensor> gradients() const {
    std::map<std::string, at::Tensor> found;
    for (const auto& item : model.named_parameters()) {
      found[item.key()] = item.value().grad();
    }
    return found;
  }

  std::string weights() const {
    return linalg::tensors_sha256(named_parameters(model));
  }

  RunConfig config;
  data::Dataset dataset;
  nn::LanguageModel model;
  optim::Optimizer optimizer;
  std::unique_ptr<nn::FusedPass> pass;
  TrainingLoop loop;

 private:
  optim::Plan plan(bool in_double) {
    nn::initialise(model, static_cast<std::uint64_t>(config.seed));
    if (in_double) model.to_double();
    return plan_for(model, config.optim);
  }
};

inline double norm_of(const std::map<std::string, at::Tensor>& tensors) {
  double squares = 0;
  for (const auto& [name, tensor] : tensors) {
    for (const double value : linalg::values_of(tensor))
      squares += value * value;
  }
  return std::sqrt(squares);
}

}  // namespace muonlab::train
