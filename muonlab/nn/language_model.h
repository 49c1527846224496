// A decoder-only transformer language model.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <vector>

#include "muonlab/linalg/roles.h"
#include "muonlab/nn/attention.h"
#include "muonlab/nn/feed_forward.h"
#include "muonlab/nn/model_config.h"
#include "muonlab/nn/norm.h"

namespace muonlab::nn {

/// The tensors of a block, for passes that do not go through forward().
struct BlockTensors {
  at::Tensor attention_norm;  ///< (width), as the next
  at::Tensor feed_forward_norm;
  at::Tensor qkv;     ///< (3 width, width)
  at::Tensor output;  ///< (width, width)
  at::Tensor up;      ///< (hidden or 2 hidden, width)
  at::Tensor down;    ///< (width, hidden)
  double scale = 0;   ///< of the attention's logits
};

/// And of a model. They are the parameters themselves.
struct ModelTensors {
  at::Tensor embedding;  ///< (vocabulary, width)
  at::Tensor norm;       ///< (width)
  at::Tensor head;       ///< (vocabulary, width); undefined when tied
  RotaryTable rotary;    ///< undefined without positions
  std::vector<BlockTensors> blocks;
};

/// One pre-norm block: x + attention(norm x), then x + feed_forward(norm x).
class Block : public torch::nn::Module {
 public:
  Block(const ModelConfig& config, std::int64_t layer);
  /// x (batch, length, width); `dropout` is the share of values set to zero.
  [[nodiscard]] at::Tensor forward(const at::Tensor& x,
                                   const RotaryTable& table,
                                   double dropout = 0) const;
  [[nodiscard]] Attention& attention() { return *attention_; }
  [[nodiscard]] BlockTensors tensors() const;

 private:
  std::shared_ptr<RmsNorm> attention_norm_;  // shared with the module registry
  std::shared_ptr<Attention> attention_;
  std::shared_ptr<RmsNorm> feed_forward_norm_;
  std::shared_ptr<FeedForward> feed_forward_;
};

/// embedding -> blocks -> RMSNorm -> head. Parameters start at zero (gains at
/// one): call initialise() of initialise.h before training.
class LanguageModel : public torch::nn::Module, public DeclaresRoles {
 public:
  /// Throws Error(kInvalidArgument) when the configuration is not valid.
  explicit LanguageModel(const ModelConfig& config);

  /// tokens (batch, length) int64, length <= context -> logits
  /// (batch, length, vocabulary). Without dropout.
  [[nodiscard]] at::Tensor forward(const at::Tensor& tokens) const;
  /// Mean cross-entropy in nats of targets (batch, length), a scalar, for
  /// training: with the configuration's dropout, whose values LibTorch's
  /// default generator draws.
  [[nodiscard]] at::Tensor loss(const at::Tensor& tokens,
                                const at::Tensor& targets) const;

  [[nodiscard]] const ModelConfig& config() const noexcept { return config_; }
  [[nodiscard]] std::vector<ParameterDeclaration> declared_roles()
      const override;
  /// See Attention; for all layers.
  void watch_logits(bool on);
  void forget_logits();
  [[nodiscard]] at::Tensor largest_logits(std::int64_t layer) const;
  [[nodiscard]] bool watches_logits() const;
  /// What another pass than forward() saw, (heads).
  void saw_logits(std::int64_t layer, const at::Tensor& largest);

  [[nodiscard]] ModelTensors weights() const;

  /// The rotary tables follow the parameters' dtype: float64 for tests.
  void to_double();

 private:
  [[nodiscard]] at::Tensor logits(const at::Tensor& tokens,
                                  double dropout) const;

  ModelConfig config_;
  RotaryTable table_;
  at::Tensor embedding_;
  std::vector<std::shared_ptr<Block>> blocks_;
  std::shared_ptr<RmsNorm> norm_;
  at::Tensor head_;  // undefined when tied
};

}  // namespace muonlab::nn
