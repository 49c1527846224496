#include "muonlab/nn/initialise.h"

#include <torch/torch.h>

#include <cmath>
#include <map>
#include <string>

#include "tests/support/tensors.h"

namespace muonlab::nn {
namespace {

using testing::same_bits;

ModelConfig config_of(std::int64_t layers) {
  ModelConfig config;
  config.vocabulary = 50;
  config.context = 8;
  config.width = 32;
  config.layers = layers;
  config.hidden = 48;
  return config;
}

std::map<std::string, at::Tensor> weights(const ModelConfig& config,
                                          std::uint64_t seed) {
  LanguageModel model(config);
  initialise(model, seed);
  std::map<std::string, at::Tensor> all;
  for (const auto& item : model.named_parameters()) {
    all[item.key()] = item.value().detach();
  }
  return all;
}

TEST(Initialise, IsAPureFunctionOfTheSeedAndTheName) {
  const auto a = weights(config_of(2), 3);
  const auto again = weights(config_of(2), 3);
  const auto other = weights(config_of(2), 4);
  for (const auto& [name, tensor] : a) {
    EXPECT_TRUE(same_bits(tensor, again.at(name))) << name;
    if (tensor.dim() == 2 && tensor.abs().max().item<double>() > 0) {
      EXPECT_FALSE(same_bits(tensor, other.at(name))) << name;
    }
  }
  EXPECT_FALSE(same_bits(a.at("embedding"), a.at("head")));
  EXPECT_FALSE(same_bits(a.at("blocks.0.attention.qkv"),
                         a.at("blocks.1.attention.qkv")));
}

TEST(Initialise, GivesDeeperModelsTheSameFirstLayers) {
  const auto shallow = weights(config_of(1), 3);
  const auto deep = weights(config_of(3), 3);
  EXPECT_GT(deep.size(), shallow.size());
  for (const auto& [name, tensor] : shallow) {
    EXPECT_TRUE(same_bits(tensor, deep.at(name))) << name;
  }
}

// Five standard errors of the mean and of the standard deviation.
void expect_normal(const at::Tensor& tensor, double deviation) {
  const auto n = static_cast<double>(tensor.numel());
  const at::Tensor x = tensor.to(at::kDouble);
  EXPECT_NEAR(x.mean().item<double>(), 0, 5 * deviation / std::sqrt(n));
  EXPECT_NEAR(x.std().item<double>(), deviation,
              5 * deviation / std::sqrt(2 * n));
}

TEST(Initialise, HasTheStatedDeviations) {
  ModelConfig config = config_of(1);
  config.init_gain = 0.8;
  config.init_output_gain = 0.3;
  config.init_embedding_std = 0.1;
  config.init_head_std = 0.05;
  for (const char* activation : {"swiglu", "geglu", "silu", "gelu", "relu2"}) {
    config.activation = activation;
    const auto w = weights(config, 9);
    expect_normal(w.at("embedding"), 0.1);
    expect_normal(w.at("head"), 0.05);
    expect_normal(w.at("blocks.0.attention.qkv"), 0.8 / std::sqrt(32));
    expect_normal(w.at("blocks.0.attention.output"), 0.3 / std::sqrt(32));
    const bool gated = is_gated(config.activation);
    expect_normal(w.at(std::string("blocks.0.feed_forward.") +
                       (gated ? "gate_up" : "up")),
                  0.8 / std::sqrt(32));
    expect_normal(w.at("blocks.0.feed_forward.down"), 0.3 / std::sqrt(48));
  }
}

TEST(Initialise, OneDeviationForAllMatricesGoesBeforeTheGains) {
  ModelConfig config = config_of(1);
  config.init_gain = 0.8;
  config.init_output_gain = 0;
  config.init_matrix_std = 0.3;
  config.init_embedding_std = 0.1;
  config.init_head_std = 0.05;
  for (const auto& [name, tensor] : weights(config, 9)) {
    SCOPED_TRACE(name);
    if (tensor.dim() == 1) {
      EXPECT_TRUE(tensor.eq(1).all().item<bool>());
    } else {
      expect_normal(tensor, name == "embedding" ? 0.1
                            : name == "head"    ? 0.05
                                                : 0.3);
    }
  }
  // Of zero means zero, not unset.
  config.init_matrix_std = 0;
  EXPECT_TRUE(
      weights(config, 9).at("blocks.0.attention.qkv").eq(0).all().item<bool>());
}

TEST(Initialise, StartsOutputProjectionsAtZeroAndGainsAtOne) {
  for (const auto& [name, tensor] : weights(config_of(2), 5)) {
    if (tensor.dim() == 1) {
      EXPECT_TRUE(tensor.eq(1).all().item<bool>()) << name;
    } else if (name.find(".output") != std::string::npos ||
               name.find(".down") != std::string::npos) {
      EXPECT_TRUE(tensor.eq(0).all().item<bool>()) << name;
    } else {
      EXPECT_GT(tensor.abs().max().item<double>(), 0) << name;
    }
  }
}

}  // namespace
}  // namespace muonlab::nn
