// The model of the study "Muon vs AdamW" as its code ran it, written out from
// LibTorch's plain operators: scaled embedding, pre-norm blocks, attention
// without positions, a feed-forward of two matrices with SiLU.
#pragma once

#include <torch/types.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>

#include "muonlab/nn/language_model.h"

namespace muonlab::testing {

/// Where values are dropped, in the order in which a layer draws.
enum Place { kEmbedded, kProbabilities, kAttended, kInner, kFedForward, kLast };
using Drops = std::array<double, 6>;

struct StudyOutput {
  at::Tensor residual;  ///< before the last norm
  at::Tensor logits;
};

/// In the dtype of the weights. Draws from LibTorch's default generator where
/// `drops` is above zero.
inline StudyOutput study_model(const nn::LanguageModel& model,
                               const at::Tensor& tokens,
                               const Drops& drops = {}) {
  const nn::ModelConfig& c = model.config();
  const auto weights = model.named_parameters();
  const auto product = [&](const at::Tensor& x, const std::string& name) {
    return at::matmul(x, weights[name].t());
  };
  const auto norm = [&](const at::Tensor& x, const std::string& name) {
    const at::Tensor size = x.pow(2).mean(-1, true).add(c.norm_eps).sqrt();
    return x / size * weights[name + ".weight"];
  };
  const auto dropped = [&](const at::Tensor& x, Place place) {
    return drops[place] > 0 ? at::dropout(x, drops[place], true) : x;
  };
  const std::int64_t batch = tokens.size(0);
  const std::int64_t length = tokens.size(1);
  const std::int64_t features = c.width / c.heads;
  const at::Tensor hidden =
      at::ones({length, length}, torch::dtype(torch::kBool)).triu(1);
  const auto attention = [&](const at::Tensor& x, const std::string& block) {
    const auto heads = product(x, block + ".attention.qkv").chunk(3, -1);
    const auto part = [&](std::size_t index) {
      return heads[index]
          .reshape({batch, length, c.heads, features})
          .transpose(1, 2);
    };
    const at::Tensor scores = at::matmul(part(0), part(1).transpose(2, 3)) /
                              std::sqrt(static_cast<double>(features));
    const at::Tensor shares = at::softmax(
        scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()),
        -1);
    const at::Tensor mixed =
        at::matmul(dropped(shares, kProbabilities), part(2)).transpose(1, 2);
    return product(mixed.reshape({batch, length, c.width}),
                   block + ".attention.output");
  };

  at::Tensor x = weights["embedding"].index_select(0, tokens.view(-1));
  x = x.view({batch, length, c.width});
  if (c.scale_embedding) x = x * std::sqrt(static_cast<double>(c.width));
  x = dropped(x, kEmbedded);
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string block = "blocks." + std::to_string(layer);
    x = x + dropped(attention(norm(x, block + ".attention_norm"), block),
                    kAttended);
    const at::Tensor inner = product(norm(x, block + ".feed_forward_norm"),
                                     block + ".feed_forward.up");
    x = x + dropped(product(dropped(inner * at::sigmoid(inner), kInner),
                            block + ".feed_forward.down"),
                    kFedForward);
  }
  return {x, product(dropped(norm(x, "norm"), kLast),
                     c.tied_head ? "embedding" : "head")};
}

}  // namespace muonlab::testing
