#include "muonlab/nn/language_model.h"

#include <torch/torch.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "muonlab/optim/route.h"
#include "tests/nn/small_model.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace muonlab::nn {
namespace {

using testing::close;
using testing::expect_error;
using testing::random_tokens;
using testing::small_config;
using testing::small_model;

constexpr double kEps = std::numeric_limits<double>::epsilon();
// Logits of the small model stay below 16; some 64 roundings lie on the way.
constexpr double kRounding = 16 * 64 * kEps;

// How far the last logits move when the tokens before it change places.
double effect_of_order(std::int64_t layers, const std::string& positions) {
  ModelConfig config = small_config();
  config.layers = layers;
  config.positions = positions;
  const auto model = small_model(config, 3);
  const at::NoGradGuard no_grad;
  const at::Tensor tokens = torch::tensor({{0, 3, 5, 1, 6, 2}});
  const at::Tensor permuted = torch::tensor({{6, 1, 0, 5, 3, 2}});
  const at::Tensor a = model->forward(tokens).select(1, 5);
  const at::Tensor b = model->forward(permuted).select(1, 5);
  EXPECT_LT(a.abs().max().item<double>(), 16);
  return (a - b).abs().max().item<double>();
}

TEST(LanguageModel, OneLayerSeesTheOrderOfTokensOnlyThroughPositions) {
  EXPECT_LE(effect_of_order(1, "none"), kRounding);
  EXPECT_LE(effect_of_order(1, "rotary_by_head"), kRounding);
  EXPECT_GT(effect_of_order(1, "rotary"), 1e6 * kRounding);
}

// The angle is the head's number, the same for a query and its keys: it cancels
// in every logit (a published study had this by mistake).
TEST(LanguageModel, RotaryByHeadIsNoPositionAtAll) {
  ModelConfig config = small_config();
  const at::Tensor tokens = random_tokens({2, 6}, 7, 1);
  const auto run = [&](const std::string& positions) {
    config.positions = positions;
    const auto model = small_model(config, 4);
    const at::Tensor logits = model->forward(tokens);
    model->loss(tokens, random_tokens({2, 6}, 7, 2)).backward();
    return std::pair(
        logits.detach(),
        model->named_parameters()["blocks.0.attention.qkv"].grad());
  };
  const auto none = run("none");
  const auto by_head = run("rotary_by_head");
  const auto rotary = run("rotary");
  EXPECT_TRUE(close(by_head.first, none.first, kRounding));
  EXPECT_TRUE(close(by_head.second, none.second, kRounding));
  EXPECT_FALSE(close(rotary.first, none.first, 1e6 * kRounding));
  // It does rotate: the bits are not those of a model without.
  EXPECT_FALSE(testing::same_bits(by_head.first, none.first));
}

TEST(LanguageModel, TwoLayersSeeTheOrderOfTokensThroughTheCausalMask) {
  EXPECT_GT(effect_of_order(2, "none"), 1e6 * kRounding);
  EXPECT_GT(effect_of_order(2, "rotary"), 1e6 * kRounding);
}

TEST(LanguageModel, LaterTokensDoNotReachEarlierLogits) {
  for (const char* positions : {"rotary", "none"}) {
    ModelConfig config = small_config();
    config.positions = positions;
    const auto model = small_model(config, 4);
    const at::NoGradGuard no_grad;
    const at::Tensor tokens = random_tokens({2, 6}, 7, 1);
    const at::Tensor before = model->forward(tokens);
    for (std::int64_t cut = 1; cut < 6; ++cut) {
      at::Tensor changed = tokens.clone();
      changed.narrow(1, cut, 6 - cut).add_(1).remainder_(7);
      const at::Tensor after = model->forward(changed);
      EXPECT_TRUE(
          close(after.narrow(1, 0, cut), before.narrow(1, 0, cut), kRounding));
      EXPECT_FALSE(close(after.select(1, cut), before.select(1, cut), 1e-3));
    }
  }
}

TEST(LanguageModel, AShorterSequenceHasTheSameFirstLogits) {
  const auto model = small_model(small_config(), 4);
  const at::NoGradGuard no_grad;
  const at::Tensor tokens = random_tokens({2, 6}, 7, 1);
  EXPECT_TRUE(close(model->forward(tokens.narrow(1, 0, 3)),
                    model->forward(tokens).narrow(1, 0, 3), kRounding));
}

TEST(LanguageModel, LossIsTheMeanCrossEntropyInNats) {
  const auto model = small_model(small_config(), 4);
  const at::NoGradGuard no_grad;
  const at::Tensor tokens = random_tokens({2, 6}, 7, 1);
  const at::Tensor targets = random_tokens({2, 6}, 7, 2);
  const at::Tensor logits = model->forward(tokens);
  const at::Tensor picked = logits.gather(2, targets.unsqueeze(2)).squeeze(2) -
                            logits.exp().sum(2).log();
  EXPECT_NEAR(model->loss(tokens, targets).item<double>(),
              -picked.mean().item<double>(), kRounding);
  LanguageModel blank(small_config());  // all logits zero: uniform
  EXPECT_NEAR(blank.loss(tokens, targets).item<double>(), std::log(7.0),
              8 * std::numeric_limits<float>::epsilon());
}

TEST(LanguageModel, ScalingAttentionByLayerLeavesTheFirstLayerAlone) {
  const at::NoGradGuard no_grad;
  const at::Tensor tokens = random_tokens({2, 6}, 7, 1);
  for (const std::int64_t layers : {1, 2}) {
    ModelConfig config = small_config();
    config.layers = layers;
    const at::Tensor plain = small_model(config, 4)->forward(tokens);
    config.scale_attention_by_layer = true;
    const at::Tensor scaled = small_model(config, 4)->forward(tokens);
    EXPECT_EQ(testing::same_bits(plain, scaled), layers == 1);
  }
}

TEST(LanguageModel, ATiedHeadIsTheEmbedding) {
  ModelConfig config = small_config();
  config.tied_head = true;
  const auto model = small_model(config, 4);
  for (const auto& item : model->named_parameters()) {
    EXPECT_NE(item.key(), "head");
  }
  const at::NoGradGuard no_grad;
  // A token that is never read still moves its logit.
  const at::Tensor tokens = torch::zeros({1, 3}, torch::kLong);
  const at::Tensor before = model->forward(tokens);
  model->named_parameters()["embedding"][6].add_(1);
  const at::Tensor change = (model->forward(tokens) - before).abs();
  EXPECT_GT(change.select(2, 6).min().item<double>(), 1e-3);
  EXPECT_LE(change.narrow(2, 0, 6).max().item<double>(), kRounding);
}

std::vector<ModelConfig> configurations() {
  std::vector<ModelConfig> all;
  for (const char* activation : {"swiglu", "geglu", "silu", "gelu", "relu2"}) {
    for (const bool tied : {false, true}) {
      for (const std::int64_t layers : {1, 3}) {
        ModelConfig config = small_config();
        config.activation = activation;
        config.tied_head = tied;
        config.layers = layers;
        all.push_back(config);
      }
    }
  }
  return all;
}

TEST(ModelSize, EqualsTheCountedParameters) {
  for (const ModelConfig& config : configurations()) {
    const LanguageModel model(config);
    std::int64_t all = 0;
    std::int64_t hidden = 0;
    for (const auto& item : model.named_parameters()) {
      const at::Tensor& p = item.value();
      all += p.numel();
      if (p.dim() == 2 && item.key() != "embedding" && item.key() != "head") {
        hidden += p.numel();
      }
    }
    EXPECT_EQ(model_size(config).parameters, all);
    EXPECT_EQ(model_size(config).hidden, hidden);
    const auto head = static_cast<double>(config.vocabulary * config.width);
    const auto attention =
        static_cast<double>(config.layers * config.width * config.context);
    EXPECT_DOUBLE_EQ(flops_per_token(config),
                     6 * (static_cast<double>(hidden) + head) + 6 * attention);
  }
}

TEST(DeclaredRoles, CoverEveryParameter) {
  for (const ModelConfig& config : configurations()) {
    const LanguageModel model(config);
    const auto plan = optim::route(model, optim::muon());
    EXPECT_EQ(plan.routes.size(), model.named_parameters().size());
    EXPECT_TRUE(plan.left_out.empty());
    for (const optim::Route& r : plan.routes) {
      const bool table = r.name == "embedding" || r.name == "head";
      EXPECT_EQ(r.role, r.name == "embedding"    ? Role::kEmbedding
                        : r.name == "head"       ? Role::kHead
                        : r.parameter.dim() == 1 ? Role::kGain
                                                 : Role::kMatrix)
          << r.name;
      EXPECT_EQ(r.group, table || r.parameter.dim() == 1 ? 1U : 0U);
      const std::string last = r.name.substr(r.name.rfind('.') + 1);
      EXPECT_EQ(r.matrices.size(), last == "qkv"             ? 3U
                                   : last == "gate_up"       ? 2U
                                   : r.role == Role::kMatrix ? 1U
                                                             : 0U);
    }
  }
}

TEST(ModelConfig, RefusesFieldsOutsideTheirRange) {
  const auto refuse = [](const std::function<void(ModelConfig&)>& change,
                         const std::vector<std::string>& words) {
    ModelConfig config = small_config();
    change(config);
    expect_error(ErrorKind::kInvalidArgument, words, [&] { validate(config); });
    expect_error(ErrorKind::kInvalidArgument, words,
                 [&] { const LanguageModel model(config); });
  };
  EXPECT_NO_THROW(validate(small_config()));
  refuse([](auto& c) { c.vocabulary = 0; }, {"model.vocabulary", "got 0"});
  refuse([](auto& c) { c.context = -1; }, {"model.context", "got -1"});
  refuse([](auto& c) { c.width = 0; }, {"model.width"});
  refuse([](auto& c) { c.layers = 0; }, {"model.layers"});
  refuse([](auto& c) { c.heads = 0; }, {"model.heads"});
  refuse([](auto& c) { c.hidden = 0; }, {"model.hidden"});
  refuse([](auto& c) { c.heads = 3; }, {"model.heads", "got 3", "width 8"});
  refuse([](auto& c) { c.heads = 8; }, {"model.heads", "even"});
  refuse([](auto& c) { c.activation = "relu"; },
         {"model.activation", "'relu'", "did you mean"});
  refuse([](auto& c) { c.activation = "identity"; },
         {"model.activation", "swiglu, geglu, silu, gelu, relu2"});
  refuse([](auto& c) { c.positions = "rotory"; },
         {"model.positions", "did you mean 'rotary'"});
  refuse([](auto& c) { c.rope_theta = 1; }, {"model.rope_theta", "got 1"});
  refuse([](auto& c) { c.norm_eps = 0; }, {"model.norm_eps", "got 0"});
  refuse([](auto& c) { c.init_gain = -1; }, {"model.init_gain", "got -1"});
  refuse([](auto& c) { c.init_output_gain = NAN; },
         {"model.init_output_gain", "nan"});
  refuse([](auto& c) { c.init_embedding_std = INFINITY; },
         {"model.init_embedding_std", "inf"});
  refuse([](auto& c) { c.init_head_std = -1; }, {"model.init_head_std"});
  refuse([](auto& c) { c.init_matrix_std = -1; }, {"model.init_matrix_std"});
  refuse([](auto& c) { c.dropout = 1; }, {"model.dropout", "got 1"});
  refuse([](auto& c) { c.dropout = -0.1; }, {"model.dropout", "got -0.1"});
  refuse([](auto& c) { c.dropout = NAN; }, {"model.dropout", "nan"});
  refuse(
      [](auto& c) {
        c.positions = "rotary_by_head";
        c.heads = 8;
      },
      {"model.heads", "even"});
}

TEST(LanguageModel, RefusesSequencesBeyondItsContext) {
  const auto model = small_model(small_config(), 4);
  expect_error(ErrorKind::kInvalidArgument, {"[1, 7]", "at most 6"}, [&] {
    (void)model->forward(torch::zeros({1, 7}, torch::kLong));
  });
  expect_error(ErrorKind::kInvalidArgument, {"[3]"},
               [&] { (void)model->forward(torch::zeros({3}, torch::kLong)); });
}

// Written out for every head, batch entry and pair that may attend.
TEST(LanguageModel, SeesTheLargestLogitOfEveryHead) {
  const ModelConfig config = testing::small_config();
  LanguageModel model(config);
  initialise(model, 5);
  const at::Tensor tokens =
      torch::arange(2 * 6).view({2, 6}).remainder(config.vocabulary);
  EXPECT_THROW((void)model.largest_logits(0), Error);
  model.watch_logits(true);
  const at::Tensor watched = model.forward(tokens);
  const at::Tensor seen = model.largest_logits(0);
  ASSERT_EQ(seen.numel(), config.heads);

  // The first layer's queries and keys from its weights.
  const auto parameters = model.named_parameters();
  const at::Tensor x = nn::rms_norm(
      torch::embedding(parameters["embedding"], tokens),
      parameters["blocks.0.attention_norm.weight"], config.norm_eps);
  const at::Tensor qkv =
      torch::matmul(x, parameters["blocks.0.attention.qkv"].t());
  const std::int64_t d = config.width / config.heads;
  const RotaryTable table =
      rotary_table(config.context, d, config.rope_theta, x.scalar_type());
  const auto part = [&](std::int64_t index) {
    return nn::rotate(qkv.narrow(-1, index * config.width, config.width)
                          .reshape({2, 6, config.heads, d}),
                      table);
  };
  const at::Tensor q = part(0);
  const at::Tensor k = part(1);
  for (std::int64_t h = 0; h < config.heads; ++h) {
    double largest = -1e300;
    for (std::int64_t b = 0; b < 2; ++b) {
      for (std::int64_t i = 0; i < 6; ++i) {
        for (std::int64_t j = 0; j <= i; ++j) {
          largest =
              std::max(largest, (q[b][i][h] * k[b][j][h]).sum().item<double>() /
                                    std::sqrt(static_cast<double>(d)));
        }
      }
    }
    // Sums of d products in float32.
    EXPECT_NEAR(
        seen[h].item<double>(), largest,
        8 * 1.2e-7 * static_cast<double>(d) * std::max(1.0, std::abs(largest)));
  }
  model.watch_logits(false);
  EXPECT_TRUE(torch::equal(model.forward(tokens), watched));
  model.forget_logits();
  EXPECT_THROW((void)model.largest_logits(0), Error);
}

}  // namespace
}  // namespace muonlab::nn
