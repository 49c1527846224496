// Language models small enough to differentiate by hand.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "muonlab/core/philox.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/nn/initialise.h"
#include "muonlab/nn/language_model.h"

namespace muonlab::testing {

/// Two layers; every part of it has weights of ordinary size.
inline nn::ModelConfig small_config() {
  nn::ModelConfig config;
  config.vocabulary = 7;
  config.context = 6;
  config.width = 8;
  config.layers = 2;
  config.heads = 2;
  config.hidden = 6;
  config.init_gain = 0.7;
  config.init_output_gain = 0.6;
  config.init_embedding_std = 0.5;
  config.init_head_std = 0.5;
  return config;
}

/// Initialised, in float64, gains away from one.
inline std::shared_ptr<nn::LanguageModel> small_model(
    const nn::ModelConfig& config, std::uint64_t seed) {
  auto model = std::make_shared<nn::LanguageModel>(config);
  nn::initialise(*model, seed);
  model->to_double();
  const at::NoGradGuard no_grad;
  for (auto& parameter : model->parameters()) {
    if (parameter.dim() == 1) {
      parameter.add_(at::arange(parameter.size(0), at::kDouble).div_(20));
    }
  }
  return model;
}

inline at::Tensor random_tokens(at::IntArrayRef shape, std::int64_t vocabulary,
                                std::uint64_t seed) {
  const core::Random random(seed, "tokens");
  std::vector<std::int64_t> tokens(
      static_cast<std::size_t>(shape[0] * shape[1]));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<std::int64_t>(
        random.bits(0, i) % static_cast<std::uint64_t>(vocabulary));
  }
  return linalg::tensor_of(tokens).view(shape);
}

}  // namespace muonlab::testing
