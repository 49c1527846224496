#include "muonlab/nn/language_model.h"

#include <torch/types.h>

#include <cmath>
#include <string>

#include "muonlab/core/error.h"
#include "muonlab/nn/functional.h"

namespace muonlab::nn {

Block::Block(const ModelConfig& config, std::int64_t layer)
    : torch::nn::Module("Block") {
  attention_norm_ =
      register_module("attention_norm",
                      std::make_shared<RmsNorm>(config.width, config.norm_eps));
  attention_ =
      register_module("attention", std::make_shared<Attention>(config, layer));
  feed_forward_norm_ =
      register_module("feed_forward_norm",
                      std::make_shared<RmsNorm>(config.width, config.norm_eps));
  feed_forward_ =
      register_module("feed_forward", std::make_shared<FeedForward>(config));
}

BlockTensors Block::tensors() const {
  return {.attention_norm = attention_norm_->weight(),
          .feed_forward_norm = feed_forward_norm_->weight(),
          .qkv = attention_->qkv(),
          .output = attention_->output(),
          .up = feed_forward_->up(),
          .down = feed_forward_->down(),
          .scale = attention_->scale()};
}

at::Tensor Block::forward(const at::Tensor& x, const RotaryTable& table,
                          double dropout) const {
  const at::Tensor y =
      x + attention_->forward(attention_norm_->forward(x), table, dropout);
  return y + feed_forward_->forward(feed_forward_norm_->forward(y), dropout);
}

LanguageModel::LanguageModel(const ModelConfig& config)
    : torch::nn::Module("LanguageModel"), config_(config) {
  validate(config);
  embedding_ = register_parameter(
      "embedding", torch::zeros({config.vocabulary, config.width}));
  // A plain container, so that names read "blocks.0.attention.qkv".
  const auto container =
      register_module("blocks", std::make_shared<torch::nn::Module>("blocks"));
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    blocks_.push_back(container->register_module(
        std::to_string(layer), std::make_shared<Block>(config, layer)));
  }
  norm_ = register_module(
      "norm", std::make_shared<RmsNorm>(config.width, config.norm_eps));
  if (!config.tied_head) {
    head_ = register_parameter("head",
                               torch::zeros({config.vocabulary, config.width}));
  }
  if (config.positions == "rotary_by_head") {
    table_ = rotary_table(config.heads, config.width / config.heads,
                          config.rope_theta, torch::kFloat);
  }
  if (config.positions == "rotary") {
    table_ = rotary_table(config.context, config.width / config.heads,
                          config.rope_theta, torch::kFloat);
  }
}

std::vector<ParameterDeclaration> LanguageModel::declared_roles() const {
  std::vector<ParameterDeclaration> roles = {
      {"embedding", Role::kEmbedding, {}}};
  if (!config_.tied_head) roles.push_back({"head", Role::kHead, {}});
  return roles;
}

void LanguageModel::watch_logits(bool on) {
  for (const auto& block : blocks_) block->attention().watch_logits(on);
}

void LanguageModel::forget_logits() {
  for (const auto& block : blocks_) block->attention().forget_logits();
}

at::Tensor LanguageModel::largest_logits(std::int64_t layer) const {
  return blocks_.at(static_cast<std::size_t>(layer))
      ->attention()
      .largest_logits();
}

void LanguageModel::to_double() {
  to(torch::kDouble);
  if (table_.cosine.defined()) {
    table_ = rotary_table(table_.cosine.size(0), config_.width / config_.heads,
                          config_.rope_theta, torch::kDouble);
  }
}

bool LanguageModel::watches_logits() const {
  return blocks_.front()->attention().watches_logits();
}

void LanguageModel::saw_logits(std::int64_t layer, const at::Tensor& largest) {
  blocks_.at(static_cast<std::size_t>(layer))->attention().saw_logits(largest);
}

ModelTensors LanguageModel::weights() const {
  ModelTensors tensors{.embedding = embedding_,
                       .norm = norm_->weight(),
                       .head = head_,
                       .rotary = table_,
                       .blocks = {}};
  for (const auto& block : blocks_) tensors.blocks.push_back(block->tensors());
  return tensors;
}

at::Tensor LanguageModel::forward(const at::Tensor& tokens) const {
  return logits(tokens, 0);
}

at::Tensor LanguageModel::logits(const at::Tensor& tokens,
                                 double dropout) const {
  MUONLAB_CHECK(tokens.dim() == 2 && tokens.size(1) <= config_.context,
                "LanguageModel: tokens: got shape ", tokens.sizes(),
                ", expected (batch, length) with length at most ",
                config_.context);
  at::Tensor x = torch::embedding(embedding_, tokens);
  if (config_.scale_embedding) {
    x = x * std::sqrt(static_cast<double>(config_.width));
  }
  x = nn::drop(x, dropout);
  for (const auto& block : blocks_) x = block->forward(x, table_, dropout);
  return nn::linear(nn::drop(norm_->forward(x), dropout),
                    config_.tied_head ? embedding_ : head_);
}

at::Tensor LanguageModel::loss(const at::Tensor& tokens,
                               const at::Tensor& targets) const {
  return at::cross_entropy_loss(
      logits(tokens, config_.dropout).view({-1, config_.vocabulary}),
      targets.reshape({-1}));
}

}  // namespace muonlab::nn
